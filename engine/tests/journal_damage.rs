//! What a disk, a program or a person can do to the files, and what the journal makes of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod journal_support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flow_engine::id::Digest;
use flow_engine::journal::sled::ClosedJournal;
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

/// Both files of an object.
fn both(dir: &Path, digest: &Digest) -> [PathBuf; 2] {
    let name = digest.to_string();
    ["objects", "copies"].map(|folder| dir.join(folder).join(&name[..2]).join(&name))
}

#[tokio::test]
async fn an_object_damaged_in_both_copies_is_refused_and_storing_it_again_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let digest = journal.put(&[3; 10_000]).await.unwrap();
    for path in both(dir.path(), &digest) {
        flip(&path, 5_000);
    }
    let error = journal.get(&digest).await.unwrap_err();
    assert!(place_of(&error).contains(&digest.to_string()));
    journal.put(&[3; 10_000]).await.unwrap();
    assert_eq!(journal.get(&digest).await.unwrap(), [3; 10_000]);
    for path in both(dir.path(), &digest) {
        assert_eq!(fs::read(path).unwrap(), [3; 10_000]);
    }
}

#[tokio::test]
async fn a_flipped_bit_in_either_copy_of_an_object_loses_nothing_and_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let bytes: Vec<u8> = (0..=255).cycle().take(6_000).collect();
    let digest = journal.put(&bytes).await.unwrap();
    for which in 0..2 {
        for sample in 0..40 {
            let path = &both(dir.path(), &digest)[which];
            flip(path, sample * 149);
            assert_eq!(
                journal.get(&digest).await.unwrap(),
                bytes,
                "{which} {sample}"
            );
            let (done, lost) = journal.mend_objects().await.unwrap();
            // Reading the first copy has mended it already; nobody reads the second one before it is needed.
            assert_eq!((done.len(), lost.len()), (which, 0), "{which} {sample}");
            assert_eq!(fs::read(path).unwrap(), bytes, "{which} {sample}");
        }
    }
}

#[tokio::test]
async fn a_lost_copy_of_an_object_is_made_anew_when_the_journal_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let digest = journal.put(&[5; 4_000]).await.unwrap();
    append(&journal, "a", 0..3).await;
    drop(journal);
    for (which, reported) in [(0, 1), (1, 0)] {
        fs::remove_file(&both(dir.path(), &digest)[which]).unwrap();
        let (journal, report) = open(dir.path());
        // A second copy that is not there is what a kill leaves between the two, and what earlier versions left.
        assert_eq!(report.repaired.len(), reported, "{report:?}");
        assert_eq!(journal.get(&digest).await.unwrap(), [5; 4_000]);
        drop(journal);
        for path in both(dir.path(), &digest) {
            assert_eq!(fs::read(path).unwrap(), [5; 4_000], "{which}");
        }
    }
    fs::remove_dir_all(dir.path().join("objects")).unwrap();
    let (journal, report) = open(dir.path());
    assert_eq!(report.repaired.len(), 1, "{report:?}");
    assert_eq!(journal.get(&digest).await.unwrap(), [5; 4_000]);
}

#[tokio::test]
async fn a_journal_that_is_held_open_is_read_as_it_lies_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let digest = journal.put(&[7; 4_000]).await.unwrap();
    append(&journal, "a", 0..50).await;
    flip(&both(dir.path(), &digest)[0], 9);
    let names = |dir: &Path| {
        let mut all: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|i| i.unwrap().file_name())
            .collect();
        all.sort();
        all
    };
    let before = names(dir.path());
    let (lying, lacks) = ClosedJournal::as_it_lies(dir.path()).unwrap();
    assert_eq!(lacks, Vec::<String>::new());
    let records = lying.read(&run("a")).await.unwrap();
    assert_eq!(records.len(), 50);
    assert_eq!(
        lying.get(&digest).await.unwrap(),
        [7; 4_000],
        "from the second copy"
    );
    assert_eq!(names(dir.path()), before);
    assert_ne!(
        fs::read(&both(dir.path(), &digest)[0]).unwrap(),
        [7; 4_000],
        "it is not for looking to mend"
    );
    append(&journal, "a", 50..60).await;
    let (lying, _) = ClosedJournal::as_it_lies(dir.path()).unwrap();
    assert_eq!(
        lying.read(&run("a")).await.unwrap().len(),
        60,
        "what was acknowledged is there"
    );
}

#[tokio::test]
async fn what_a_damaged_segment_lacks_is_said_by_a_look_at_a_journal_as_it_lies() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let first = &segments(dir.path())[0];
    let at = find(&fs::read(first).unwrap(), &body("a", 5)).unwrap();
    flip(first, at);
    let (lying, lacks) = ClosedJournal::as_it_lies(dir.path()).unwrap();
    assert!(lacks[0].contains("damaged"), "{lacks:?}");
    let error = lying.read(&run("a")).await.unwrap_err();
    assert!(place_of(&error).contains("run a record 5"), "{error}");
}
