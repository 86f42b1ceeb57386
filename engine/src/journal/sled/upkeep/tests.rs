use std::fs;
use std::path::{Path, PathBuf};

use super::super::{OpenOptions, SledJournal};
use super::*;
use crate::journal::files::trace;
use crate::journal::{Append, Journal};

const RUNS: [&str; 4] = ["a", "b", "c", "d"];

fn options() -> OpenOptions {
    OpenOptions {
        segment_bytes: 16 << 10,
        ..OpenOptions::default()
    }
}

fn id(name: &str) -> RunId {
    name.parse().unwrap()
}

fn block<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build();
    runtime.unwrap().block_on(future)
}

fn body(name: &str, seq: u64) -> Vec<u8> {
    format!("<{name} says {seq:04}>").repeat(5).into_bytes()
}

fn append(journal: &SledJournal, name: &str, seq: u64) -> Result<Head, JournalError> {
    block(journal.append(Append {
        run: id(name),
        first_seq: seq,
        epoch: 1 + seq / 20,
        bodies: vec![body(name, seq)],
    }))
}

fn open(dir: &Path) -> SledJournal {
    SledJournal::open(dir, &options()).unwrap().0
}

/// Four runs of 40 records each, interleaved, and an object; the object's digest.
fn filled(dir: &Path) -> Digest {
    let journal = open(dir);
    for seq in 0..40 {
        for name in RUNS {
            append(&journal, name, seq).unwrap();
        }
    }
    block(journal.put(&[7; 9000])).unwrap()
}

fn upkeep(dir: &Path) -> Upkeep {
    open(dir).upkeep(&options()).unwrap()
}

fn picks(upkeep: &Upkeep, names: &[&str], object: Digest) -> Vec<ToSeal> {
    let pick = |name: &&str| ToSeal {
        run: id(name),
        head: upkeep.shared.head(&id(name)).unwrap(),
        summary: format!("summary of {name}").into_bytes(),
        objects: vec![object],
    };
    names.iter().map(pick).collect()
}

fn says_all(journal: &SledJournal, name: &str) {
    let records = block(journal.read(&id(name))).unwrap();
    assert_eq!(records.len(), 40, "records of {name}");
    for r in records {
        assert_eq!(r.body, body(name, r.seq), "{name} {}", r.seq);
    }
}

fn all_there(dir: &Path, names: &[&str]) {
    let (journal, report) = SledJournal::open(dir, &options()).unwrap();
    assert_eq!(report.repaired, []);
    for name in names {
        says_all(&journal, name);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        if item.path().is_dir() {
            copy(&item.path(), &to.join(item.file_name()));
        } else {
            fs::copy(item.path(), to.join(item.file_name())).unwrap();
        }
    }
}

fn archives(dir: &Path) -> Vec<PathBuf> {
    let found = archive::list(&dir.join("archive")).unwrap();
    found.into_iter().map(|(_, path)| path).collect()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn seal(dir: &Path, names: &[&str], object: Digest) -> Result<(), JournalError> {
    let mut upkeep = upkeep(dir);
    let picks = picks(&upkeep, names, object);
    trace::begin(usize::MAX);
    upkeep.seal(&picks).map(drop)
}

#[test]
fn a_sealed_run_is_read_like_any_other_takes_no_record_and_leaves_the_live_store() {
    let dir = tempfile::tempdir().unwrap();
    let object = filled(dir.path());
    seal(dir.path(), &["a", "c"], object).unwrap();
    all_there(dir.path(), &RUNS);
    let done = upkeep(dir.path()).compact().unwrap();
    assert_eq!(done.runs, 2);
    assert!(done.after < done.before, "{done:?}");
    all_there(dir.path(), &RUNS);
    let (journal, report) = SledJournal::open(dir.path(), &options()).unwrap();
    assert_eq!((report.runs, report.records_verified), (4, 80));
    for seq in [0, 40] {
        let refused = append(&journal, "a", seq).unwrap_err();
        assert!(matches!(refused, JournalError::Sealed { .. }), "{refused}");
    }
    append(&journal, "b", 40).unwrap();
    let archived = block(journal.archived()).unwrap();
    assert_eq!(archived.len(), 2);
    assert_eq!(archived[1].summary, b"summary of c");
    let stats = block(journal.stats()).unwrap();
    assert_eq!((stats.live_runs, stats.live_records), (2, 81));
    assert_eq!((stats.sealed_runs, stats.sealed_records), (2, 80));
    assert_eq!(stats.largest_run.as_deref(), Some("b"));
}

/// Runs `act` on copies of a folder, ended before its first, second, third … step on files, and each time ends the
/// recovery at several of its own steps before it is let through. Then everything must be there, and acting again works.
fn ended_everywhere(
    prepared: &Path,
    readable: &[&str],
    act: impl Fn(&Path) -> Result<(), JournalError>,
) -> usize {
    for left in 0.. {
        let dir = tempfile::tempdir().unwrap();
        copy(prepared, dir.path());
        let upkeep_done = {
            ENDS_AFTER.set(left);
            let done = act(dir.path());
            trace::end();
            ENDS_AFTER.set(usize::MAX);
            done.is_ok()
        };
        for recovery in 0..12 {
            trace::begin(recovery);
            let opened = SledJournal::open(dir.path(), &options());
            trace::end();
            drop(opened);
        }
        all_there(dir.path(), readable);
        act(dir.path()).unwrap();
        trace::end();
        all_there(dir.path(), readable);
        if upkeep_done {
            return left;
        }
    }
    unreachable!("the loop above ends")
}

thread_local! {
    static ENDS_AFTER: std::cell::Cell<usize> = const { std::cell::Cell::new(usize::MAX) };
}

#[test]
fn sealing_can_be_ended_at_every_step_and_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let object = filled(dir.path());
    let points = ended_everywhere(dir.path(), &RUNS, |dir| {
        let mut upkeep = upkeep(dir);
        let picks = picks(&upkeep, &["a", "b", "c"], object);
        trace::begin(ENDS_AFTER.get());
        upkeep.seal(&picks).map(drop)
    });
    assert!(points > 6, "{points} points");
}

#[test]
fn compacting_can_be_ended_at_every_step_and_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let object = filled(dir.path());
    seal(dir.path(), &["a", "b", "c"], object).unwrap();
    let points = ended_everywhere(dir.path(), &RUNS, |dir| {
        let upkeep = upkeep(dir);
        trace::begin(ENDS_AFTER.get());
        upkeep.compact().map(drop)
    });
    assert!(points > 15, "{points} points");
}

#[test]
fn unsealing_can_be_ended_at_every_step_and_the_run_takes_records_again() {
    let dir = tempfile::tempdir().unwrap();
    let object = filled(dir.path());
    seal(dir.path(), &["a", "b"], object).unwrap();
    upkeep(dir.path()).compact().unwrap();
    ended_everywhere(dir.path(), &RUNS, |dir| {
        let upkeep = upkeep(dir);
        trace::begin(ENDS_AFTER.get());
        upkeep.unseal(&id("a")).map(drop)
    });
    upkeep(dir.path()).unseal(&id("a")).unwrap();
    let journal = open(dir.path());
    append(&journal, "a", 40).unwrap();
    assert!(append(&journal, "b", 40).is_err());
}

#[test]
fn pruning_can_be_ended_at_every_step_and_only_takes_what_was_named() {
    let dir = tempfile::tempdir().unwrap();
    let object = filled(dir.path());
    seal(dir.path(), &["a", "b", "c"], object).unwrap();
    upkeep(dir.path()).compact().unwrap();
    ended_everywhere(dir.path(), &["a", "c", "d"], |dir| {
        let mut upkeep = upkeep(dir);
        trace::begin(ENDS_AFTER.get());
        upkeep.prune(&[id("b")]).map(drop)
    });
    let done = upkeep(dir.path()).prune(&[id("b"), id("d")]).unwrap();
    assert_eq!(done.runs, 1, "d is not sealed");
    assert_eq!(upkeep(dir.path()).prune(&[id("b")]).unwrap().runs, 0);
    let journal = open(dir.path());
    let gone = block(journal.read(&id("b"))).unwrap_err();
    assert!(matches!(gone, JournalError::Pruned { .. }), "{gone}");
    assert!(!block(journal.runs()).unwrap().contains(&id("b")));
    let archived = block(journal.archived()).unwrap();
    assert_eq!((archived[1].run.as_str(), archived[1].pruned), ("b", true));
    assert!(append(&journal, "b", 0).is_err(), "the name stays taken");
    drop(journal);
    upkeep(dir.path()).prune(&[id("a"), id("c")]).unwrap();
    assert_eq!(archives(dir.path()), [] as [PathBuf; 0]);
}

#[test]
fn a_new_name_is_durable_before_anything_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let object = filled(dir.path());
    let mut first = upkeep(dir.path());
    let picks = picks(&first, &["a", "b"], object);
    trace::begin(usize::MAX);
    first.seal(&picks).unwrap();
    first.compact().unwrap();
    let mut second = upkeep(dir.path());
    second.prune(&[id("a")]).unwrap();
    let steps = trace::end();
    let renames: Vec<usize> = (0..steps.len())
        .filter(|i| steps[*i].0 == "rename")
        .collect();
    assert!(renames.len() > 8, "{steps:?}");
    for at in renames {
        let folder = steps[at].1.parent().unwrap();
        let next = steps.get(at + 1).unwrap();
        assert_eq!(next, &("sync".to_owned(), folder.to_owned()), "after {at}");
    }
    let removed = |name: &str| {
        let named = |(what, path): &(String, PathBuf)| what == "remove" && path.ends_with(name);
        steps.iter().position(named).unwrap()
    };
    let ready = steps
        .iter()
        .position(|(_, path)| path.ends_with("next/READY"));
    assert!(ready.unwrap() < removed("old"));
    let catalog = steps
        .iter()
        .rposition(|(_, path)| path.ends_with("archive/catalog"));
    assert!(catalog.unwrap() < removed("archive/arc-00000001.arc"));
}

#[test]
fn a_run_whose_archive_is_damaged_stays_in_the_live_store() {
    let dir = tempfile::tempdir().unwrap();
    let object = filled(dir.path());
    seal(dir.path(), &["a", "b"], object).unwrap();
    let file = &archives(dir.path())[0];
    let size = usize::try_from(file.metadata().unwrap().len()).unwrap();
    flip(file, size - 1000);
    let refused = upkeep(dir.path()).compact().unwrap_err();
    assert!(refused.to_string().contains("run b"), "{refused}");
    all_there(dir.path(), &RUNS);
    flip(file, size - 1000);
    upkeep(dir.path()).compact().unwrap();
    all_there(dir.path(), &RUNS);
}

#[test]
fn every_byte_of_an_archive_counts() {
    let dir = tempfile::tempdir().unwrap();
    let object = filled(dir.path());
    seal(dir.path(), &["a"], object).unwrap();
    let file = &archives(dir.path())[0];
    let sound = fs::read(file).unwrap();
    assert!(archive::verify_file(file).is_ok());
    for at in (0..sound.len())
        .step_by(37)
        .chain(0..60)
        .chain(sound.len() - 50..sound.len())
    {
        let mut bytes = sound.clone();
        bytes[at] ^= 4;
        fs::write(file, bytes).unwrap();
        assert!(archive::verify_file(file).is_err(), "byte {at}");
    }
    for len in (0..sound.len()).step_by(101) {
        fs::write(file, &sound[..len]).unwrap();
        assert!(archive::verify_file(file).is_err(), "cut at {len}");
    }
}

#[test]
fn a_damaged_catalog_comes_from_its_copy_and_two_from_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let object = filled(dir.path());
    seal(dir.path(), &["a", "b"], object).unwrap();
    upkeep(dir.path()).compact().unwrap();
    let (one, two) = (
        dir.path().join("archive/catalog"),
        dir.path().join("archive/catalog.copy"),
    );
    flip(&one, 60);
    let (journal, report) = SledJournal::open(dir.path(), &options()).unwrap();
    assert_eq!(report.repaired.len(), 1);
    says_all(&journal, "a");
    drop(journal);
    all_there(dir.path(), &RUNS);
    flip(&one, 60);
    fs::remove_file(&two).unwrap();
    let refused = SledJournal::open(dir.path(), &options()).unwrap_err();
    assert!(matches!(refused, JournalError::Corrupt { .. }), "{refused}");
    let done = rebuild_catalog(dir.path()).unwrap();
    assert!(done.unwrap().contains("2 runs"));
    assert_eq!(rebuild_catalog(dir.path()).unwrap(), None);
    all_there(dir.path(), &RUNS);
}

/// What was pruned is gone from the disk, also when the process was killed and the command given again.
#[test]
fn what_was_pruned_is_gone_however_often_that_was_cut_short() {
    let prepared = tempfile::tempdir().unwrap();
    let object = filled(prepared.path());
    seal(prepared.path(), &["a", "b", "c"], object).unwrap();
    upkeep(prepared.path()).compact().unwrap();
    for left in 0..200 {
        let dir = tempfile::tempdir().unwrap();
        copy(prepared.path(), dir.path());
        let mut first = upkeep(dir.path());
        trace::begin(left);
        let done = first.prune(&[id("b")]).is_ok();
        trace::end();
        drop(first);
        let mut second = upkeep(dir.path());
        second.prune(&[id("b")]).unwrap();
        drop(second);
        let there = archives(dir.path());
        assert_eq!(there.len(), 1, "killed at {left}: {there:?}");
        if done {
            return;
        }
    }
}

mod objects_kept;
mod rehearsed;
