//! What the end of a job means.

use flow_engine::step::{Cx, StepError};

use super::ask::ask;
use super::kept::{kept, of_job};
use super::{Deploy, migrate};
use crate::means::host::Host;
use crate::means::host::job::{self, JobSpec, Probe};
use crate::means::notes::ScriptNotes;
use crate::means::reach::patterns::{Lines, Patterns};
use crate::means::reports::code::Deployed;

/// The most of a log that is judged, in bytes; what a release writes is a thousandth of it. One that is longer is for a
/// person to judge.
const LOG_MAX: u64 = 256 * 1024 * 1024;
const PIECE: u64 = 1024 * 1024;

/// What was seen of a job.
pub(super) struct Seen<'a> {
    /// How it ended.
    pub(super) probe: Probe,
    /// Up to where its output was seen, in bytes.
    pub(super) shown: u64,
    /// Why nothing of its output may be shown.
    pub(super) hidden: Option<&'a str>,
}

pub(super) async fn judge(
    cx: &Cx,
    step: &Deploy,
    host: &dyn Host,
    job: &JobSpec,
    seen: Seen<'_>,
    patterns: &Patterns,
) -> Result<Deployed, StepError> {
    let (shown, hidden) = (seen.shown, seen.hidden);
    let Probe::Done { code, log_len } = seen.probe else {
        return Err(ask(cx, step, host, job, &seen.probe).await);
    };
    let mut lines = Lines::new(patterns);
    let mut offset = 0;
    // Read again from the start, on whatever life of this step sees the end: nothing to carry over a crash.
    while offset < log_len.min(LOG_MAX) {
        let max = PIECE.min(log_len - offset);
        let piece = job::read_log(host, job, offset, max)
            .await
            .map_err(|e| of_job(cx, &e))?;
        if piece.is_empty() {
            break;
        }
        offset += piece.len() as u64;
        lines.take(&piece);
    }
    if (offset < log_len || shown > log_len) && code == 0 && lines.matches == 0 {
        return Err(judged_in_part(cx, step, job, offset, log_len.max(shown)));
    }
    let mut failed = complaint(step, code, &mut lines, hidden);
    if failed.is_none() {
        // A script that ends well may have released something else: another branch, a cached archive, nothing at all.
        let wrong = step.in_place().wrong(host).await?;
        failed = wrong.map(|wrong| format!("the script ended well but {wrong}"));
    }
    match failed {
        None => Ok(Deployed {
            commit: step.commit.clone(),
            attempt: job.attempt,
            folder: job.folder(),
            log_bytes: Some(log_len),
            settled: false,
        }),
        Some(message) => {
            let judged = job.attempt;
            cx.note(&ScriptNotes {
                judged,
                attempt: judged,
                offset: log_len,
                ..kept(cx)?
            })
            .await?;
            let failure = StepError::fail(message);
            let tail = lines.end();
            let failure = match migrate::hint(step, tail.iter().chain(&lines.matched)) {
                Some(hint) => failure.hint(hint),
                None => failure,
            };
            let output = match hidden {
                Some(_) => format!(
                    "all of its output, on `{}`: {}/log",
                    step.host,
                    job.folder()
                ),
                None => format!("all of its output: flow logs {} {}", cx.run_id(), cx.key()),
            };
            Err(failure.hint(output))
        }
    }
}

/// What the script's own status and output say against it.
fn complaint(step: &Deploy, code: u8, lines: &mut Lines, hidden: Option<&str>) -> Option<String> {
    let tail = lines.end();
    let quoted = |lines: &[String]| match hidden {
        Some(why) => format!("(not shown: {why})"),
        None => last(lines),
    };
    if code != 0 {
        Some(format!(
            "`{}` on `{}` {}; it ended with:\n{}",
            step.script.join(" "),
            step.host,
            in_words(code),
            quoted(&tail)
        ))
    } else if lines.matches > 0 {
        Some(format!(
            "`{}` ended with 0, but there are {} error patterns in the log:\n{}",
            step.script.join(" "),
            lines.matches,
            quoted(&lines.matched)
        ))
    } else {
        None
    }
}

/// A log of which only a part could be read: what stands in the rest is not known, so nothing is called fine.
fn judged_in_part(cx: &Cx, step: &Deploy, job: &JobSpec, offset: u64, log_len: u64) -> StepError {
    let why = if offset < LOG_MAX {
        "it has become shorter since the script ended"
    } else {
        "so much is not judged"
    };
    let (run, key) = (cx.run_id(), cx.key());
    StepError::ask(format!(
        "`{}` on `{}` ended with 0 and wrote {log_len} bytes, of which {offset} could be searched for errors: {why} ({}/log)",
        step.script.join(" "),
        step.host,
        job.folder()
    ))
    .hint(format!(
        "when the rest of its output is fine: flow settle {run} {key} --done --reason …"
    ))
    .hint(format!(
        "or undo everything: flow rollback {run} --reason …"
    ))
}

fn in_words(code: u8) -> String {
    match code {
        129.. => format!("was ended by signal {}", code - 128),
        _ => format!("exited with {code}"),
    }
}

/// The end of these lines, as much as a failure may hold.
fn last(lines: &[String]) -> String {
    let mut room = 600_usize;
    let mut kept: Vec<String> = Vec::new();
    for line in lines.iter().rev() {
        let line: String = line.chars().take(200).collect();
        let Some(left) = room.checked_sub(line.len() + 1) else {
            break;
        };
        room = left;
        kept.push(line);
    }
    kept.reverse();
    kept.join("\n")
}
