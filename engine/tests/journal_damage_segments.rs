//! Damage to the segments, alone and together with sled.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod journal_support;

use std::fs;

use journal_support::*;

#[tokio::test]
async fn every_kind_of_damage_to_a_record_in_a_segment_is_repaired_from_sled() {
    let base = tempfile::tempdir().unwrap();
    filled(base.path()).await;
    for (name, seq) in [("a", 0), ("b", 150), ("c", 299)] {
        for back in [0, 40, 117, 130] {
            let dir = tempfile::tempdir().unwrap();
            copy(base.path(), dir.path());
            let (path, at) = in_segments(dir.path(), name, seq);
            flip(&path, at - back.min(at));
            let (journal, report) = open(dir.path());
            assert_eq!(report.repaired.len(), 1, "{name} {seq} -{back}: {report:?}");
            assert_eq!(report.repaired[0].from, "sled");
            assert!(report.repaired[0].kept.as_ref().unwrap().exists());
            all_complete(&journal).await;
            append(&journal, "d", 0..3).await;
            drop(journal);
            sound_again(dir.path()).await;
        }
    }
}

#[tokio::test]
async fn a_damaged_segment_header_is_repaired() {
    for offset in [3, 30, 64 + 3] {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path()).await;
        flip(&segments(dir.path())[1], offset);
        let (journal, report) = open(dir.path());
        assert_eq!(report.repaired.len(), 1, "{report:?}");
        all_complete(&journal).await;
        drop(journal);
        sound_again(dir.path()).await;
    }
}

#[tokio::test]
async fn a_missing_or_shortened_segment_is_written_again_from_sled() {
    let base = tempfile::tempdir().unwrap();
    filled(base.path()).await;
    let count = segments(base.path()).len();
    for n in 0..count {
        for left in [None, Some(0), Some(100), Some(9_000)] {
            let dir = tempfile::tempdir().unwrap();
            copy(base.path(), dir.path());
            let path = segments(dir.path())[n].clone();
            match left {
                None => fs::remove_file(&path).unwrap(),
                Some(len) => {
                    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
                    file.set_len(len).unwrap();
                }
            }
            let (journal, report) = open(dir.path());
            assert!(!report.repaired.is_empty(), "{n} {left:?}");
            all_complete(&journal).await;
            append(&journal, "d", 0..300).await;
            drop(journal);
            sound_again(dir.path()).await;
        }
    }
}

#[tokio::test]
async fn all_segments_gone_is_repaired_from_sled() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    fs::remove_dir_all(dir.path().join("wal")).unwrap();
    let (journal, report) = open(dir.path());
    assert_eq!(report.repaired[0].records, 900, "{report:?}");
    all_complete(&journal).await;
    drop(journal);
    sound_again(dir.path()).await;
}

#[tokio::test]
async fn the_same_record_damaged_in_both_copies_is_named_and_nothing_is_changed() {
    for how in &[Spoil::Remove, Spoil::Nonsense, Spoil::Flip] {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path()).await;
        let (path, at) = in_segments(dir.path(), "b", 117);
        flip(&path, at + 5);
        let (path, at) = in_segments(dir.path(), "b", 217);
        flip(&path, at + 5);
        spoil_in_sled(dir.path(), "b", 117, how);
        spoil_in_sled(dir.path(), "c", 3, how);
        let before: Vec<_> = segments(dir.path())
            .iter()
            .map(|p| fs::read(p).unwrap())
            .collect();
        let checkpoint = fs::read(dir.path().join("checkpoint")).unwrap();
        for _ in 0..2 {
            let error = refused(dir.path());
            assert_eq!(place_of(&error), "run b record 117", "{error}");
        }
        let after: Vec<_> = segments(dir.path())
            .iter()
            .map(|p| fs::read(p).unwrap())
            .collect();
        assert_eq!(before, after);
        assert_eq!(fs::read(dir.path().join("checkpoint")).unwrap(), checkpoint);
        assert!(!dir.path().join("sled.damaged-1").exists());
    }
}

#[tokio::test]
async fn the_last_record_of_a_run_lost_in_both_copies_is_missed_and_named() {
    for (name, seq) in [("b", 299), ("c", 299)] {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path()).await;
        let (path, at) = in_segments(dir.path(), name, seq);
        flip(&path, at + 5);
        spoil_in_sled(dir.path(), name, seq, &Spoil::Remove);
        let error = refused(dir.path());
        assert_eq!(
            place_of(&error),
            format!("run {name} record {seq}"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn different_records_damaged_in_the_two_copies_are_both_repaired() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let (path, at) = in_segments(dir.path(), "a", 42);
    flip(&path, at + 5);
    spoil_in_sled(dir.path(), "c", 142, &Spoil::Flip);
    spoil_in_sled(dir.path(), "c", 299, &Spoil::Remove);
    let (journal, report) = open(dir.path());
    assert_eq!(report.repaired.len(), 2, "{report:?}");
    all_complete(&journal).await;
    drop(journal);
    sound_again(dir.path()).await;
}

#[tokio::test]
async fn an_older_copy_of_the_segments_is_noticed_and_completed() {
    let dir = tempfile::tempdir().unwrap();
    append(&open(dir.path()).0, "a", 0..100).await;
    let old = tempfile::tempdir().unwrap();
    copy(&dir.path().join("wal"), old.path());
    append(&open(dir.path()).0, "a", 100..200).await;
    fs::remove_dir_all(dir.path().join("wal")).unwrap();
    copy(old.path(), &dir.path().join("wal"));
    let (journal, report) = open(dir.path());
    assert_eq!(report.repaired.len(), 1, "{report:?}");
    assert_eq!(report.repaired[0].records, 100);
    complete(&journal, "a", 200).await;
}

#[tokio::test]
async fn a_tail_that_no_commit_finished_is_cut_without_a_word_of_damage() {
    let dir = tempfile::tempdir().unwrap();
    append(&open(dir.path()).0, "a", 0..10).await;
    let path = segments(dir.path())[0].clone();
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|b| *b != 0).unwrap() + 1;
    bytes[end..end + 8].copy_from_slice(b"FWF1\xff\x0b\0\0");
    bytes[end + 8..end + 3000].fill(7);
    fs::write(&path, bytes).unwrap();
    let (journal, report) = open(dir.path());
    assert_eq!((report.repaired.len(), report.cut_bytes), (0, 3000));
    append(&journal, "a", 10..20).await;
    drop(journal);
    let (journal, report) = open(dir.path());
    assert_eq!((report.repaired.len(), report.cut_bytes), (0, 0));
    complete(&journal, "a", 20).await;
}
