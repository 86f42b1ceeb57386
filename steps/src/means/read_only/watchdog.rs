//! The dead man's switch of a frozen database: a timer on its host that lets writers in again when nobody drives the
//! release any more.
//!
//! It is armed right before the freeze and renewed by the driver ([`Heartbeat`]). When nobody renews it for the
//! configured time and no job of the release runs, it opens the database by itself and leaves word of it; a job that
//! runs is waited for up to its own limit and then ended. It acts for the run whose freeze it is and ends itself when
//! that is another one's by now. A restart of the host ends it: the next renewal starts it again, and without a driver
//! the database then stays read-only (`flow doctor` says so).
//!
//! All of the host's side is `watchdog.sh`, POSIX shell that needs `flock`, `setsid` and `timeout`.

use bytes::Bytes;
use flow_engine::clock::Timestamp;
use flow_engine::planner::Arg;
use flow_engine::step::{Cx, StepError};
use serde::{Deserialize, Serialize};

use crate::means::host::{Command, Host, HostExt as _, Stdin, quote};
use crate::means::lease::Lease;
use crate::means::psql::{Pg, PgError};
use crate::means::read_only::opening;

mod heartbeat;

pub use heartbeat::Heartbeat;

const TIMER: &str = include_str!("watchdog.sh");
const MARK: &str = "flow-watchdog: ";

/// How a frozen database is guarded; a parameter of the steps that freeze and open it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watchdog {
    /// The lease of the environment: the timer lies beside it, on the same host.
    pub lease: Arg<Lease>,
    /// The folder of this environment's jobs on that host.
    pub jobs: String,
    /// How long nobody may renew it before it opens the database, in seconds.
    pub seconds: u64,
    /// How old a job may become before the timer ends it, in seconds.
    pub job_seconds: u64,
}

/// What the host knows of a run's freeze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guarded {
    /// The timer watches.
    Armed,
    /// It is to watch and does not: the host was restarted.
    Dead,
    /// It has opened the database.
    Opened(Opening),
    /// Another run has frozen the database since.
    Other(String),
    /// There is none.
    Nothing,
}

/// The timer's word of what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// When, by the host's clock.
    pub at: Timestamp,
    /// The jobs it ended before, by the name of their folders.
    pub ended: Vec<String>,
}

impl Opening {
    /// In words, as a part of a sentence.
    pub fn in_words(&self) -> String {
        let jobs = match self.ended.as_slice() {
            [] => String::new(),
            ended => format!(" and had ended the job {}", ended.join(", ")),
        };
        format!(
            "its timer let writers in at {} because nobody drove the release{jobs}",
            self.at
        )
    }

    pub(crate) fn parse(words: &str) -> Option<Opening> {
        let (at, ended) = words.split_once(' ')?;
        let seconds: i64 = at.parse().ok()?;
        let ended = ended.split(',').filter(|name| *name != "-");
        Some(Opening {
            at: Timestamp(seconds.checked_mul(1000)?),
            ended: ended.map(str::to_owned).collect(),
        })
    }
}

/// Who has frozen a database, as its host knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guardian {
    /// The id of the run that armed the timer.
    pub run: String,
    /// Whether its timer lives.
    pub alive: bool,
    /// Its jobs that have not ended.
    pub jobs: Vec<String>,
}

impl Watchdog {
    /// Arms the timer, or renews it when it is armed. `was` is the setting it gives the database back; with `keep` an
    /// armed timer keeps the one it has. Says what an earlier timer of this run had done.
    pub(crate) async fn arm(
        &self,
        cx: &Cx,
        pg: &Pg,
        was: Option<&str>,
        keep: bool,
    ) -> Result<Option<Opening>, StepError> {
        let lease = cx.arg(&self.lease)?;
        let words = pg.psql_words();
        let quoted: Result<Vec<String>, _> = words.iter().map(|w| quote::word(w)).collect();
        let quoted = quoted.map_err(|e| StepError::fail(e.to_string()))?;
        let psql = format!("exec {}\n", quoted.join(" "));
        let sql = format!("{}\\echo flow-opened\n", opening(&pg.db.name, was));
        let args = [
            self.seconds.max(1).to_string(),
            self.job_seconds.to_string(),
            self.jobs.clone(),
            beat(cx.epoch(), 0),
            psql.len().to_string(),
            if keep { "keep" } else { "new" }.to_owned(),
        ];
        let input = Stdin::Bytes(Bytes::from(format!("{psql}{sql}")));
        let said = call(
            &*pg.host,
            "arm",
            &lease.dir,
            cx.run_id().as_str(),
            args,
            input,
        )
        .await?;
        match said.strip_prefix("armed ") {
            Some(before) => Ok(Opening::parse(before)),
            None => Err(pg.answer_error(format!("the timer: `{said}`")).into()),
        }
    }

    /// What the host knows of this run's freeze.
    pub(crate) async fn look(&self, cx: &Cx, pg: &Pg) -> Result<Guarded, StepError> {
        let lease = cx.arg(&self.lease)?;
        let run = cx.run_id().as_str();
        let said = call(&*pg.host, "look", &lease.dir, run, [], Stdin::Null).await?;
        Ok(guarded(&said))
    }

    /// Ends the timer of this run and removes what it left; says what it had done.
    pub(crate) async fn disarm(&self, cx: &Cx, pg: &Pg) -> Result<Option<Opening>, StepError> {
        let lease = cx.arg(&self.lease)?;
        let run = cx.run_id().as_str();
        Ok(disarm(&*pg.host, &lease.dir, run).await?)
    }
}

/// Ends the timer of a run, whoever armed it.
pub(crate) async fn disarm(
    host: &dyn Host,
    dir: &str,
    run: &str,
) -> Result<Option<Opening>, PgError> {
    let said = call(host, "disarm", dir, run, [], Stdin::Null).await?;
    match said.strip_prefix("disarmed ") {
        Some(before) => Ok(Opening::parse(before)),
        None => Err(PgError::Check(format!(
            "the timer in {dir} answered `{said}`"
        ))),
    }
}

/// Tells the timer of a run that its driver is there.
async fn renew(host: &dyn Host, dir: &str, run: &str, beat: String) -> Result<Guarded, PgError> {
    let said = call(host, "renew", dir, run, [beat], Stdin::Null).await?;
    Ok(guarded(&said))
}

/// Whose freeze of the database beside this lease it is, if anybody's.
pub(crate) async fn whose(host: &dyn Host, dir: &str) -> Result<Option<Guardian>, PgError> {
    let said = call(host, "whose", dir, "-", [], Stdin::Null).await?;
    let mut words = said.split_whitespace().map(str::to_owned);
    match (words.next(), words.next()) {
        (Some(nobody), None) if nobody == "nobody" => Ok(None),
        (Some(run), Some(state)) => Ok(Some(Guardian {
            run,
            alive: state == "alive",
            jobs: words.collect(),
        })),
        _ => Err(PgError::Check(format!(
            "the timer in {dir} answered `{said}`"
        ))),
    }
}

/// Keeps what somebody did by hand beside the timer.
pub(crate) async fn note(host: &dyn Host, dir: &str, text: String) -> Result<(), PgError> {
    call(host, "note", dir, "-", [text], Stdin::Null)
        .await
        .map(|_| ())
}

/// Something that no other moment of any driver writes.
fn beat(epoch: u64, count: u64) -> String {
    format!("{epoch}.{count}")
}

fn guarded(said: &str) -> Guarded {
    match said.split_once(' ').unwrap_or((said, "")) {
        ("armed", _) => Guarded::Armed,
        ("dead", _) => Guarded::Dead,
        ("other", run) => Guarded::Other(run.to_owned()),
        ("opened", words) => Opening::parse(words).map_or(Guarded::Nothing, Guarded::Opened),
        _ => Guarded::Nothing,
    }
}

/// One call of the host's side, and its answer.
async fn call(
    host: &dyn Host,
    action: &str,
    dir: &str,
    run: &str,
    args: impl IntoIterator<Item = String>,
    stdin: Stdin,
) -> Result<String, PgError> {
    // An opening under way is waited for by the host's side.
    let deadline = std::time::Duration::from_mins(3);
    let command = Command::new("sh")
        .args([
            "-c",
            "eval \"$1\"",
            "flow-watchdog",
            TIMER,
            action,
            dir,
            run,
        ])
        .args(args)
        .stdin(stdin)
        .deadline(deadline);
    let output = host.output(&command).await?;
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find_map(|line| line.strip_prefix(MARK));
    match line.map(|line| line.trim_end().escape_debug().to_string()) {
        Some(line) => match line.strip_prefix("error ") {
            None => Ok(line),
            Some(why) => Err(PgError::Check(format!(
                "the timer that guards a frozen database: {why}"
            ))),
        },
        None => Err(PgError::Check(format!(
            "the timer that guards a frozen database did not answer (the shell there {})",
            output.exit.in_words()
        ))),
    }
}
