//! `flow logs`: what the steps of a run put out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::Duration;

use flow_engine::run::Run;

use crate::args::Logs;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;
use crate::state::State;
use crate::view;

/// How often the files are looked at with `--follow`.
const PAUSE: Duration = Duration::from_millis(300);
/// The most that is read at once, in bytes.
const CHUNK: u64 = 1 << 20;

/// Shows what steps put out, in the order of the plan. Reads files only, so it works while another process drives.
pub(crate) async fn run(session: &Session, args: Logs) -> Result<Exit, Diagnostic> {
    let state = session.state()?;
    let run = session.look().await?.look_up(&args.run).await?;
    if let Some(step) = &args.step
        && run.plan.node(step).is_none()
    {
        return Err(
            Diagnostic::usage(format!("the plan of run {} has no step `{step}`", run.id))
                .hint(format!("flow status {}", run.id)),
        );
    }
    let mut shown = Cursor {
        state,
        only: args.step.as_deref(),
        since: args.since,
        at: BTreeMap::new(),
        raw: args.raw,
        last: None,
    };
    shown.show(&run, !args.follow || super::status::rests(&run))?;
    let id = run.id.to_string();
    let mut run = run;
    while args.follow && !super::status::rests(&run) {
        tokio::time::sleep(PAUSE).await;
        run = session.look().await?.find(&id).await?;
        shown.show(&run, super::status::rests(&run))?;
    }
    Ok(Exit::Done)
}

struct Cursor<'a> {
    state: &'a State,
    only: Option<&'a str>,
    since: u64,
    at: BTreeMap<String, u64>,
    raw: bool,
    last: Option<String>,
}

impl Cursor<'_> {
    /// With `all`, a last line that has no end yet too.
    fn show(&mut self, run: &Run, all: bool) -> Result<(), Diagnostic> {
        for node in &run.plan.nodes {
            if self.only.is_none_or(|only| only == node.key) {
                self.step(run, &node.key, all)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, run: &Run, key: &str, all: bool) -> Result<(), Diagnostic> {
        let path = self.state.log(&run.id, key);
        let failed = |e: &std::io::Error| {
            Diagnostic::usage(format!("{} cannot be read", path.display())).because(e)
        };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(failed(&e)),
        };
        let at = self.at.entry(key.to_owned()).or_insert(self.since);
        loop {
            file.seek(SeekFrom::Start(*at)).map_err(|e| failed(&e))?;
            let mut bytes = Vec::new();
            let read = (&mut file).take(CHUNK).read_to_end(&mut bytes);
            read.map_err(|e| failed(&e))?;
            keep_whole_lines(&mut bytes, all);
            if bytes.is_empty() {
                return Ok(());
            }
            *at += bytes.len() as u64;
            if self.only.is_none() && self.last.as_deref() != Some(key) {
                view::out(&format!("== {key}\n"));
                self.last = Some(key.to_owned());
            }
            let text = String::from_utf8_lossy(&bytes);
            if self.raw {
                view::out_raw(&text);
            } else {
                view::out(&text);
            }
        }
    }
}

/// Leaves a last line without an end for later: cut in two, neither half of a character or of an escape sequence would
/// be recognised. A line longer than a chunk is shown in parts.
fn keep_whole_lines(bytes: &mut Vec<u8>, all: bool) {
    let end = bytes.iter().rposition(|byte| *byte == b'\n');
    let full = bytes.len() as u64 == CHUNK;
    match end {
        Some(end) if full || !all => bytes.truncate(end + 1),
        None if !full && !all => bytes.clear(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_has_no_end_yet_is_left_for_later_unless_nothing_more_will_come() {
        let kept = |text: &str, all| {
            let mut bytes = text.as_bytes().to_vec();
            keep_whole_lines(&mut bytes, all);
            String::from_utf8(bytes).expect("text")
        };
        assert_eq!(kept("a\nb\x1b[", false), "a\n");
        assert_eq!(kept("b\x1b[", false), "");
        assert_eq!(kept("a\nb", true), "a\nb");
        let long = "x".repeat(usize::try_from(CHUNK).expect("fits"));
        assert_eq!(kept(&long, false).len(), long.len());
    }
}
