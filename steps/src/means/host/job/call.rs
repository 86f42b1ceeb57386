//! One call of `job.sh` and its answer.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;

use super::{Interpreter, JobError, JobSpec, Launch, Probe};
use crate::means::host::{Command, Host, HostExt as _, OUTPUT_MAX, Stdin, quote};

const JOB: &str = include_str!("job.sh");
const MARK: &[u8] = b"flow-job: ";
/// The most of a log that one call brings, so that an answer is never too much for [`OUTPUT_MAX`].
pub(super) const PIECE: u64 = 1024 * 1024;

/// Starts a job, once: repeated or racing calls for the same attempt find it [`Launch::Exists`].
///
/// After a [`JobError::Host`] it may or may not have started; calling again is safe.
pub async fn launch(host: &dyn Host, spec: &JobSpec) -> Result<Launch, JobError> {
    upload(host, spec, &spec.script).await
}

/// `body` differs from the script only in a test of a cut upload.
pub(super) async fn upload(
    host: &dyn Host,
    spec: &JobSpec,
    body: &str,
) -> Result<Launch, JobError> {
    spec.check()?;
    let mut env = String::new();
    for (name, value) in &spec.env {
        let invalid = |why: String| JobError::Invalid {
            folder: spec.folder(),
            why,
        };
        quote::check(&Command::new("env").env(name, value)).map_err(|e| invalid(e.to_string()))?;
        let value = quote::word(value).map_err(|e| invalid(e.to_string()))?;
        writeln!(env, "export {name}={value}").expect("a string takes everything");
    }
    let interpreter = match spec.interpreter {
        Interpreter::Sh => "sh",
        Interpreter::Bash => "bash",
    };
    let input = Bytes::from(format!("{env}{body}"));
    let command = command(spec, "launch")
        .args([
            spec.epoch.to_string(),
            interpreter.to_owned(),
            env.len().to_string(),
        ])
        .args([
            spec.script.len().to_string(),
            spec.cwd.clone().unwrap_or_default(),
            spec.lease.clone().unwrap_or_default(),
            spec.frozen.clone().unwrap_or_default(),
        ])
        .stdin(Stdin::Bytes(input));
    let answer = ask(host, spec, &command).await?;
    match answer.words.first().map(String::as_str) {
        Some("started") => Ok(Launch::Started),
        Some("exists") => Ok(Launch::Exists),
        _ => Err(answer.nonsense(host, spec)),
    }
}

/// Looks at a job. Changes nothing on the host.
pub async fn probe(host: &dyn Host, spec: &JobSpec) -> Result<Probe, JobError> {
    Ok(look(host, spec, 0, 0).await?.0)
}

/// A piece of a job's output from byte `offset` on, at most `max` bytes (and at most 1 MiB). Empty at the end of what
/// there is so far.
pub async fn read_log(
    host: &dyn Host,
    spec: &JobSpec,
    offset: u64,
    max: u64,
) -> Result<Bytes, JobError> {
    Ok(look(host, spec, offset, max).await?.1)
}

/// Ends a job and all processes of its session: TERM, after `grace` KILL. What is left is told by the probe: `Done`
/// with 143 or 137 as a rule, `Lost` when even the wrapper had to be killed, `Never` when it had not begun (it cannot
/// any more). Ending what has ended changes nothing. Fenced by the epoch, as a launch is.
pub async fn kill(host: &dyn Host, spec: &JobSpec, grace: Duration) -> Result<Probe, JobError> {
    spec.check()?;
    let command = command(spec, "stop")
        .args([grace.as_secs().to_string(), spec.epoch.to_string()])
        .deadline(grace + Duration::from_mins(1));
    let answer = ask(host, spec, &command).await?;
    if answer.words.first().map(String::as_str) != Some("stopped") {
        return Err(answer.nonsense(host, spec));
    }
    probe(host, spec).await
}

/// State and a piece of the log in one call, the state first: what has ended by then has all its output in the log.
pub(super) async fn look(
    host: &dyn Host,
    spec: &JobSpec,
    offset: u64,
    max: u64,
) -> Result<(Probe, Bytes), JobError> {
    spec.check()?;
    let command = command(spec, "look").args([offset.to_string(), max.min(PIECE).to_string()]);
    let answer = ask(host, spec, &command).await?;
    match answer.probe() {
        Some(probe) => Ok((probe, answer.rest)),
        None => Err(answer.nonsense(host, spec)),
    }
}

fn command(spec: &JobSpec, action: &str) -> Command {
    Command::new("sh")
        .args(["-c", "eval \"$1\"", "flow-job", JOB, action])
        .args([&spec.dir, &spec.run, &spec.name()])
        .arg(spec.expect_machine_id.clone().unwrap_or_default())
}

/// The one line that counts, and the bytes after it.
struct Answer {
    words: Vec<String>,
    rest: Bytes,
}

async fn ask(host: &dyn Host, spec: &JobSpec, command: &Command) -> Result<Answer, JobError> {
    debug_assert!(PIECE < OUTPUT_MAX as u64, "an answer always fits");
    let output = host.output(command).await?;
    let refused = |why: String| JobError::Refused {
        host: host.name().to_owned(),
        folder: spec.folder(),
        why,
    };
    let Some(answer) = parse(&output.stdout) else {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said.trim().chars().take(500).collect();
        return Err(refused(format!(
            "the shell there {}: {said}",
            output.exit.in_words()
        )));
    };
    match answer.words.first().map(String::as_str) {
        Some("error") => Err(refused(answer.words[1..].join(" "))),
        Some("wronghost") => Err(JobError::WrongHost {
            expected: spec.expect_machine_id.clone().unwrap_or_default(),
            found: answer.words.get(1).cloned().unwrap_or_default(),
        }),
        Some("thawed") => Err(JobError::Thawed {
            host: host.name().to_owned(),
        }),
        Some("unleased") => Err(JobError::NotLeased {
            host: host.name().to_owned(),
            held_by: answer.words.get(1).cloned(),
        }),
        Some("fenced") => match answer.number(1) {
            Some(seen) => Err(JobError::Fenced {
                seen,
                ours: spec.epoch,
            }),
            None => Err(answer.nonsense(host, spec)),
        },
        // Cut short by a signal on that side: a missing end must not pass for the end of the log.
        _ if !output.exit.success() => Err(refused(format!(
            "the shell there {}",
            output.exit.in_words()
        ))),
        _ => Ok(answer),
    }
}

fn parse(stdout: &[u8]) -> Option<Answer> {
    let at = if stdout.starts_with(MARK) {
        0
    } else {
        stdout
            .windows(MARK.len() + 1)
            .position(|w| w[0] == b'\n' && &w[1..] == MARK)?
            + 1
    };
    let line = &stdout[at + MARK.len()..];
    let end = line.iter().position(|b| *b == b'\n')?;
    let words = String::from_utf8_lossy(&line[..end])
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    Some(Answer {
        words,
        rest: Bytes::copy_from_slice(&line[end + 1..]),
    })
}

impl Answer {
    fn number(&self, at: usize) -> Option<u64> {
        self.words.get(at)?.parse().ok()
    }

    fn probe(&self) -> Option<Probe> {
        Some(match self.words.first()?.as_str() {
            "absent" => Probe::Absent,
            "claimed" => Probe::Claimed,
            "never" => Probe::Never,
            "running" => Probe::Running {
                log_len: self.number(1)?,
            },
            "done" => Probe::Done {
                code: u8::try_from(self.number(1)?).ok()?,
                log_len: self.number(2)?,
            },
            "orphaned" => {
                let pids = self.words[1..]
                    .iter()
                    .map(|pid| pid.parse().ok())
                    .collect::<Option<_>>()?;
                Probe::Orphaned { pids }
            }
            "lost" => Probe::Lost,
            "rebooted" => Probe::LostByReboot,
            _ => return None,
        })
    }

    fn nonsense(&self, host: &dyn Host, spec: &JobSpec) -> JobError {
        JobError::Answer {
            host: host.name().to_owned(),
            folder: spec.folder(),
            answer: self.words.join(" ").chars().take(200).collect(),
        }
    }
}
