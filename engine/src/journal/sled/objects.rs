//! Things too large for a record, each in a file named by what it contains, twice: under `objects/` and under `copies/`.
//!
//! The first is written before the second, and the second is removed before the first. So a process that was killed
//! leaves a first without a second, never the other way round: that is completed without a word, and a second without a
//! first is damage.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::places::Places;
use crate::id::Digest;
use crate::journal::{JournalError, files};

fn path_of(folder: &Path, digest: &Digest) -> PathBuf {
    let name = digest.to_string();
    folder.join(&name[..2]).join(name)
}

/// Stores bytes durably, twice. One that is there already is not written again, but what made its name durable may have
/// been cut short, so its folder is synced; one that is there and damaged is replaced.
pub(super) fn put(places: &Places, bytes: &[u8]) -> io::Result<Digest> {
    let digest = Digest::of(bytes);
    put_one(&places.objects, &digest, bytes)?;
    put_one(&places.copies, &digest, bytes)?;
    Ok(digest)
}

fn put_one(objects: &Path, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let path = path_of(objects, digest);
    let folder = path.parent().expect("an object lies in a folder");
    files::create_dir(folder)?;
    if fs::read(&path).is_ok_and(|there| there == bytes) {
        fs::File::open(&path)?.sync_all()?;
        return files::sync_dir(folder);
    }
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let temporary = objects.join(format!("{}-{n}.tmp", std::process::id()));
    files::replace(&path, &temporary, bytes)
}

/// The objects there are in either place, by name; whether they are what their names say is not looked at.
pub(super) fn list(places: &Places) -> io::Result<Vec<Digest>> {
    let mut all: BTreeSet<Digest> = list_one(&places.objects)?.into_iter().collect();
    all.extend(list_one(&places.copies)?);
    Ok(all.into_iter().collect())
}

fn list_one(objects: &Path) -> io::Result<Vec<Digest>> {
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

/// Bytes of an object in both places; 0 when it is gone.
pub(super) fn size(places: &Places, digest: &Digest) -> io::Result<u64> {
    let one = |folder| files::bytes_in(&path_of(folder, digest));
    Ok(one(&places.objects)? + one(&places.copies)?)
}

/// Takes an object away; one that is gone is gone. It may come back after a power cut: then it is taken away the next
/// time.
pub(super) fn remove(places: &Places, digest: &Digest) -> io::Result<()> {
    files::remove(&path_of(&places.copies, digest))?;
    files::remove(&path_of(&places.objects, digest))
}

/// The bytes, when they are what was stored in at least one place.
pub(super) fn get(places: &Places, digest: &Digest) -> Result<Vec<u8>, JournalError> {
    get_one(&places.objects, digest)
        .or_else(|lost| get_one(&places.copies, digest).map_err(|_| lost))
}

fn get_one(objects: &Path, digest: &Digest) -> Result<Vec<u8>, JournalError> {
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

/// The bytes, when they are what was stored where they are looked for first.
pub(super) fn first(places: &Places, digest: &Digest) -> Option<Vec<u8>> {
    get_one(&places.objects, digest).ok()
}

/// What looking at both places of all objects found and did.
#[derive(Debug, Default)]
pub(super) struct ObjectRepairs {
    /// What was damaged or missing in one place and was written anew from the other, in words.
    pub(super) done: Vec<String>,
    /// What is sound in neither.
    pub(super) lost: Vec<Digest>,
}

/// Reads all objects in both places and writes anew what is damaged in one. A second copy that is merely not there is
/// written without a word.
pub(super) fn mend(places: &Places) -> io::Result<ObjectRepairs> {
    let mut mended = ObjectRepairs::default();
    for digest in list(places)? {
        match mend_one(places, &digest)? {
            ObjectState::Whole => {}
            ObjectState::Rebuilt(words) => mended.done.push(words),
            ObjectState::Lost => mended.lost.push(digest),
        }
    }
    Ok(mended)
}

/// What became of one object.
pub(super) enum ObjectState {
    /// It is whole in both places.
    Whole,
    /// It was damaged in one and is whole again; in words.
    Rebuilt(String),
    /// It is sound in neither.
    Lost,
}

/// The same for one object.
pub(super) fn mend_one(places: &Places, digest: &Digest) -> io::Result<ObjectState> {
    let first = get_one(&places.objects, digest);
    let second = get_one(&places.copies, digest);
    Ok(match (first, second) {
        (Ok(_), Ok(_)) => ObjectState::Whole,
        (Ok(bytes), Err(why)) => {
            put_one(&places.copies, digest, &bytes)?;
            match why {
                JournalError::NoObject(_) => ObjectState::Whole,
                _ => ObjectState::Rebuilt(format!(
                    "the second copy of object {digest}, from the first"
                )),
            }
        }
        (Err(_), Ok(bytes)) => {
            put_one(&places.objects, digest, &bytes)?;
            ObjectState::Rebuilt(format!("object {digest}, from its second copy"))
        }
        (Err(_), Err(_)) => ObjectState::Lost,
    })
}

/// Completes what lies in one place only, by name, without reading what lies in both; in words what was damage.
pub(super) fn complete(places: &Places) -> io::Result<Vec<String>> {
    let first: BTreeSet<Digest> = list_one(&places.objects)?.into_iter().collect();
    let second: BTreeSet<Digest> = list_one(&places.copies)?.into_iter().collect();
    let mut done = Vec::new();
    for digest in first.symmetric_difference(&second) {
        if let ObjectState::Rebuilt(words) = mend_one(places, digest)? {
            done.push(words);
        }
    }
    Ok(done)
}
