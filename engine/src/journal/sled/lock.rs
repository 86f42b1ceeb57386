//! One process holds the journal; the others learn which.
//!
//! Two files say so. `LOCK` carries a lock of the kernel, which goes when the process dies however it dies, and names
//! the holder well enough to recognise it later. `FENCE` names the only opening of the journal that may still write:
//! the holder looks at it around every commit. So a holder whose lock stopped meaning anything (the folder was replaced
//! by a restored copy, the file system keeps no locks between machines) finds out before it writes and again before
//! anything is acknowledged.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use super::holder::Holder;
use crate::clock::Stopwatch;
use crate::journal::segment::unusable;
use crate::journal::{JournalError, files};

/// Held as long as it lives; the kernel lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    fence: PathBuf,
    ours: String,
    seen: Mutex<Option<FenceLook>>,
}

/// How `FENCE` looked from outside when its content was ours.
#[derive(Debug, Clone, Copy)]
struct FenceLook {
    stamp: Stamp,
    first: Stopwatch,
    /// It looked so long before the content was read, so that any change since has another stamp.
    known: bool,
}

/// What differs when another file has the name, or the same file was written to: device, inode, size, and when the inode
/// was last changed, which no program can set.
type Stamp = (u32, u32, u64, u64, i64, u32);

/// Much longer than the ticks in which file systems count the moments of changes; those that count in whole seconds show
/// no fraction and are not trusted.
const TICKS: Duration = Duration::from_millis(200);

/// What a try for the lock found.
pub(super) enum LockTry {
    Ours(File),
    /// Held, by whom as far as it is written down.
    Held(Option<Holder>),
}

/// The most of `LOCK` and `FENCE` that is read, in bytes.
const LOOK_MAX: u64 = 4096;

/// Takes the lock, writes down who has it, and fences off whoever had it before.
pub(super) fn take(dir: &Path) -> Result<Lock, JournalError> {
    let path = dir.join("LOCK");
    let io = |e: &io::Error| unusable(&path, e);
    let mut file = match attempt(dir).map_err(|e| io(&e))? {
        LockTry::Ours(file) => file,
        LockTry::Held(holder) => {
            return Err(JournalError::Locked {
                holder: holder.map_or_else(
                    || "a process that is just starting".to_owned(),
                    |h| h.in_words(),
                ),
            });
        }
    };
    let holder = Holder::this_process();
    file.set_len(0)
        .and_then(|()| file.write_all(holder.to_text().as_bytes()))
        .map_err(|e| io(&e))?;
    let ours = fence_off(dir, &holder).map_err(|e| unusable(&dir.join("FENCE"), &e))?;
    Ok(Lock {
        _file: file,
        fence: dir.join("FENCE"),
        ours,
        seen: Mutex::default(),
    })
}

/// Who has the lock, without taking it: also where nothing can be written.
pub(super) fn look(dir: &Path) -> io::Result<Option<Holder>> {
    let file = File::open(dir.join("LOCK"))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            (&file).take(LOOK_MAX).read_to_string(&mut text)?;
            Ok(Holder::parse(&text))
        }
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// One try, without waiting.
pub(super) fn attempt(dir: &Path) -> io::Result<LockTry> {
    let path = dir.join("LOCK");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = (&file).take(LOOK_MAX).read_to_string(&mut text);
            return Ok(LockTry::Held(read.ok().and_then(|_| Holder::parse(&text))));
        }
        Err(TryLockError::Error(e)) => return Err(e),
    }
    // Somebody may have removed the file since it was opened: a lock on a file without a name keeps nobody out.
    let (named, locked) = (fs::metadata(&path)?, file.metadata()?);
    if (named.dev(), named.ino()) == (locked.dev(), locked.ino()) {
        Ok(LockTry::Ours(file))
    } else {
        Err(io::Error::other(
            "it was replaced while it was being locked; try again",
        ))
    }
}

/// From here on only the process that reads back what is written here may commit. Durable on return.
pub(super) fn fence_off(dir: &Path, by: &Holder) -> io::Result<String> {
    let mut token = [0u8; 16];
    getrandom::fill(&mut token).map_err(|e| io::Error::other(e.to_string()))?;
    let text = format!("{:032x} {}\n", u128::from_be_bytes(token), by.in_words());
    files::replace(
        &dir.join("FENCE"),
        &dir.join(format!("FENCE.{}", std::process::id())),
        text.as_bytes(),
    )?;
    Ok(text)
}

impl Lock {
    /// Whether this opening of the journal may still write.
    ///
    /// # Errors
    /// [`JournalError::TakenOver`] with the one that may, for ever: the process must end.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        if self.reads_as_ours() {
            return Ok(());
        }
        let mut text = String::new();
        let read = File::open(&self.fence)
            .and_then(|file| file.take(LOOK_MAX).read_to_string(&mut text))
            .map_err(|e| format!("somebody: the file {} is gone ({e})", self.fence.display()));
        let by = match read {
            Ok(_) if text == self.ours => return Ok(()),
            Ok(_) => text
                .trim()
                .split_once(' ')
                .map_or_else(|| "somebody".to_owned(), |(_, by)| by.to_owned()),
            Err(why) => why,
        };
        Err(JournalError::TakenOver { by })
    }

    /// Done twice a commit: one look at the name, and the content only while the look alone proves nothing.
    fn reads_as_ours(&self) -> bool {
        let now = stamp(&self.fence);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let same = seen.filter(|seen| Some(seen.stamp) == now);
        if same.is_some_and(|seen| seen.known) {
            return true;
        }
        let mut buffer = [0; 512];
        let read = File::open(&self.fence).and_then(|mut file| file.read(&mut buffer));
        let ours = read.is_ok_and(|n| buffer[..n] == *self.ours.as_bytes());
        *seen = now.filter(|_| ours).map(|stamp| {
            let first = same.map_or_else(Stopwatch::start, |seen| seen.first);
            let fine = stamp.5 != 0;
            FenceLook {
                stamp,
                first,
                known: fine && first.elapsed() >= TICKS,
            }
        });
        ours
    }
}

/// A network file system asks its server for it.
fn stamp(path: &Path) -> Option<Stamp> {
    let wanted = StatxFlags::INO | StatxFlags::SIZE | StatxFlags::CTIME;
    let found = statx(CWD, path, AtFlags::STATX_FORCE_SYNC, wanted).ok()?;
    let changed = found.stx_ctime;
    Some((
        found.stx_dev_major,
        found.stx_dev_minor,
        found.stx_ino,
        found.stx_size,
        changed.tv_sec,
        changed.tv_nsec,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_that_was_looked_at_often_is_still_seen_to_change() {
        let dir = tempfile::tempdir().expect("a folder");
        let fence = dir.path().join("FENCE");
        let lock = take(dir.path()).expect("nobody has it");
        for _ in 0..30 {
            lock.check().expect("it is ours");
            std::thread::sleep(TICKS / 20);
        }
        let known = || lock.seen.lock().expect("no panic").is_some_and(|s| s.known);
        let fine = stamp(&fence).is_some_and(|stamp| stamp.5 != 0);
        assert_eq!(known(), fine, "it no longer reads what it need not");

        let as_long = "0".repeat(lock.ours.len());
        fs::write(&fence, &as_long).expect("written in its place");
        lock.check()
            .expect_err("another content of the same length");
        fs::write(&fence, &lock.ours).expect("written in its place");
        lock.check().expect("it is ours again");
        fs::rename(&fence, dir.path().join("away")).expect("put aside");
        lock.check().expect_err("nothing there");
        fs::write(&fence, &as_long).expect("another file");
        lock.check().expect_err("another file of that name");
    }
}
