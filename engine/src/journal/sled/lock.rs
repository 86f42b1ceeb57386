//! One process holds the journal; the others learn which.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::clock::{Clock, SystemClock};
use crate::journal::JournalError;
use crate::journal::segment::unusable;

/// Held as long as it lives; the kernel lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Takes the lock and writes down who has it: pid, host, boot id, since when.
pub(super) fn take(path: &Path) -> Result<Lock, JournalError> {
    let io = |e: &std::io::Error| unusable(path, e);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| io(&e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let known = (&file).take(1024).read_to_string(&mut holder).is_ok();
            let holder = holder.trim();
            let holder = if known && !holder.is_empty() {
                holder.to_owned()
            } else {
                "a process that is just starting".to_owned()
            };
            return Err(JournalError::Locked { holder });
        }
        Err(TryLockError::Error(e)) => return Err(io(&e)),
    }
    let text = format!(
        "pid {} on {}, boot {}, since {}\n",
        std::process::id(),
        kernel("hostname"),
        kernel("random/boot_id"),
        SystemClock.now()
    );
    file.set_len(0)
        .and_then(|()| file.write_all(text.as_bytes()))
        .map_err(|e| io(&e))?;
    Ok(Lock { _file: file })
}

fn kernel(name: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/kernel/{name}"))
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}
