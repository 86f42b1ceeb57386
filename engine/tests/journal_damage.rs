//! What a disk, a program or a person can do to the files, and what the journal makes of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod journal_support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use flow_engine::journal::{Journal, JournalError};
use journal_support::*;

#[tokio::test]
async fn a_clean_journal_opens_without_a_repair() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let (journal, report) = open(dir.path());
    assert_eq!(
        (report.repaired.len(), report.replayed, report.cut_bytes),
        (0, 0, 0)
    );
    assert_eq!((report.runs, report.records_verified), (3, 900));
    assert!(segments(dir.path()).len() > 2, "the log was rotated");
    all_complete(&journal).await;
}

#[tokio::test]
async fn folders_and_files_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("state");
    let (journal, _) = open(&root);
    append(&journal, "a", 0..3).await;
    journal.put(b"large").await.unwrap();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for item in fs::read_dir(&folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                let sleds_own = path.ends_with("sled/blobs");
                folders.extend((!sleds_own).then_some(path));
            } else {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
            }
        }
    }
}

#[tokio::test]
async fn a_second_open_is_told_who_holds_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    match refused(dir.path()) {
        JournalError::Locked { holder } => {
            assert!(
                holder.contains(&format!("pid {} ", std::process::id())),
                "{holder}"
            );
            assert!(
                holder.contains("boot ") && holder.contains("since "),
                "{holder}"
            );
        }
        other => panic!("{other:?}"),
    }
    append(&journal, "a", 0..1).await;
    drop(journal);
    complete(&open(dir.path()).0, "a", 1).await;
}

#[tokio::test]
async fn a_snapshot_that_a_kill_left_half_written_does_not_keep_the_journal_shut() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let torn = dir.path().join("sled/snap.00000000000A0000.generating");
    fs::write(&torn, b"half").unwrap();
    let (journal, report) = open(dir.path());
    assert_eq!(report.repaired, []);
    assert!(!torn.exists());
    all_complete(&journal).await;
}

#[tokio::test]
async fn a_kill_while_sled_writes_its_configuration_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("sled/blobs")).unwrap();
    fs::write(
        dir.path().join("sled/conf"),
        b"a configuration without its checksum",
    )
    .unwrap();
    let (journal, report) = open(dir.path());
    assert_eq!(report.repaired, []);
    append(&journal, "a", 0..3).await;
    drop(journal);
    complete(&open(dir.path()).0, "a", 3).await;
}

#[tokio::test]
async fn a_deleted_sled_folder_is_rebuilt_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    let (journal, report) = open(dir.path());
    assert_eq!(report.repaired.len(), 1, "{report:?}");
    assert_eq!(report.repaired[0].records, 900);
    assert!(report.repaired[0].what.contains("missing"));
    all_complete(&journal).await;
    drop(journal);
    sound_again(dir.path()).await;
}

#[tokio::test]
async fn a_sled_file_cut_anywhere_loses_no_record() {
    let base = tempfile::tempdir().unwrap();
    filled(base.path()).await;
    let size = fs::metadata(base.path().join("sled/db")).unwrap().len();
    for tenth in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        copy(base.path(), dir.path());
        let db = fs::OpenOptions::new()
            .write(true)
            .open(dir.path().join("sled/db"))
            .unwrap();
        db.set_len(size * tenth / 10).unwrap();
        let (journal, report) = open(dir.path());
        all_complete(&journal).await;
        assert!(
            tenth > 5 || !report.repaired.is_empty(),
            "{tenth}: {report:?}"
        );
        drop(journal);
        sound_again(dir.path()).await;
    }
}

#[tokio::test]
async fn a_flipped_byte_in_sled_loses_no_record_and_is_reported_when_it_mattered() {
    let base = tempfile::tempdir().unwrap();
    filled(base.path()).await;
    let db = fs::read(base.path().join("sled/db")).unwrap();
    let mut repairs = 0;
    for sample in 0..30 {
        let dir = tempfile::tempdir().unwrap();
        copy(base.path(), dir.path());
        flip(
            &dir.path().join("sled/db"),
            db.len() / 30 * sample + sample * 7,
        );
        let (journal, report) = open(dir.path());
        all_complete(&journal).await;
        repairs += report.repaired.len();
        for repair in &report.repaired {
            let kept = repair.kept.as_ref().expect("the damaged folder is kept");
            assert!(kept.is_dir() && repair.what.contains("sled"), "{repair:?}");
        }
        drop(journal);
        sound_again(dir.path()).await;
    }
    assert!(
        repairs > 0,
        "none of 30 flipped bytes was in use: the test sees nothing"
    );
}

#[tokio::test]
async fn an_older_copy_of_the_sled_folder_is_noticed_and_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    append(&open(dir.path()).0, "a", 0..100).await;
    let old = tempfile::tempdir().unwrap();
    copy(&dir.path().join("sled"), old.path());
    append(&open(dir.path()).0, "a", 100..200).await;
    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    copy(old.path(), &dir.path().join("sled"));
    let (journal, report) = open(dir.path());
    assert_eq!(report.repaired.len(), 1, "{report:?}");
    assert_eq!(report.repaired[0].records, 100);
    complete(&journal, "a", 200).await;
}

#[tokio::test]
async fn a_damaged_or_missing_checkpoint_harms_nothing() {
    for bytes in [None, Some(&b"FLOWCKP1 nonsense"[..])] {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path()).await;
        match bytes {
            None => fs::remove_file(dir.path().join("checkpoint")).unwrap(),
            Some(bytes) => fs::write(dir.path().join("checkpoint"), bytes).unwrap(),
        }
        let (journal, report) = open(dir.path());
        assert_eq!(
            report.repaired.len(),
            usize::from(bytes.is_some()),
            "{report:?}"
        );
        all_complete(&journal).await;
        drop(journal);
        sound_again(dir.path()).await;
    }
}

#[tokio::test]
async fn a_damaged_object_is_refused_and_storing_it_again_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let digest = journal.put(&[3; 10_000]).await.unwrap();
    let name = digest.to_string();
    let path = dir.path().join("objects").join(&name[..2]).join(&name);
    flip(&path, 5_000);
    let error = journal.get(&digest).await.unwrap_err();
    assert!(place_of(&error).contains(&name));
    journal.put(&[3; 10_000]).await.unwrap();
    assert_eq!(journal.get(&digest).await.unwrap(), [3; 10_000]);
}
