//! What a service wrote to the journal.

use std::time::Duration;

use flow_engine::step::StepError;
use serde_json::Value;

use crate::means::host::{Command, Host, HostExt as _};
use crate::means::reach;
use crate::means::supervisor::stamped::Entry;

/// The most that is read at one look; a service that writes faster is read on at the next look.
const PIECE: usize = 4 * 1024 * 1024;
/// How long one question may take.
const ASK_WITHIN: Duration = Duration::from_mins(1);

/// The first bytes of what a command prints: it is told to stop by a closed pipe.
const READ: &str = r#"n=$1; shift; { "$@" || echo "failed $?"; } | head -c "$n""#;

/// The journal of one service.
pub(super) struct Journal {
    /// journalctl, with what stands before it.
    words: Vec<String>,
    /// The match for what the service itself wrote, without what systemd says of it.
    filter: String,
}

/// The host's clock, in microseconds since 1970, as the journal has it.
pub(super) async fn now(host: &dyn Host) -> Result<u64, StepError> {
    let answer = reach::run(host, &Command::script("date +%s%6N")).await?;
    answer
        .trim()
        .parse()
        .map_err(|_| StepError::fail(format!("`{}` does not say what time it is", host.name())))
}

impl Journal {
    /// From the words that run systemctl, such as `sudo -u app systemctl --user`, and a log's name.
    ///
    /// Fails when no `systemctl` stands in them, and when the log is no service's.
    pub(super) fn of(program: &[String], log: &str) -> Result<Self, StepError> {
        let unit = log.strip_prefix("journal:");
        let unit = unit.ok_or_else(|| StepError::fail(format!("{log} is no service's journal")))?;
        let mut words = program.to_vec();
        let at = words
            .iter()
            .position(|word| word.rsplit('/').next() == Some("systemctl"))
            .ok_or_else(|| {
                StepError::fail(format!(
                    "`{}` does not name systemctl: where the journal is, is not known",
                    program.join(" ")
                ))
            })?;
        let len = words[at].len() - "systemctl".len();
        words[at] = format!("{}journalctl", &words[at][..len]);
        let before = words.len();
        words.retain(|word| word != "--user");
        // A user's journal may lie in the system's: the field finds it in either.
        let field = if words.len() == before {
            "_SYSTEMD_UNIT"
        } else {
            "_SYSTEMD_USER_UNIT"
        };
        Ok(Journal {
            words,
            filter: format!("{field}={unit}"),
        })
    }

    /// Whether anything of it can be read: without the right to, journalctl is silent and ends well.
    pub(super) async fn has_entries(&self, host: &dyn Host) -> Result<bool, StepError> {
        let args = [
            "--no-pager",
            "--quiet",
            "--lines=1",
            "--output=json",
            &self.filter,
        ];
        let command = reach::command(&self.words, &args)?.deadline(ASK_WITHIN);
        Ok(!reach::run(host, &command).await?.trim().is_empty())
    }

    /// What was written from a stamp on, with that stamp's own entries; as much of it as one look reads.
    pub(super) async fn since(&self, host: &dyn Host, stamp: u64) -> Result<Vec<Entry>, StepError> {
        let since = format!("--since=@{}.{:06}", stamp / 1_000_000, stamp % 1_000_000);
        let args = [
            "--no-pager",
            "--quiet",
            "--all",
            "--output=json",
            "--output-fields=MESSAGE",
            &since,
            &self.filter,
        ];
        let journalctl = reach::command(&self.words, &args)?;
        let command = Command::script(READ)
            .args(["sh".to_owned(), PIECE.to_string(), journalctl.program])
            .args(journalctl.args)
            .deadline(ASK_WITHIN);
        let output = host.output(&command).await.map_err(|e| reach::error(&e))?;
        let cut = output.stdout.len() >= PIECE;
        let text = String::from_utf8_lossy(&output.stdout);
        entries(&text, cut).map_err(|why| {
            let said = String::from_utf8_lossy(&output.stderr);
            StepError::fail(format!(
                "the journal of {} on `{}` cannot be read: {why} {}",
                self.filter,
                host.name(),
                said.trim()
            ))
        })
    }
}

/// Reads one JSON object a line. The last line may be half of one where the text was cut.
fn entries(text: &str, cut: bool) -> Result<Vec<Entry>, String> {
    let whole = match text.rfind('\n') {
        Some(end) => &text[..end],
        None if text.is_empty() => "",
        None => return Err("one entry is longer than one look reads".into()),
    };
    let mut found = Vec::new();
    for line in whole.lines() {
        if !cut && line.starts_with("failed ") {
            return Err(format!("journalctl {line}"));
        }
        let json: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
        let stamp = json.get("__REALTIME_TIMESTAMP").and_then(Value::as_str);
        let stamp = stamp.and_then(|stamp| stamp.parse().ok());
        found.push(Entry {
            stamp: stamp.ok_or("an entry has no time")?,
            text: message(json.get("MESSAGE")),
        });
    }
    Ok(found)
}

/// A message: text, or bytes where it is none.
fn message(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(bytes)) => {
            let bytes = bytes.iter().filter_map(Value::as_u64);
            let bytes: Vec<u8> = bytes.filter_map(|byte| u8::try_from(byte).ok()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_journal_is_asked_for_with_the_words_that_ask_systemd() {
        let of = |program: &str| {
            let found = Journal::of(&words(program), "journal:api.service").ok()?;
            Some((found.words.join(" "), found.filter))
        };
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(
            of("systemctl"),
            pair("journalctl", "_SYSTEMD_UNIT=api.service")
        );
        assert_eq!(
            of("sudo -u app /bin/systemctl --user"),
            pair(
                "sudo -u app /bin/journalctl",
                "_SYSTEMD_USER_UNIT=api.service"
            )
        );
        assert_eq!(of("my-tool"), None);
    }

    #[test]
    fn a_message_may_be_bytes_and_a_journalctl_that_failed_is_no_silence() {
        let text = "{\"__REALTIME_TIMESTAMP\":\"7\",\"MESSAGE\":\"a\\nb\"}\n{\"__REALTIME_TIMESTAMP\":\"8\",\"MESSAGE\":[104,105,255]}\n";
        let found = entries(text, false).unwrap();
        assert_eq!((found[0].stamp, found[0].text.as_str()), (7, "a\nb"));
        assert_eq!(found[1].text, "hi\u{fffd}");
        assert!(entries("failed 1\n", false).is_err());
        assert_eq!(entries(&format!("{text}{{\"__REAL"), true).unwrap(), found);
        assert!(entries("{\"__REAL", true).is_err());
    }
}
