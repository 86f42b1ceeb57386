//! What the tests on the real store share.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test binary uses a part of it"
)]

use std::fs;
use std::path::{Path, PathBuf};

use flow_engine::id::RunId;
use flow_engine::journal::sled::{OpenOptions, OpenReport, SledJournal};
use flow_engine::journal::{Append, Journal, JournalError};

pub(crate) fn options() -> OpenOptions {
    OpenOptions {
        segment_bytes: 32 << 10,
        ..OpenOptions::default()
    }
}

pub(crate) fn open(dir: &Path) -> (SledJournal, OpenReport) {
    SledJournal::open(dir, &options()).unwrap()
}

pub(crate) fn refused(dir: &Path) -> JournalError {
    match SledJournal::open(dir, &options()) {
        Ok((_, report)) => panic!("it opened: {report:?}"),
        Err(e) => e,
    }
}

pub(crate) fn place_of(error: &JournalError) -> &str {
    match error {
        JournalError::Corrupt { place, .. } => place,
        other => panic!("{other:?}"),
    }
}

/// A second look must find nothing: what was mended is mended.
pub(crate) async fn sound_again(dir: &Path) {
    let (journal, report) = open(dir);
    assert_eq!(report.repaired, [], "mended for good");
    all_complete(&journal).await;
}

pub(crate) fn run(name: &str) -> RunId {
    name.parse().unwrap()
}

/// What record `seq` of a run says: no two are alike, so a file can be searched for it.
pub(crate) fn body(name: &str, seq: u64) -> Vec<u8> {
    format!("<{name} says {seq:06}>").repeat(4).into_bytes()
}

pub(crate) async fn append(journal: &SledJournal, name: &str, seqs: std::ops::Range<u64>) {
    for seq in seqs {
        let batch = Append {
            run: run(name),
            first_seq: seq,
            epoch: 1,
            bodies: vec![body(name, seq)],
        };
        journal.append(batch).await.unwrap();
    }
}

/// A journal of three runs with 300 records each, closed.
pub(crate) async fn filled(dir: &Path) {
    let (journal, _) = open(dir);
    for part in 0..3 {
        for name in ["a", "b", "c"] {
            append(&journal, name, part * 100..(part + 1) * 100).await;
        }
    }
}

/// Every record of a run is there and says what it said.
pub(crate) async fn complete(journal: &SledJournal, name: &str, count: u64) {
    let records = journal.read(&run(name)).await.unwrap();
    assert_eq!(records.len() as u64, count, "records of {name}");
    for (seq, record) in (0..).zip(records) {
        assert_eq!(record.body, body(name, seq), "{name} {seq}");
    }
}

pub(crate) async fn all_complete(journal: &SledJournal) {
    for name in ["a", "b", "c"] {
        complete(journal, name, 300).await;
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy(&item.path(), &target);
        } else {
            fs::copy(item.path(), target).unwrap();
        }
    }
}

pub(crate) fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(dir.join("wal"))
        .unwrap()
        .map(|item| item.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "seg"))
        .collect();
    all.sort();
    all
}

/// The segment that holds a record, and the offset of its body.
pub(crate) fn in_segments(dir: &Path, name: &str, seq: u64) -> (PathBuf, usize) {
    let wanted = body(name, seq);
    segments(dir)
        .into_iter()
        .find_map(|path| {
            let at = find(&fs::read(&path).unwrap(), &wanted)?;
            Some((path, at))
        })
        .unwrap()
}

/// What is done to a record.
pub(crate) enum Spoil {
    Remove,
    Nonsense,
    /// One bit of the body changes; everything else about the value is in order.
    Flip,
}

/// Alters or removes a record in sled, behind the journal's back.
pub(crate) fn spoil_in_sled(dir: &Path, name: &str, seq: u64, how: &Spoil) {
    // sled's threads may keep its lock a moment longer than the journal lives.
    let db = (0..200)
        .find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            sled::open(dir.join("sled")).ok()
        })
        .unwrap();
    let records = db.open_tree("records").unwrap();
    let mut key = name.as_bytes().to_vec();
    key.push(0);
    key.extend_from_slice(&seq.to_be_bytes());
    let mut value = records.remove(&key).unwrap().unwrap().to_vec();
    *value.last_mut().unwrap() ^= 1;
    match how {
        Spoil::Remove => {}
        Spoil::Nonsense => drop(records.insert(key, b"nonsense").unwrap()),
        Spoil::Flip => drop(records.insert(key, value).unwrap()),
    }
    db.flush().unwrap();
}
