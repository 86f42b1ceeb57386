//! Files and folders that survive a power cut.
//!
//! A new name is durable only after its folder was synced, and a folder only after its parent was; both are easy to
//! forget, so nothing else in the journal creates either. Folders are 0700 and files 0600: records name hosts and
//! people.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    trace::step("sync", path)?;
    File::open(path)?.sync_all()
}

/// Gives a file or folder another name, durably.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    trace::step("rename", to)?;
    fs::rename(from, to)?;
    sync_dir(&parent(to))?;
    if parent(from) == parent(to) {
        Ok(())
    } else {
        sync_dir(&parent(from))
    }
}

/// Removes a file, or a folder with all that is in it; one that is not there is removed already.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    trace::step("remove", path)?;
    let done = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match done {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Makes a folder's own name durable. The folder above may be somebody else's and not for us to read: then whoever
/// made the folder has to have done it.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match sync_dir(&parent(path)) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

/// Bytes of a file, or of all files in a folder.
pub(crate) fn bytes_in(path: &Path) -> io::Result<u64> {
    let meta = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    if !meta.is_dir() {
        return Ok(meta.len());
    }
    let mut sum = 0;
    for item in fs::read_dir(path)? {
        sum += bytes_in(&item?.path())?;
    }
    Ok(sum)
}

/// Creates a folder and its missing parents, durably. Doing it twice is doing it once.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent(path);
    create_dir(&parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    sync_dir(path)?;
    sync_dir(&parent)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A new, empty file to read and write; one of that name is emptied.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

/// Puts bytes under a name so that after a crash either the old or the new content is there, whole.
pub(crate) fn replace(path: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_file(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    rename(temporary, path)
}

/// Takes the rights of everybody but the owner from a file that somebody else's code created.
pub(crate) fn make_private(path: &Path, mode: u32) -> io::Result<()> {
    match fs::set_permissions(path, fs::Permissions::from_mode(mode)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// The first name `<name>.damaged-<n>` that is free in the same folder.
pub(crate) fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    (1..u32::MAX)
        .map(|n| path.with_file_name(format!("{name}.damaged-{n}")))
        .find(|free| !free.exists())
        .expect("four thousand million damaged copies do not fit on a disk")
}

/// What was done to files, so that tests can stop it at every point and look at the order.
#[cfg(not(test))]
pub(crate) mod trace {
    use std::io;
    use std::path::Path;

    #[expect(
        clippy::unnecessary_wraps,
        reason = "under test it fails where the test says so"
    )]
    pub(crate) fn step(_what: &str, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod trace {
    use std::cell::RefCell;
    use std::io;
    use std::path::{Path, PathBuf};

    thread_local! {
        static STEPS: RefCell<(Vec<(String, PathBuf)>, usize)> =
            const { RefCell::new((Vec::new(), usize::MAX)) };
    }

    /// Forgets what was done; the next `left` steps succeed and all later ones fail, as in a process that was killed.
    pub(crate) fn begin(left: usize) {
        STEPS.with_borrow_mut(|s| *s = (Vec::new(), left));
    }

    /// What was done since, in order; from here on everything succeeds again.
    pub(crate) fn end() -> Vec<(String, PathBuf)> {
        STEPS.with_borrow_mut(|s| std::mem::replace(s, (Vec::new(), usize::MAX)).0)
    }

    pub(crate) fn step(what: &str, path: &Path) -> io::Result<()> {
        STEPS.with_borrow_mut(|(done, left)| {
            if *left == 0 {
                return Err(io::Error::other("the test ends it here"));
            }
            *left = left.saturating_sub(usize::from(*left != usize::MAX));
            if done.len() < 100_000 {
                done.push((what.to_owned(), path.to_owned()));
            }
            Ok(())
        })
    }
}
