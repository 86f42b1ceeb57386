//! Runs that an earlier version left behind, in every state, are gone on with by this one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use flow_engine::clock::SystemClock;
use flow_engine::codec;
use flow_engine::driver::{Engine, Stop};
use flow_engine::event::Observers;
use flow_engine::id::RunId;
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::journal::{Append, Journal};
use flow_engine::registry::Registry;
use flow_engine::run::{Run, append_order};
use flow_engine::step::Resources;

#[path = "../golden_support/mod.rs"]
mod golden_support;
mod left;
mod states;

use golden_support::{anna, hex, unhex};
use left::states;
use states::{Ledger, Now, State, THEN, folder};

fn id() -> RunId {
    "r-golden".parse().unwrap()
}

fn engine(journal: &Arc<dyn Journal>, registry: Registry, ledger: &Arc<Ledger>) -> Engine {
    Engine {
        journal: Arc::clone(journal),
        registry: Arc::new(registry),
        resources: Resources::default().with_shared(Arc::clone(ledger)),
        clock: Arc::new(SystemClock),
        observers: Observers::default(),
        notifier: None,
        version: "2.0.0".into(),
        wait_for_people: false,
    }
}

/// Writes the golden journals of the current format, once: a released one is never written again.
#[tokio::test]
#[ignore = "by hand, when a format or a state is new"]
async fn write_the_golden_journals() {
    for format in 1..=codec::FORMAT {
        std::fs::create_dir_all(folder(format)).unwrap();
        for state in states() {
            let path = folder(format).join(format!("{}.journal", state.name));
            if !path.exists() {
                std::fs::write(path, state.text(format)).unwrap();
            }
        }
    }
}

/// Puts a golden journal into another one, as it was written.
async fn restore(journal: &dyn Journal, text: &str) -> BTreeSet<u8> {
    let mut formats = BTreeSet::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["object", bytes] => {
                journal.put(&unhex(bytes)).await.unwrap();
            }
            ["record", seq, epoch, bytes] => {
                let body = unhex(bytes);
                formats.insert(body[0]);
                let append = Append {
                    run: id(),
                    first_seq: seq.parse().unwrap(),
                    epoch: epoch.parse().unwrap(),
                    bodies: vec![body],
                };
                journal.append(append).await.unwrap();
            }
            _ => panic!("{line}"),
        }
    }
    formats
}

/// What this version makes of a stored run: how it ends, and what it does to the world for that.
async fn gone_on_with(journal: Arc<dyn Journal>, state: &State) {
    let mut run = Run::load(&*journal, &id()).await.unwrap();
    let name = state.name;
    if let Some(order) = state.order.clone() {
        append_order(&*journal, &mut run, order, anna(), "go on", THEN)
            .await
            .expect(name);
    }
    let ledger: Arc<Ledger> = Arc::new(Mutex::default());
    let registry = Registry::default().with::<Now>();
    let engine = engine(&journal, registry, &ledger);
    let (driver, _handle) = engine.resume(&id()).await.expect(name);
    let (run, stop) = driver.drive().await.expect(name);
    assert_eq!(stop, Stop::Finished(state.ends), "{name}: {:?}", run.life);
    assert_eq!(*ledger.lock().unwrap(), state.does, "{name}");
    assert_eq!(run.plan.planned_by, "flow 1.0.0");
    assert_eq!(
        Run::load(&*journal, &id()).await.unwrap().life,
        run.life,
        "{name}"
    );
}

#[tokio::test]
async fn every_state_of_every_format_is_gone_on_with_to_its_end() {
    for format in 1..=codec::FORMAT {
        for state in states() {
            let path = folder(format).join(format!("{}.journal", state.name));
            let text = std::fs::read_to_string(path).expect("no golden journal may go");
            let memory: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
            assert_eq!(restore(&*memory, &text).await, BTreeSet::from([format]));
            gone_on_with(memory, &state).await;
            let dir = tempfile::tempdir().unwrap();
            let open = || {
                SledJournal::open(dir.path(), &OpenOptions::default())
                    .unwrap()
                    .0
            };
            let sled = open();
            restore(&sled, &text).await;
            drop(sled);
            gone_on_with(Arc::new(open()), &state).await;
        }
    }
}

#[test]
fn the_golden_journals_hold_every_kind_of_record() {
    for format in 1..=codec::FORMAT {
        let mut kinds = BTreeSet::new();
        for file in std::fs::read_dir(folder(format)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|e| e != "journal") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text.lines().filter_map(|l| l.strip_prefix("record ")) {
                let body = unhex(line.rsplit(' ').next().unwrap());
                let entry = codec::decode(&body).unwrap();
                // The kind stands in the envelope of the format that is written now.
                kinds.insert(codec::encode(&entry).unwrap()[1]);
            }
        }
        assert_eq!(kinds, (0..19).collect(), "format {format}");
    }
}

/// A golden run whose plan was altered, as JSON.
async fn with_plan(change: impl Fn(&mut serde_json::Value)) -> Arc<dyn Journal> {
    let state = states()
        .into_iter()
        .find(|s| s.name == "interrupted")
        .unwrap();
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let text = state.changed(&change).text(codec::FORMAT);
    restore(&*journal, &text).await;
    journal
}

async fn parked(journal: &Arc<dyn Journal>, registry: Registry) -> (Stop, Vec<String>) {
    let ledger: Arc<Ledger> = Arc::new(Mutex::default());
    let engine = engine(journal, registry, &ledger);
    let (driver, _handle) = engine.resume(&id()).await.unwrap();
    let (_, stop) = driver.drive().await.unwrap();
    let did = ledger.lock().unwrap().clone();
    (stop, did)
}

#[tokio::test]
async fn a_run_that_ends_in_a_step_nobody_can_read_is_left_alone_from_the_start() {
    type Change = fn(&mut serde_json::Value);
    let now = || Registry::default().with::<Now>();
    let cases: [(&str, Change, Registry, &str); 4] = [
        (
            "a kind that is unknown",
            |plan| plan["nodes"][3]["kind"] = "golden.newer".into(),
            now(),
            "this flow has no step `golden.newer`; use flow 1.0.0",
        ),
        (
            "a version that is newer",
            |plan| plan["nodes"][3]["version"] = 9.into(),
            now(),
            "step `golden.step` version 9; this flow reads version 2; use flow 1.0.0",
        ),
        (
            "a parameter that is missing",
            |plan| plan["nodes"][3]["params"] = serde_json::json!({"nom": "after"}),
            now(),
            "its stored parameters cannot be read: missing field `name`",
        ),
        (
            "a parameter that would be ignored",
            |plan| {
                plan["nodes"][3]["version"] = 2.into();
                plan["nodes"][3]["params"] =
                    serde_json::json!({"title": "after", "more": {"count": 1, "dry_run": true}});
            },
            now(),
            "this flow does not know the parameter `more.dry_run`",
        ),
    ];
    for (what, change, registry, wanted) in cases {
        let journal = with_plan(change).await;
        let (stop, did) = parked(&journal, registry).await;
        let why = format!("{stop:?}");
        assert!(why.contains("Unreadable { step: 3"), "{what}: {why}");
        assert!(why.contains(wanted), "{what}: {why}");
        assert!(did.is_empty(), "{what}: {did:?}");
    }
}

#[tokio::test]
async fn a_way_back_that_nobody_can_read_keeps_a_run_from_going_on() {
    let journal = with_plan(|plan| plan["nodes"][2]["version"] = 9.into()).await;
    let (stop, did) = parked(&journal, Registry::default().with::<Now>()).await;
    assert!(
        format!("{stop:?}").contains("Unreadable { step: 2"),
        "{stop:?}"
    );
    assert!(did.is_empty(), "{did:?}");
    // What is over and has nothing to undo may be unknown by now.
    let journal = with_plan(|plan| plan["nodes"][0]["kind"] = "golden.gone".into()).await;
    let (stop, _) = parked(&journal, Registry::default().with::<Now>()).await;
    assert!(matches!(stop, Stop::Finished(_)), "{stop:?}");
}

#[tokio::test]
async fn what_only_a_newer_version_wrote_is_named_and_the_run_is_not_touched() {
    let state = states()
        .into_iter()
        .find(|s| s.name == "interrupted")
        .unwrap();
    let text = state.text(codec::FORMAT);
    let last = text.lines().last().unwrap();
    let body = unhex(last.rsplit(' ').next().unwrap());
    let resealed = |at: usize, value: u8| {
        let mut body = body.clone();
        body[at] = value;
        let mut sum = crc32fast::Hasher::new();
        sum.update(&body[1..5]);
        sum.update(&body[9..]);
        body[5..9].copy_from_slice(&sum.finalize().to_le_bytes());
        body
    };
    for (body, wanted) in [
        (
            resealed(0, 3),
            "format 3, this flow reads up to 2; use a newer flow",
        ),
        (
            resealed(1, 19),
            "of kind 19, which this flow does not know; use a newer flow",
        ),
        (
            resealed(2, 2),
            "`Noted` has layout 2, this flow reads up to 1; use a newer flow",
        ),
        (
            body[..body.len() - 1].to_vec(),
            "bytes follow the envelope, which names",
        ),
    ] {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
        let before = last.rsplit_once(' ').unwrap().0;
        let changed = text.replace(last, &format!("{before} {}", hex(&body)));
        restore(&*journal, &changed).await;
        let records = journal.read(&id()).await.unwrap().len();
        let ledger: Arc<Ledger> = Arc::new(Mutex::default());
        let engine = engine(&journal, Registry::default().with::<Now>(), &ledger);
        let Err(error) = engine.resume(&id()).await else {
            panic!("a record nobody can read was passed over");
        };
        let said = format!("{error}");
        assert!(
            said.contains(wanted) && said.contains("r-golden, record"),
            "{said}"
        );
        assert_eq!(journal.read(&id()).await.unwrap().len(), records);
    }
    let journal = with_plan(|plan| plan["nodes"][3]["only_unless"] = "prep/look".into()).await;
    let refused = Run::load(&*journal, &id()).await.unwrap_err().to_string();
    assert!(
        refused.contains("its plan is unreadable: unknown field `only_unless`"),
        "{refused}"
    );
}
