//! Who drives a run, and how an overtaken driver finds out.
//!
//! Taking a run writes one record under the next larger epoch. From then on the journal refuses appends of a smaller
//! one, and so do the hosts: a driver that slept through its replacement can neither write nor act.

use std::sync::Arc;

use crate::clock::Clock;
use crate::id::RunId;
use crate::journal::{Journal, JournalError};
use crate::record::{Entry, Record};
use crate::run::{LoadError, Run, TRIES, append_all};

/// Names this process: what a second driver is told about the first.
pub fn holder() -> String {
    let read = |path: &str| {
        std::fs::read_to_string(path)
            .map(|s| s.trim().to_owned())
            .unwrap_or_default()
    };
    let boot: String = read("/proc/sys/kernel/random/boot_id")
        .chars()
        .take(8)
        .collect();
    format!(
        "process {} on {} (boot {boot})",
        std::process::id(),
        read("/proc/sys/kernel/hostname")
    )
}

/// Takes a run over: loads it and writes the next epoch. An order or answer that others write at the same moment is no reason not
/// to: the run is read anew, with it.
///
/// # Errors
/// As [`Run::load`]; [`JournalError::Conflict`] or [`JournalError::Fenced`] when another driver takes it at the same moment.
pub async fn acquire(
    journal: &Arc<dyn Journal>,
    clock: &dyn Clock,
    id: &RunId,
    version: &str,
) -> Result<Run, LoadError> {
    let mut run = Run::load(&**journal, id).await?;
    for _ in 0..TRIES {
        let record = Record::Acquired {
            holder: holder(),
            version: version.into(),
        };
        let entry = Entry {
            at: clock.now(),
            record,
        };
        let epoch = run.epoch + 1;
        let place = (run.next_seq, epoch);
        match append_all(&**journal, id, place, std::slice::from_ref(&entry)).await {
            Ok(()) => {
                run.apply(epoch, &entry)?;
                return Ok(run);
            }
            Err(error @ LoadError::Journal(JournalError::Conflict { .. })) => {
                let now = Run::load(&**journal, id).await?;
                if now.epoch != run.epoch {
                    return Err(error);
                }
                run = now;
            }
            Err(error) => return Err(error),
        }
    }
    Err(LoadError::NoTurn(id.clone()))
}
