//! A journal whose end was taken from it: what is missing is refused, written again or at least reported.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod journal_support;

use std::fs;
use std::path::{Path, PathBuf};

use flow_engine::journal::Journal;
use journal_support::*;

/// What a process leaves that was killed after 300 records of run `a`, of which sled has 100; and an earlier copy of
/// the same folder, from when the process opened it.
struct Killed {
    dir: tempfile::TempDir,
    before: tempfile::TempDir,
}

async fn killed() -> Killed {
    let (dir, before) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let live = tempfile::tempdir().unwrap();
    append(&open(live.path()).0, "a", 0..100).await;
    copy(live.path(), before.path());
    let (journal, _) = open(live.path());
    append(&journal, "a", 100..300).await;
    copy(before.path(), dir.path());
    for name in ["wal", "END"] {
        put_back(name, live.path(), dir.path());
    }
    drop(journal);
    Killed { dir, before }
}

fn put_back(name: &str, from: &Path, to: &Path) {
    let (from, to) = (from.join(name), to.join(name));
    if from.is_dir() {
        fs::remove_dir_all(&to).unwrap();
        copy(&from, &to);
    } else {
        fs::copy(from, to).unwrap();
    }
}

fn last_segment(dir: &Path) -> PathBuf {
    segments(dir).pop().unwrap()
}

fn cut(path: &Path, len: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(len).unwrap();
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

/// Each way to take the end of the segments away.
fn take_the_end(how: usize, dir: &Path, before: &Path) {
    let last = last_segment(dir);
    match how {
        0 => fs::remove_file(last).unwrap(),
        1 => cut(&last, 0),
        2 => cut(&last, 1000),
        3 => cut(&last, length(&last) - 1),
        4 => fs::remove_dir_all(dir.join("wal")).unwrap(),
        _ => put_back("wal", before, dir),
    }
}

#[tokio::test]
async fn a_killed_process_leaves_a_journal_that_opens_without_a_word() {
    let killed = killed().await;
    let (journal, report) = open(killed.dir.path());
    assert_eq!((report.repaired.len(), report.dropped), (0, None));
    complete(&journal, "a", 300).await;
}

#[tokio::test]
async fn an_end_that_was_taken_away_after_a_kill_is_missed_by_name_and_nothing_is_changed() {
    for how in 0..6 {
        let killed = killed().await;
        let dir = killed.dir.path();
        take_the_end(how, dir, killed.before.path());
        let end = fs::read(dir.join("END")).unwrap();
        for _ in 0..2 {
            let error = refused(dir);
            assert!(place_of(&error).starts_with("wal/wal-"), "{how}: {error}");
            assert!(error.to_string().contains("after commit "), "{error}");
        }
        assert_eq!(fs::read(dir.join("END")).unwrap(), end);
        // Whoever knows what is missing may go on without it.
        fs::remove_file(dir.join("END")).unwrap();
        let (journal, report) = open(dir);
        assert!(!report.repaired.is_empty(), "{how}: {report:?}");
        let there = journal.head(&run("a")).await.unwrap().unwrap().seq + 1;
        assert!((100..=300).contains(&there), "{how}: {there}");
        append(&journal, "a", there..there + 5).await;
        drop(journal);
        let (_, report) = open(dir);
        assert_eq!(report.repaired, [], "{how}");
    }
}

/// No file is cut or gone here, and no commit is missing that anything but the mark of the opening tells of.
#[tokio::test]
async fn a_segment_from_before_the_opening_is_missed_by_its_mark_alone() {
    let (dir, before) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    append(&open(dir.path()).0, "a", 0..10).await;
    copy(dir.path(), before.path());
    let live = tempfile::tempdir().unwrap();
    copy(dir.path(), live.path());
    let (journal, _) = open(live.path());
    append(&journal, "a", 10..20).await;
    assert_eq!(segments(live.path()).len(), 1, "nothing but one segment");
    put_back("wal", live.path(), dir.path());
    for killed in [&dir, &before] {
        put_back("END", live.path(), killed.path());
    }
    drop(journal);
    let (sound, report) = open(dir.path());
    assert_eq!(report.repaired, []);
    complete(&sound, "a", 20).await;
    let error = refused(before.path());
    assert_eq!(place_of(&error), "wal/wal-00000001.seg");
    let words = "it is from before the journal was last opened";
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test]
async fn an_end_that_was_taken_away_after_an_orderly_end_is_written_again_from_sled() {
    for how in 0..6 {
        let (dir, before) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        append(&open(dir.path()).0, "a", 0..100).await;
        copy(dir.path(), before.path());
        append(&open(dir.path()).0, "a", 100..300).await;
        take_the_end(how, dir.path(), before.path());
        let (journal, report) = open(dir.path());
        assert!(!report.repaired.is_empty(), "{how}: {report:?}");
        complete(&journal, "a", 300).await;
    }
}

#[tokio::test]
async fn a_damaged_last_commit_is_dropped_and_reported_with_its_place() {
    let killed = killed().await;
    let dir = killed.dir.path();
    let (path, body) = in_segments(dir, "a", 299);
    flip(&path, body + 5);
    let (journal, report) = open(dir);
    let dropped = report.dropped.unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(dropped.segment, name);
    // A frame's header, the number of records, and what is before the body of the first.
    assert_eq!(dropped.offset, (body - (20 + 4 + 1 + 1 + 50)) as u64);
    assert_eq!(dropped.seems.as_deref(), Some("run a record 299"));
    let words = format!(
        "the last commit ({} bytes at offset {} of segment {name}) is torn or damaged and was dropped; it seems to \
         have begun with run a record 299",
        dropped.bytes, dropped.offset
    );
    assert_eq!(dropped.to_string(), words);
    complete(&journal, "a", 299).await;
    drop(journal);
    assert_eq!(open(dir).1.dropped, None, "it is gone for good");
}

#[tokio::test]
async fn a_last_commit_that_sled_has_is_written_again_and_not_reported_as_dropped() {
    let dir = tempfile::tempdir().unwrap();
    append(&open(dir.path()).0, "a", 0..10).await;
    let (path, body) = in_segments(dir.path(), "a", 9);
    flip(&path, body + 5);
    let (journal, report) = open(dir.path());
    assert_eq!((report.repaired.len(), report.dropped), (1, None));
    complete(&journal, "a", 10).await;
}

#[tokio::test]
async fn a_journal_of_which_only_leftovers_are_there_is_lost_and_not_new() {
    for left in ["END", "checkpoint", "objects", "copies"] {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = open(dir.path());
        append(&journal, "a", 0..10).await;
        journal.put(&[7; 5000]).await.unwrap();
        drop(journal);
        for name in ["wal", "sled", "objects", "copies", "END", "checkpoint"] {
            let path = dir.path().join(name);
            match name {
                _ if name == left => {}
                "END" | "checkpoint" => fs::remove_file(path).unwrap(),
                _ => fs::remove_dir_all(path).unwrap(),
            }
        }
        for _ in 0..2 {
            let error = refused(dir.path()).to_string();
            let named = format!("segments and sled are gone ({left} is left)");
            assert!(error.contains(&named), "{error}");
        }
        assert!(!dir.path().join("sled").exists(), "nothing was begun");
    }
}

#[tokio::test]
async fn a_file_end_that_is_gone_or_damaged_or_older_is_reported_and_costs_nothing() {
    for how in 0..3 {
        let killed = killed().await;
        let dir = killed.dir.path();
        let end = dir.join("END");
        match how {
            0 => fs::remove_file(&end).unwrap(),
            1 => flip(&end, 20),
            _ => put_back("END", killed.before.path(), dir),
        }
        let (journal, report) = open(dir);
        assert_eq!(report.repaired.len(), 1, "{how}: {report:?}");
        assert!(report.repaired[0].what.starts_with("END"), "{report:?}");
        complete(&journal, "a", 300).await;
        drop(journal);
        assert_eq!(open(dir).1.repaired, []);
    }
}

/// Makes a segment one of the first layout, which did not say its size.
fn as_the_first_version_wrote_it(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let mut header = [0u8; 64];
    header[..32].copy_from_slice(&bytes[..32]);
    header[..8].copy_from_slice(b"FLOWSEG1");
    let crc = crc32fast::hash(&header[..32]);
    header[32..36].copy_from_slice(&crc.to_le_bytes());
    bytes[..64].copy_from_slice(&header);
    bytes[64..128].copy_from_slice(&header);
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_journal_of_the_first_layout_opens_without_a_word_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    append(&open(dir.path()).0, "a", 0..200).await;
    for segment in segments(dir.path()) {
        as_the_first_version_wrote_it(&segment);
    }
    fs::remove_file(dir.path().join("END")).unwrap();
    for part in 2..5 {
        let (journal, report) = open(dir.path());
        assert_eq!((report.repaired.len(), report.dropped), (0, None));
        complete(&journal, "a", part * 100).await;
        append(&journal, "a", part * 100..(part + 1) * 100).await;
    }
    let (journal, report) = open(dir.path());
    assert_eq!(report.repaired, []);
    complete(&journal, "a", 500).await;
}
