//! Things too large for a record, each in a file named by what it contains.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::Digest;
use crate::journal::{JournalError, files};

fn path_of(objects: &Path, digest: &Digest) -> PathBuf {
    let name = digest.to_string();
    objects.join(&name[..2]).join(name)
}

/// Stores bytes durably. One that is there already is not written again, but what made its name durable may have
/// been cut short, so its folder is synced; one that is there and damaged is replaced.
pub(super) fn put(objects: &Path, bytes: &[u8]) -> io::Result<Digest> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let digest = Digest::of(bytes);
    let path = path_of(objects, &digest);
    let folder = path.parent().expect("an object lies in a folder");
    files::create_dir(folder)?;
    if fs::read(&path).is_ok_and(|there| there == bytes) {
        fs::File::open(&path)?.sync_all()?;
        files::sync_dir(folder)?;
        return Ok(digest);
    }
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let temporary = objects.join(format!("{}-{n}.tmp", std::process::id()));
    files::replace(&path, &temporary, bytes)?;
    Ok(digest)
}

/// The objects there are, by name; whether they are what their names say is not looked at.
pub(super) fn list(objects: &Path) -> io::Result<Vec<Digest>> {
    let mut found = Vec::new();
    let folders = match fs::read_dir(objects) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(found),
        other => other?,
    };
    for folder in folders {
        let folder = folder?.path();
        if !folder.is_dir() {
            continue;
        }
        for item in fs::read_dir(&folder)? {
            let path = item?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let digest = Digest::from_hex(&name);
            found.extend(digest.filter(|d| path_of(objects, d) == path));
        }
    }
    found.sort();
    Ok(found)
}

/// Bytes of an object; 0 when it is gone.
pub(super) fn size(objects: &Path, digest: &Digest) -> io::Result<u64> {
    files::bytes_in(&path_of(objects, digest))
}

/// Takes an object away; one that is gone is gone. It may come back after a power cut: then it is taken away the next
/// time.
pub(super) fn remove(objects: &Path, digest: &Digest) -> io::Result<()> {
    files::remove(&path_of(objects, digest))
}

/// The bytes, when they are what was stored.
pub(super) fn get(objects: &Path, digest: &Digest) -> Result<Vec<u8>, JournalError> {
    let path = path_of(objects, digest);
    let corrupt = |why: String| JournalError::Corrupt {
        place: path.display().to_string(),
        why,
    };
    match fs::read(&path) {
        Ok(bytes) if Digest::of(&bytes) == *digest => Ok(bytes),
        Ok(_) => Err(corrupt("its content does not have that digest".into())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(JournalError::NoObject(*digest)),
        Err(e) => Err(corrupt(e.to_string())),
    }
}
