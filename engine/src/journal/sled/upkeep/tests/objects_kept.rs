//! Which stored objects go when runs are pruned, and where a lost one comes from.

use super::*;
use crate::clock::Timestamp;
use crate::codec;
use crate::record::{Entry as Said, Payload, Record};

/// What each run keeps, and what nobody does: `shared` is named by the runs a, b and d.
struct Kept {
    of: BTreeMap<&'static str, Digest>,
    shared: Digest,
    orphan: Digest,
}

fn note(journal: &SledJournal, name: &str, seq: u64, object: Digest) {
    let said = Said {
        at: Timestamp(1),
        record: Record::Noted {
            step: 0,
            note: Payload::Object(object),
        },
    };
    let batch = Append {
        run: id(name),
        first_seq: seq,
        epoch: 1,
        bodies: vec![codec::encode(&said).unwrap()],
    };
    block(journal.append(batch)).unwrap();
}

/// Runs a, b, c that are put away, and d that is live.
fn noted(dir: &Path) -> Kept {
    let journal = open(dir);
    let put = |text: &str| block(journal.put(text.repeat(900).as_bytes())).unwrap();
    let (shared, orphan) = (put("of many"), put("of nobody"));
    let of: BTreeMap<_, _> = RUNS.into_iter().map(|name| (name, put(name))).collect();
    for (name, object) in &of {
        note(&journal, name, 0, *object);
        if *name != "c" {
            note(&journal, name, 1, shared);
        }
    }
    drop(journal);
    let mut upkeep = upkeep(dir);
    let mut picked = Vec::new();
    for name in ["a", "b", "c"] {
        let mut pick = picks(&upkeep, &[name], of[name]).remove(0);
        pick.objects.extend((name != "c").then_some(shared));
        picked.push(pick);
    }
    upkeep.seal(&picked).unwrap();
    upkeep.compact().unwrap();
    Kept { of, shared, orphan }
}

fn there(dir: &Path, digest: &Digest) -> bool {
    let name = digest.to_string();
    dir.join("objects").join(&name[..2]).join(&name).exists()
}

#[test]
fn an_object_goes_with_the_last_run_that_names_it_and_one_that_nobody_names_goes_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let kept = noted(dir.path());
    let mut first = upkeep(dir.path());
    assert_eq!(first.unneeded_objects(&[]).unwrap().objects, 1);
    let without = [id("a"), id("c")];
    let named = first.unneeded_objects(&without).unwrap();
    assert_eq!((named.objects, named.bytes), (3, 2 * (900 + 900 + 9 * 900)));
    assert!(there(dir.path(), &kept.orphan), "asking removes nothing");

    first.prune(&without).unwrap();
    assert_eq!(first.remove_unneeded_objects().unwrap(), named);
    assert_eq!(
        first.remove_unneeded_objects().unwrap(),
        Unneeded::default()
    );
    drop(first);
    for (name, object) in &kept.of {
        let stays = ["b", "d"].contains(name);
        assert_eq!(there(dir.path(), object), stays, "{name}");
    }
    assert!(!there(dir.path(), &kept.orphan));
    assert!(there(dir.path(), &kept.shared));
    upkeep(dir.path()).prune(&[id("b")]).unwrap();
    upkeep(dir.path()).remove_unneeded_objects().unwrap();
    assert!(there(dir.path(), &kept.shared), "d still names it");
    assert!(!there(dir.path(), &kept.of["b"]));
    let journal = open(dir.path());
    let whole = block(journal.get(&kept.shared)).unwrap();
    assert_eq!(whole, "of many".repeat(900).as_bytes());
}

#[test]
fn pruning_with_objects_can_be_ended_at_every_step_and_takes_none_that_is_needed() {
    let whole = tempfile::tempdir().unwrap();
    let kept = noted(whole.path());
    let act = |dir: &Path, left: usize| {
        let mut upkeep = upkeep(dir);
        trace::begin(left);
        upkeep
            .prune(&[id("a"), id("c")])
            .and_then(|_| upkeep.remove_unneeded_objects())
    };
    let mut ends = 0;
    for left in 0.. {
        let dir = tempfile::tempdir().unwrap();
        copy(whole.path(), dir.path());
        let done = act(dir.path(), left);
        trace::end();
        let journal = open(dir.path());
        // Killed anywhere: each run that is listed as kept has all that it names, wherever that lies.
        let pruned: Vec<String> = block(journal.archived())
            .unwrap()
            .iter()
            .filter(|filed| filed.pruned)
            .map(|filed| filed.run.to_string())
            .collect();
        for (name, object) in &kept.of {
            if !pruned.contains(&(*name).to_owned()) {
                assert!(there(dir.path(), object), "{left}: {name} lost its object");
                block(journal.read(&id(name))).unwrap();
            }
        }
        assert!(there(dir.path(), &kept.shared), "{left}");
        drop(journal);
        act(dir.path(), usize::MAX).unwrap();
        trace::end();
        assert!(
            !there(dir.path(), &kept.of["a"]),
            "{left}: it goes the next time"
        );
        assert!(there(dir.path(), &kept.of["b"]) && there(dir.path(), &kept.of["d"]));
        if done.is_ok() {
            ends = left;
            break;
        }
    }
    assert!(ends > 8, "{ends} points");
}

#[test]
fn no_object_goes_while_a_kept_run_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let kept = noted(dir.path());
    let file = archives(dir.path()).remove(0);
    let sound = fs::read(&file).unwrap();
    let mut broken = upkeep(dir.path());
    let place = broken.shared.catalog.runs[&id("b")].place.unwrap();
    flip(&file, usize::try_from(place.offset).unwrap() + 40);
    let refused = broken.remove_unneeded_objects().unwrap_err();
    assert!(matches!(refused, JournalError::Corrupt { .. }), "{refused}");
    assert!(there(dir.path(), &kept.orphan));
    drop(broken);
    fs::write(&file, sound).unwrap();

    let journal = open(dir.path());
    append(&journal, "newer", 0).unwrap();
    drop(journal);
    let refused = upkeep(dir.path()).remove_unneeded_objects().unwrap_err();
    assert!(
        refused.to_string().contains("run newer record 0"),
        "{refused}"
    );
    assert!(there(dir.path(), &kept.orphan), "it may be what that names");
}

#[test]
fn a_lost_object_is_read_from_the_archive_and_brought_back() {
    let dir = tempfile::tempdir().unwrap();
    let object = filled(dir.path());
    seal(dir.path(), &["a"], object).unwrap();
    let name = object.to_string();
    let paths = ["objects", "copies"].map(|f| dir.path().join(f).join(&name[..2]).join(&name));
    let lose = || paths.each_ref().map(|path| fs::remove_file(path).unwrap());
    lose();
    assert_eq!(block(open(dir.path()).get(&object)).unwrap(), [7; 9000]);
    for path in &paths {
        assert_eq!(
            fs::read(path).unwrap(),
            [7; 9000],
            "reading it brought it back"
        );
    }
    lose();
    let mended = upkeep(dir.path()).mend().unwrap();
    assert_eq!((mended.done.len(), mended.lost.len()), (1, 0), "{mended:?}");
    for path in &paths {
        assert_eq!(fs::read(path).unwrap(), [7; 9000]);
    }
}
