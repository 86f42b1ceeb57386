//! The exact mode of the migration check: the history is replayed in an empty PostgreSQL, and the catalog before and after each
//! pending migration is compared by object ids and column numbers. What the text check says and what happened must agree;
//! a difference in either direction is a finding of its own.
//!
//! Tables are empty, so this is about structure. What rows decide is asked of real data ([`schema`](crate::schema)).
//!
//! Migrations are material, not to be trusted. Each is sent as one text by the protocol itself: no shell and no `psql`, so a
//! backslash is a backslash. It runs as a role that is no superuser and may make neither roles nor databases: programs, files
//! of the server and untrusted languages are refused by the server (42501, a [`RuleId::ReplayFailed`]), `COPY … FROM STDIN` by
//! this side. Time is bounded for each and for all.

mod agree;
mod catalog;
mod cluster;
mod effects;
mod lab;
mod place;
mod scram;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Deadline;
use crate::migration::{self, Finding, Level, Migration, Report, RuleId};
use catalog::Snapshot;
use lab::Lab;
use wire::{Refusal, WireError};

/// Where to replay.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A server of its own, made in a folder for temporary files and removed afterwards; listens on a socket there only.
    Own {
        /// The folder of PostgreSQL's programs, when not the newest that is installed.
        bin: Option<PathBuf>,
    },
    /// A server that is there, as `postgres://…`: a database of its own is made on it and dropped.
    Server(String),
}

impl fmt::Debug for Place {
    /// A URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own { bin } => f.debug_struct("Own").field("bin", bin).finish(),
            Self::Server(_) => f.write_str("Server(…)"),
        }
    }
}

/// How to replay.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server it runs on.
    pub place: Place,
    /// SQL that runs first, with the rights of the database's owner (a superuser, in a server of its own): the roles, schemas
    /// and extensions that the history takes for granted. To be trusted like a program.
    pub setup: Option<String>,
    /// The longest one migration may take.
    pub each: Duration,
    /// The longest everything may take, the server's start included.
    pub all: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            place: Place::Own { bin: None },
            setup: None,
            each: Duration::from_mins(1),
            all: Duration::from_mins(10),
        }
    }
}

/// What a replay showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOutcome {
    /// The server, such as `PostgreSQL 15.18`.
    pub version: String,
    /// Migrations that were applied, pending or not.
    pub applied: usize,
    /// Pending ones whose effect was compared with what the text check says.
    pub compared: usize,
    /// Pending ones that were not reached, because one before them failed.
    pub unreached: usize,
    /// What the pending ones did to what was there before them: migration, and change in words.
    pub changes: Vec<(String, String)>,
    /// The differences, and the migration that failed.
    pub findings: Vec<Finding>,
}

impl ReplayOutcome {
    /// In one line, for people.
    pub fn in_words(&self) -> String {
        let unreached = match self.unreached {
            0 => String::new(),
            n => format!("; NOT replayed: {n} pending behind the one that failed"),
        };
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        format!(
            "replayed on {}: {} applied, {} of them compared with the catalog, {}{unreached}",
            self.version,
            count(self.applied, "migration"),
            self.compared,
            count(self.findings.len(), "finding"),
        )
    }
}

/// Why nothing could be replayed. Whatever was made is removed again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// PostgreSQL's server programs are not on this machine.
    #[error(
        "PostgreSQL's server programs (initdb, postgres) are not on this machine: nothing was replayed"
    )]
    NoServer,
    /// A server of its own did not start.
    #[error("a server of its own could not be started: {0}: nothing was replayed")]
    Start(String),
    /// The URL cannot be used. The text never quotes it.
    #[error("the URL of the server cannot be used: {0}")]
    Url(String),
    /// The prelude failed.
    #[error("the file that sets the replay up failed: {0}: nothing was replayed")]
    Setup(String),
    /// The server said no to what is not a migration.
    #[error("the server does not do what a replay needs: {0}")]
    Server(String),
    /// The time for everything was over.
    #[error("the replay did not end in time; it was stopped and what it made is removed")]
    Late,
    /// The connection broke in the middle of it.
    #[error("the connection to the server of the replay broke: {0}")]
    Connection(String),
}

impl From<WireError> for ReplayError {
    fn from(e: WireError) -> Self {
        match e {
            WireError::Late => Self::Late,
            WireError::Refused(_) | WireError::Odd(_) => Self::Server(e.to_string()),
            WireError::Broken(_) => Self::Connection(e.to_string()),
        }
    }
}

/// Whether this machine has PostgreSQL's server programs, so that [`Place::Own`] can work.
pub fn is_possible() -> bool {
    cluster::is_possible()
}

/// Replays the migrations in the order given and compares the pending ones with `report`, which must be what
/// [`check`](migration::check) says of the same migrations.
///
/// Stops at the first migration that the server refuses: what comes after it would be judged against a state that no
/// database has. Blocks; run it where that is allowed. Twice is once: nothing is left behind.
pub fn replay(
    migrations: &[Migration],
    pending: &BTreeSet<String>,
    report: &Report,
    options: &Options,
) -> Result<ReplayOutcome, ReplayError> {
    let until = Deadline::after(options.all);
    let lab = Lab::open(&options.place, options.setup.as_deref(), until)?;
    // Open before the first migration: it may close the database to new sessions.
    let mut eye = lab.session(until)?;
    let mut replayed = ReplayOutcome {
        version: lab.version.clone(),
        applied: 0,
        compared: 0,
        unreached: 0,
        changes: Vec::new(),
        findings: Vec::new(),
    };
    let mut before: Option<Snapshot> = None;
    for (at, migration) in migrations.iter().enumerate() {
        let is_pending = pending.contains(&migration.name);
        if is_pending && before.is_none() {
            before = Some(Snapshot::read(&mut eye, until)?);
        }
        let within = until.min(Deadline::after(options.each));
        if let Err(why) = apply(&lab, migration, within) {
            let rest = &migrations[at + 1..];
            replayed.unreached = rest.iter().filter(|m| pending.contains(&m.name)).count();
            replayed.findings.push(why.finding(migration));
            return Ok(replayed);
        }
        replayed.applied += 1;
        if let Some(was) = before.take() {
            let now = Snapshot::read(&mut eye, until)?;
            if is_pending {
                let effects = effects::between(&was, &now);
                let found = agree::compare(migration, report, &was, &effects);
                replayed.findings.extend(found);
                replayed.compared += 1;
                let name = |words| (migration.name.clone(), words);
                let words = effects.into_iter().map(|effect| name(effect.words));
                replayed.changes.extend(words);
            }
            before = Some(now);
        }
    }
    Ok(replayed)
}

/// Why a migration does not apply.
enum Why {
    Refused(Refusal),
    Late,
    Broken(String),
    LeftOpen,
    Unreadable(String),
}

/// One session for each, so that no setting of one reaches another.
fn apply(lab: &Lab, migration: &Migration, until: Deadline) -> Result<(), Why> {
    if let Some(why) = &migration.unreadable {
        return Err(Why::Unreadable(why.clone()));
    }
    if migration.sql.contains('\0') {
        return Err(Why::Unreadable("it holds a NUL".into()));
    }
    let answer = lab
        .session(until)
        .and_then(|mut session| session.run(&migration.sql, false, until));
    match answer {
        Ok(answer) => match answer.refusal {
            Some(refusal) => Err(Why::Refused(refusal)),
            None if answer.open => Err(Why::LeftOpen),
            None => Ok(()),
        },
        Err(WireError::Late) => Err(Why::Late),
        Err(WireError::Refused(refusal)) => Err(Why::Refused(refusal)),
        Err(e) => Err(Why::Broken(e.to_string())),
    }
}

impl Why {
    fn finding(self, migration: &Migration) -> Finding {
        let mut at = 0;
        let message = match self {
            Self::Refused(refusal) => {
                if let Some(position) = refusal.position {
                    let chars = migration.sql.char_indices().map(|(at, _)| at);
                    at = chars.into_iter().nth(position.saturating_sub(1)).unwrap_or(0);
                }
                let hint = match refusal.hint.as_str() {
                    "" => String::new(),
                    hint => format!(" Hint: {hint}"),
                };
                let role = match refusal.code.as_str() {
                    "42501" => {
                        "; a replay runs as a role that is no superuser, and reaches no files, programs or other roles"
                    }
                    _ => "",
                };
                format!("it does not apply to the history before it: {refusal}{role}.{hint}")
            }
            Self::Late => {
                "it did not end in time; nothing is known of what it does, and no migration behind it was replayed".into()
            }
            Self::Broken(why) => format!("the server did not live to answer: {why}"),
            Self::LeftOpen => {
                "it leaves a transaction open, so that nothing of it stays".into()
            }
            Self::Unreadable(why) => format!("it cannot be replayed: {why}"),
        };
        migration::said(
            migration,
            (RuleId::ReplayFailed, Level::Error),
            at,
            String::new(),
            message,
        )
    }
}
