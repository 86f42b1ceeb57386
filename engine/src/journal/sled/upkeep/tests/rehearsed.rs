//! A repair that is only tried.

use super::*;

/// Everything in a folder: name, content, and when it was last written to.
fn everything(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    for item in fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        let changed = path.metadata().unwrap().modified().unwrap();
        let content = if path.is_dir() {
            all.extend(everything(&path));
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        all.insert(path, (content, changed));
    }
    all
}

/// Each way in which a journal with two runs in the archive and two live ones is damaged here.
fn damage(how: usize, dir: &Path, object: Digest) {
    let name = object.to_string();
    let object = dir.join("objects").join(&name[..2]).join(&name);
    let segment = dir.join("wal/wal-00000001.seg");
    match how {
        0 => {}
        1 => flip(&segment, 700),
        2 => fs::remove_dir_all(dir.join("sled")).unwrap(),
        3 => fs::remove_file(dir.join("END")).unwrap(),
        4 => fs::remove_file(object).unwrap(),
        5 => fs::write(object, b"rotten").unwrap(),
        6 => flip(&dir.join("archive/catalog"), 30),
        7 => {
            flip(&dir.join("archive/catalog"), 30);
            fs::remove_file(dir.join("archive/catalog.copy")).unwrap();
            fs::write(dir.join("archive/catalog.tmp"), b"left behind").unwrap();
            fs::create_dir(dir.join("sled.damaged-1")).unwrap();
            fs::remove_file(dir.join("sled/db")).unwrap();
        }
        8 => flip(&dir.join("archive/arc-00000001.arc"), 5000),
        _ => {
            flip(&segment, 700);
            fs::remove_dir_all(dir.join("sled")).unwrap();
        }
    }
}

#[test]
fn a_rehearsed_repair_says_what_the_repair_then_does_and_changes_nothing() {
    let whole = tempfile::tempdir().unwrap();
    let object = filled(whole.path());
    seal(whole.path(), &["a", "b"], object).unwrap();
    upkeep(whole.path()).compact().unwrap();
    for how in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        copy(whole.path(), dir.path());
        damage(how, dir.path(), object);
        let before = everything(dir.path());
        let tried = || {
            let scratch = tempfile::tempdir().unwrap();
            rehearse(dir.path(), scratch.path(), &options()).map_err(|e| e.to_string())
        };
        let said = tried();
        assert_eq!(tried(), said, "{how}: twice is the same as once");
        assert!(everything(dir.path()) == before, "{how}: it was changed");

        let really = rebuild_catalog(dir.path()).and_then(|catalog| {
            let (journal, report) = SledJournal::open(dir.path(), &options())?;
            let mended = journal.upkeep(&options())?.mend()?;
            Ok(Rehearsed {
                catalog,
                report,
                mended,
            })
        });
        let really = really.map_err(|e| e.to_string());
        assert_eq!(said, really, "{how}");
        match (how, said) {
            (9, said) => assert!(said.unwrap_err().contains("not whole in sled")),
            (8, said) => assert_eq!(said.unwrap().mended.lost.len(), 1),
            (0, said) => assert!(said.unwrap().report.repaired.is_empty()),
            (_, said) => {
                let said = said.unwrap();
                let lines = said.report.repaired.len() + said.mended.done.len();
                assert!(lines > 0 && said.mended.lost.is_empty(), "{how}: {said:?}");
            }
        }
    }
}

#[test]
fn a_journal_that_somebody_has_open_is_not_rehearsed_on() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let _held = open(dir.path());
    let scratch = tempfile::tempdir().unwrap();
    let refused = rehearse(dir.path(), scratch.path(), &options()).unwrap_err();
    assert!(matches!(refused, JournalError::Locked { .. }), "{refused}");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}
