//! One process holds the journal and drives; every other `flow` speaks to it over `<state>/control.sock`.
//!
//! The socket speaks HTTP with JSON, for the owner of the state folder only:
//!
//! ```text
//! GET  /                    who serves, and which run it drives
//! GET  /runs                the names of all runs
//! GET  /archived            the sealed and pruned runs in short
//! GET  /runs/ID/records     its records as they lie in the journal
//! GET  /runs/ID/questions   what it asks people, and everything that can be done now, as `flow status --json` has it
//! GET  /objects/DIGEST      a stored object, hexadecimal
//! POST /runs/ID/signals     an answer: a Signal
//! POST /runs/ID/orders      an order: {"order": …, "by": …, "reason": …}
//! ```
//!
//! Answers and orders may be for any run: those for the one it drives go to its driver, others are appended to the
//! journal, which this process holds. Nothing but driving needs a process of its own for a second run.
//!
//! A reading command fetches records and folds them itself, exactly as it would from the journal: hash chain and all.

use serde::{Deserialize, Serialize};

use flow_engine::event::without_passwords;
use flow_engine::id::RunId;
use flow_engine::journal::{Archived, Head, JournalError, Stored};
use flow_engine::run::{LoadError, Refusal};
use flow_engine::signal::{Actor, Order, Signal};
use flow_steps::means::plain::is_plain;

use crate::diagnostic::Diagnostic;
use crate::exit::Exit;

pub(crate) mod client;
mod http;
pub(crate) mod server;

/// Who serves: told to each client before anything is asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Server {
    /// The process: pid, host and boot, as the journal names its holder.
    pub(crate) holder: String,
    /// The run it drives.
    pub(crate) driving: String,
    /// Its version: a client of another one may not be understood.
    pub(crate) version: String,
}

/// A record as it lies in the journal, its bytes hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireRecord {
    seq: u64,
    epoch: u64,
    body: String,
    hash: String,
}

/// An order on its way to the driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireOrder {
    /// What is ordered.
    pub(crate) order: Order,
    /// Who orders it; the server puts in whom the kernel names.
    pub(crate) by: Actor,
    /// Why, for the record; never empty.
    pub(crate) reason: String,
}

/// What became of something that was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Receipt {
    /// It is durable.
    Stored,
    /// The same was stored before; nothing changed.
    Already,
}

/// A sealed or pruned run, its bytes hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireArchived {
    run: RunId,
    seq: u64,
    epoch: u64,
    hash: String,
    summary: String,
    pruned: bool,
}

impl From<&Archived> for WireArchived {
    fn from(archived: &Archived) -> Self {
        WireArchived {
            run: archived.run.clone(),
            seq: archived.head.seq,
            epoch: archived.head.epoch,
            hash: archived.head.hash.to_string(),
            summary: hex::encode(&archived.summary),
            pruned: archived.pruned,
        }
    }
}

impl WireArchived {
    fn archived(self) -> Option<Archived> {
        Some(Archived {
            head: Head {
                seq: self.seq,
                epoch: self.epoch,
                hash: flow_engine::id::Digest::from_hex(&self.hash)?,
            },
            run: self.run,
            summary: hex::decode(&self.summary).ok()?,
            pruned: self.pruned,
        })
    }
}

/// A refusal as it crosses the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireError {
    /// What went wrong, in words for the one who asked.
    pub(crate) error: String,
    /// The exit code of the command that asked.
    pub(crate) exit: u8,
}

impl From<&Diagnostic> for WireError {
    fn from(diagnostic: &Diagnostic) -> Self {
        WireError {
            error: diagnostic.message.clone(),
            exit: diagnostic.exit as u8,
        }
    }
}

impl From<WireError> for Diagnostic {
    fn from(wire: WireError) -> Self {
        let exit = match wire.exit {
            2 => Exit::Usage,
            3 => Exit::Refused,
            7 => Exit::Locked,
            75 => Exit::Unknown,
            _ => Exit::Bug,
        };
        let diagnostic = Diagnostic::new(exit, wire.error);
        match exit {
            Exit::Unknown | Exit::Bug => diagnostic,
            _ => diagnostic.world("Nothing was changed."),
        }
    }
}

impl From<&Stored> for WireRecord {
    fn from(stored: &Stored) -> Self {
        WireRecord {
            seq: stored.seq,
            epoch: stored.epoch,
            body: hex::encode(&stored.body),
            hash: stored.hash.to_string(),
        }
    }
}

impl WireRecord {
    fn stored(&self) -> Result<Stored, JournalError> {
        let unreadable = || JournalError::Corrupt {
            place: format!("record {} from the control socket", self.seq),
            why: "it is not hexadecimal".into(),
        };
        Ok(Stored {
            seq: self.seq,
            epoch: self.epoch,
            body: hex::decode(&self.body).map_err(|_| unreadable())?,
            hash: flow_engine::id::Digest::from_hex(&self.hash).ok_or_else(unreadable)?,
        })
    }
}

/// The longest name of an answer and the longest reason, in characters.
const ID_MAX: usize = 128;
const REASON_MAX: usize = 1000;

/// Refuses an answer that could not be shown as it is: its name and its text are bounded and plain.
pub(crate) fn fit_to_store(signal: &Signal) -> Result<(), Diagnostic> {
    fits("the id of an answer", &signal.id, ID_MAX)?;
    fits("an answer", &signal.body, flow_engine::journal::BODY_MAX)
}

/// Refuses a reason that could not be shown as it is.
pub(crate) fn fit_reason(reason: &str) -> Result<(), Diagnostic> {
    fits("a reason", reason, REASON_MAX)?;
    fit_to_keep("a reason", reason)
}

/// Refuses words of a person that are kept, told and exported where they hold the password of a URL.
pub(crate) fn fit_to_keep(what: &str, text: &str) -> Result<(), Diagnostic> {
    if without_passwords(text) == text {
        return Ok(());
    }
    let message =
        format!("{what} is kept and told, and this one holds the password of a URL: leave it out");
    Err(Diagnostic::new(Exit::Refused, message).world("Nothing was stored."))
}

fn fits(what: &str, text: &str, max: usize) -> Result<(), Diagnostic> {
    if text.chars().count() <= max && text.chars().all(is_plain) {
        return Ok(());
    }
    let message = format!(
        "{what} is one line of at most {max} plain characters, without any that hide or turn text"
    );
    Err(Diagnostic::new(Exit::Refused, message).world("Nothing was stored."))
}

/// A repetition is not an error for the one who repeats.
pub(crate) fn posted(result: Result<(), LoadError>) -> Result<Receipt, Diagnostic> {
    match result {
        Ok(()) => Ok(Receipt::Stored),
        Err(LoadError::Refused(Refusal::Already)) => Ok(Receipt::Already),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
