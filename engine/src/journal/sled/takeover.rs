//! Taking a journal from a process that holds it and does not go on.
//!
//! The kernel's lock of a stopped process stays, so it can be had only by ending that process; and it may be ended only
//! when it is proven to be the one that holds *this* journal: same boot, same process-number space, same number, same
//! start, and this very `LOCK` open. The order makes every interruption harmless: fence, end, wait, open. A process that
//! was only fenced writes nothing more; taking over again goes on from there.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

use super::holder::Holder;
use super::lock::{self, LockTry};
use crate::clock::Deadline;

/// What taking over found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeOver {
    /// Nobody holds the journal: it needs only to be opened.
    Free,
    /// This process held it, was fenced off and ended; the journal can be opened.
    Ended(Holder),
}

/// Why a journal was not taken over.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TakeOverError {
    /// The holder cannot be proven to be a process that may be ended from here. Nothing was changed.
    #[error(
        "the journal is held by {holder}, and it cannot be ended from here: {why}; nothing was changed"
    )]
    Unproven {
        /// Who holds it, as far as is known.
        holder: String,
        /// Which proof failed.
        why: String,
    },
    /// It was fenced off (it writes nothing more) but still holds the kernel's lock. Taking over again is safe.
    #[error(
        "the journal is held by {holder}, which was fenced off and writes nothing more, but it did not end: {why}"
    )]
    Stuck {
        /// Who holds it.
        holder: String,
        /// Why it still does.
        why: String,
    },
    /// A file of the journal cannot be used.
    #[error("the journal cannot be taken over: {0}")]
    Unusable(String),
}

/// Who holds the journal in a folder; nothing when nobody does or it is no journal. Changes nothing.
pub(super) fn holder(dir: &Path) -> Option<Holder> {
    lock::look(dir).ok().flatten()
}

/// Fences off the process that holds the journal, ends it and waits for its lock. Blocks for at most `patience` beyond
/// the kernel's own time.
pub(super) fn take_over(dir: &Path, patience: Duration) -> Result<TakeOver, TakeOverError> {
    let unusable = |e: &std::io::Error| TakeOverError::Unusable(format!("{}: {e}", dir.display()));
    let holder = match lock::attempt(dir).map_err(|e| unusable(&e))? {
        LockTry::Ours(_) => return Ok(TakeOver::Free),
        LockTry::Held(Some(holder)) => holder,
        LockTry::Held(None) => {
            return Err(TakeOverError::Unproven {
                holder: "a process that left no name".to_owned(),
                why: "it is just starting, or LOCK was damaged; try again".to_owned(),
            });
        }
    };
    let words = holder.in_words();
    let unproven = |why: String| TakeOverError::Unproven {
        holder: words.clone(),
        why,
    };
    // The handle first: what is proven after it was opened is proven of the process it stands for.
    let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| unproven("its number is none".to_owned()))?;
    if let Some(why) = holder.not_here() {
        return Err(unproven(why));
    }
    if pid == getpid() {
        return Err(unproven("it is this process itself".to_owned()));
    }
    let handle = pidfd_open(pid, PidfdFlags::empty())
        .map_err(|e| unproven(format!("the kernel gives no handle on it: {e}")))?;
    if let Some(why) = holder.not_here() {
        return Err(unproven(why));
    }
    if !holder.has_open(&dir.join("LOCK")) {
        return Err(unproven(
            "it does not have this LOCK open, as far as this user may see".to_owned(),
        ));
    }
    lock::fence_off(dir, &Holder::this_process()).map_err(|e| unusable(&e))?;
    let stuck = |why: String| TakeOverError::Stuck {
        holder: words.clone(),
        why,
    };
    pidfd_send_signal(&handle, Signal::KILL)
        .map_err(|e| stuck(format!("it could not be killed: {e}")))?;
    let until = Deadline::after(patience);
    loop {
        match lock::attempt(dir).map_err(|e| unusable(&e))? {
            LockTry::Ours(_) => return Ok(TakeOver::Ended(holder)),
            LockTry::Held(_) if !until.is_over() => {
                std::thread::sleep(Duration::from_millis(10));
            }
            LockTry::Held(_) => {
                return Err(stuck(format!(
                    "it was killed and still held the lock after {} s; it waits for a disk or a file server",
                    patience.as_secs()
                )));
            }
        }
    }
}
