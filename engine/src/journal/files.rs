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
    File::open(path)?.sync_all()
}

/// Makes a folder's own name durable. The folder above may be somebody else's and not for us to read: then whoever
/// made the folder has to have done it.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match sync_dir(&parent(path)) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
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
    fs::rename(temporary, path)?;
    sync_dir(&parent(path))
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
