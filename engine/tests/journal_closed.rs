//! Looking at a journal that was closed in order: the same is seen, nothing is written, and what is not in order is left
//! to opening it in full.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod journal_support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flow_engine::id::Digest;
use flow_engine::journal::sled::{ClosedJournal, SledJournal, ToSeal};
use flow_engine::journal::{Append, Archived, Journal, JournalError, Stored};
use journal_support::*;

const RUNS: [&str; 3] = ["a", "b", "c"];

/// Three runs, of which `a` was put away, and with it one of two objects.
async fn some_put_away(dir: &Path) {
    let (journal, _) = open(dir);
    for name in RUNS {
        append(&journal, name, 0..40).await;
    }
    let object = journal.put(&[7; 9000]).await.unwrap();
    journal.put(&[8; 9000]).await.unwrap();
    let pick = ToSeal {
        run: run("a"),
        head: journal.head(&run("a")).await.unwrap().unwrap(),
        summary: b"in short".to_vec(),
        objects: vec![object],
    };
    journal.upkeep(&options()).unwrap().seal(&[pick]).unwrap();
}

#[derive(Debug, PartialEq)]
struct Seen {
    runs: BTreeMap<String, Vec<Stored>>,
    archived: Vec<Archived>,
    objects: [Vec<u8>; 2],
}

async fn seen(journal: &dyn Journal) -> Result<Seen, JournalError> {
    let mut runs = BTreeMap::new();
    for id in journal.runs().await? {
        let records = journal.read(&id).await?;
        assert_eq!(
            journal.head(&id).await?.unwrap().hash,
            records.last().unwrap().hash
        );
        runs.insert(id.to_string(), records);
    }
    Ok(Seen {
        runs,
        archived: journal.archived().await?,
        objects: [
            journal.get(&Digest::of(&[7; 9000])).await?,
            journal.get(&Digest::of(&[8; 9000])).await?,
        ],
    })
}

fn look(dir: &Path) -> Option<ClosedJournal> {
    ClosedJournal::open(dir).unwrap()
}

type File = (SystemTime, Vec<u8>);

/// Every file with its content and when it was written.
fn files(dir: &Path) -> BTreeMap<PathBuf, Option<File>> {
    let mut all = BTreeMap::from([(dir.to_owned(), None)]);
    for item in fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            let at = fs::metadata(&path).unwrap().modified().unwrap();
            let content = fs::read(&path).unwrap();
            all.insert(path, Some((at, content)));
        }
    }
    all
}

#[tokio::test]
async fn a_look_shows_what_opening_in_full_shows_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    some_put_away(dir.path()).await;
    let before = files(dir.path());
    let first = look(dir.path()).unwrap();
    let looked = seen(&first).await.unwrap();
    assert_eq!(
        seen(&look(dir.path()).unwrap()).await.unwrap(),
        looked,
        "two may look"
    );
    assert!(first.put(b"x").await.is_err());
    let more = Append {
        run: run("b"),
        first_seq: 40,
        epoch: 1,
        bodies: vec![b"x".to_vec()],
    };
    assert!(first.append(more).await.is_err());
    assert_eq!(files(dir.path()), before);
    assert!(matches!(refused(dir.path()), JournalError::Locked { .. }));
    drop(first);
    let (journal, report) = open(dir.path());
    assert_eq!(report.repaired, []);
    assert_eq!(looked.runs.len(), 3);
    assert_eq!(seen(&journal).await.unwrap(), looked);
    assert!(matches!(
        ClosedJournal::open(dir.path()),
        Err(JournalError::Locked { .. })
    ));
    drop(journal);
    assert!(look(dir.path()).is_some());
}

#[tokio::test]
async fn what_was_not_closed_in_order_is_left_to_opening_it_in_full() {
    let live = tempfile::tempdir().unwrap();
    let killed = tempfile::tempdir().unwrap();
    assert!(look(&live.path().join("none")).is_none());
    let (journal, _) = open(live.path());
    append(&journal, "a", 0..3).await;
    copy(live.path(), killed.path());
    drop(journal);
    assert!(look(killed.path()).is_none(), "killed");
    drop(SledJournal::open(killed.path(), &options()).unwrap());
    assert!(look(killed.path()).is_some(), "mended and closed");
    fs::create_dir(live.path().join("next")).unwrap();
    assert!(
        look(live.path()).is_none(),
        "an exchange that was cut short"
    );
}

#[tokio::test]
async fn no_damage_is_ever_shown_as_something_else() {
    let dir = tempfile::tempdir().unwrap();
    some_put_away(dir.path()).await;
    let truth = seen(&look(dir.path()).unwrap()).await.unwrap();
    let (mut left, mut refused, mut harmless) = (0, 0, 0);
    // A damaged object is read from its second copy, as it is when the journal is opened in full.
    for (path, file) in files(dir.path()) {
        let Some((_, content)) = file else {
            continue;
        };
        if path.starts_with(dir.path().join("sled")) {
            continue;
        }
        let used = content.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
        let step = (used / 150).max(1);
        let mut damages: Vec<Vec<u8>> = (0..used)
            .step_by(step)
            .map(|at| {
                let mut bytes = content.clone();
                bytes[at] ^= 0x40;
                bytes
            })
            .collect();
        damages.push(content[..used / 2].to_vec());
        damages.push(Vec::new());
        for damage in damages {
            fs::write(&path, damage).unwrap();
            match ClosedJournal::open(dir.path()) {
                Ok(None) => left += 1,
                Err(_) => refused += 1,
                Ok(Some(journal)) => match seen(&journal).await {
                    Err(_) => refused += 1,
                    Ok(found) => {
                        assert!(found == truth, "damage to {} shows", path.display());
                        harmless += 1;
                    }
                },
            }
        }
        fs::write(&path, content).unwrap();
    }
    // Everything is there twice, objects too: one damage refuses nothing.
    assert!(
        left > 200 && refused == 0 && harmless > 150,
        "{left} {refused} {harmless}"
    );
}
