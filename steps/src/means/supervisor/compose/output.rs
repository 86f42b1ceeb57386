//! What a container wrote.

use std::time::Duration;

use flow_engine::step::StepError;

use crate::means::host::{Command, Host, HostExt as _};
use crate::means::reach;
use crate::means::supervisor::stamped::Entry;

/// The most that is read at one look; a container that writes faster is read on at the next look.
const PIECE: usize = 4 * 1024 * 1024;
/// The first bytes of what a command prints on either stream, and then whether it failed.
const READ: &str = r#"n=$1; shift; { "$@" 2>&1 || echo "flow: failed $?"; } | head -c "$n""#;
/// Begins the line that says so.
const FAILED: &str = "flow: failed ";

/// The host's clock, in nanoseconds since 1970, as docker stamps lines.
pub(super) async fn now(host: &dyn Host) -> Result<u64, StepError> {
    let answer = reach::run(host, &Command::script("date +%s%N")).await?;
    answer
        .trim()
        .parse()
        .map_err(|_| StepError::fail(format!("`{}` does not say what time it is", host.name())))
}

/// A stamp as docker's `--since` takes it.
pub(super) fn moment(stamp: u64) -> String {
    format!("{}.{:09}", stamp / 1_000_000_000, stamp % 1_000_000_000)
}

/// Runs `docker logs --timestamps`, and reads what it says.
pub(super) async fn read(host: &dyn Host, docker: &Command) -> Result<Vec<Entry>, StepError> {
    let command = Command::script(READ)
        .args(["sh".to_owned(), PIECE.to_string(), docker.program.clone()])
        .args(docker.args.iter().cloned())
        .deadline(Duration::from_mins(1));
    let output = host.output(&command).await.map_err(|e| reach::error(&e))?;
    let cut = output.stdout.len() >= PIECE;
    entries(&String::from_utf8_lossy(&output.stdout), cut).map_err(|why| {
        StepError::fail(format!(
            "a container's log on `{}` cannot be read: {why}",
            host.name()
        ))
    })
}

/// Reads one stamped line a line, by stamp: the two streams of a container may be some microseconds out of order. The
/// last line may be half of one where the text was cut.
fn entries(text: &str, cut: bool) -> Result<Vec<Entry>, String> {
    let whole = match text.rfind('\n') {
        Some(end) => &text[..end],
        None if text.is_empty() => "",
        None => return Err("one line is longer than one look reads".into()),
    };
    let last = whole.lines().last().unwrap_or_default();
    if !cut && last.starts_with(FAILED) {
        // A container that went away meanwhile has nothing more to say; the next look at the containers names it.
        if whole.contains("No such container") {
            return Ok(Vec::new());
        }
        let said: String = whole.chars().take(400).collect();
        return Err(said.replace('\n', "; "));
    }
    let mut found = Vec::new();
    for line in whole.lines() {
        let (stamp, text) = line.split_once(' ').unwrap_or((line, ""));
        let stamp: jiff::Timestamp = stamp
            .parse()
            .map_err(|_| format!("a line has no time: {line:.100}"))?;
        let stamp = u64::try_from(stamp.as_nanosecond()).map_err(|e| e.to_string())?;
        found.push(Entry {
            stamp,
            text: text.to_owned(),
        });
    }
    found.sort_by_key(|entry| entry.stamp);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_by_their_time_and_a_log_that_cannot_be_read_is_no_silence() {
        let text = "2026-11-30T13:00:00.000000002Z b c\n2026-11-30T13:00:00.000000001Z a\n2026-11-30T13:00:01Z\n";
        let texts: Vec<String> = entries(text, false)
            .unwrap()
            .into_iter()
            .map(|e| e.text)
            .collect();
        assert_eq!(texts, ["a", "b c", ""]);
        assert!(entries("no reading here\nflow: failed 1\n", false).is_err());
        let gone = "Error: No such container: x\nflow: failed 1\n";
        assert_eq!(entries(gone, false), Ok(Vec::new()));
        assert!(entries("words without a time\n", false).is_err());
        assert_eq!(moment(1_796_043_600_000_000_007), "1796043600.000000007");
    }
}
