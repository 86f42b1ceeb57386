use flow_engine::clock::Timestamp;
use flow_engine::plan::{Effect, OnFailure, Phase, Plan};
use flow_engine::record::{Entry, Payload, Record};
use flow_engine::retry::Policy;
use flow_engine::signal::Actor;
use flow_engine::step::Step as _;

use super::*;
use crate::means::freezes::freeze_in_force;
use crate::means::psql::Database;
use crate::means::read_only::freeze::Freeze;
use crate::pg::{Baseline, Thaw};

fn node(key: &str, kind: &str, params: serde_json::Value) -> Node {
    Node {
        key: key.into(),
        phase: 0,
        kind: kind.into(),
        version: 1,
        params,
        summary: String::new(),
        effect: Effect::Changes,
        undo: None,
        group: None,
        only_if: None,
        answered_by: None,
        skippable: false,
        settles: false,
        policy: Policy::default(),
    }
}

fn freeze(host: &str, watchdog: Option<Watchdog>) -> serde_json::Value {
    let db = Database {
        host: host.into(),
        exec: Vec::new(),
        user: "u".into(),
        name: "d".into(),
        maintenance: "template1".into(),
        bin: None,
    };
    let freeze = Freeze {
        db,
        ended_by: None,
        watchdog,
    };
    serde_json::to_value(freeze).unwrap()
}

fn entry(record: Record) -> Entry {
    Entry {
        at: Timestamp(1),
        record,
    }
}

fn lease(host: &str) -> Arg<Lease> {
    Arg::Value(Lease {
        host: host.into(),
        dir: "/lease".into(),
        epoch: 1,
        machine_id: "m".into(),
        hostname: "h".into(),
    })
}

fn watchdog(host: &str) -> Watchdog {
    Watchdog {
        lease: lease(host),
        jobs: "/jobs".into(),
        seconds: 600,
        job_seconds: 60,
    }
}

/// Test is frozen and opened, then production: the first so many of these steps are done.
fn after(done: u32) -> Run {
    run_of(done, None)
}

fn run_of(done: u32, on_test: Option<Watchdog>) -> Run {
    let test = freeze("test", on_test);
    let prod = freeze("prod", Some(watchdog("prod")));
    let baseline = serde_json::json!({ "watchdog": watchdog("prod") });
    let plan = Plan {
        workflow: "release".into(),
        protocol: "1".into(),
        planned_by: "test".into(),
        environment: "prod".into(),
        facts: std::collections::BTreeMap::new(),
        phases: vec![Phase {
            key: "all".into(),
            title: String::new(),
            on_failure: OnFailure::Rollback,
        }],
        nodes: vec![
            node("test/maintenance", Freeze::KIND, test.clone()),
            node("test/writable", Thaw::KIND, test),
            node("prod/maintenance", Freeze::KIND, prod.clone()),
            node("prod/writable", Thaw::KIND, prod),
            node("prod/baseline", Baseline::KIND, baseline),
        ],
    };
    let created = Record::Created {
        plan: Payload::Inline(plan.to_json()),
        by: Actor {
            name: "a".into(),
            from: "b".into(),
        },
        reason: String::new(),
        request: None,
    };
    let mut run = Run::create(&"r-test".parse().unwrap(), 0, &entry(created)).unwrap();
    for step in 0..done {
        let ended = Record::Done {
            step,
            output: Payload::Inline(b"null".to_vec()),
        };
        for record in [Record::Started { step, attempt: 1 }, ended] {
            run.apply(0, &entry(record)).unwrap();
        }
    }
    run
}

#[test]
fn production_s_freeze_is_kept_up_although_test_was_frozen_and_opened_before() {
    let kept = |done| frozen(&after(done)).map(|frozen| frozen.host);
    assert_eq!([0, 1, 2].map(kept), [None, None, None]);
    assert_eq!(kept(3).as_deref(), Some("prod"));
    assert_eq!(kept(4), None);
    let in_force = |done| freeze_in_force(&after(done), &lease("prod"));
    assert_eq!(
        [0, 1, 2, 3, 4].map(in_force),
        [false, false, false, true, false]
    );
}

#[test]
fn test_s_freeze_is_kept_up_under_its_own_lease_and_says_nothing_about_production() {
    let run = |done| run_of(done, Some(watchdog("test")));
    let kept = [0, 1, 2, 3, 4].map(|done| frozen(&run(done)).map(|frozen| frozen.host));
    let host = |name: &str| Some(name.to_owned());
    assert_eq!(kept, [None, host("test"), None, host("prod"), None]);
    let in_force = |of: &'static str| [1, 2, 3].map(|done| freeze_in_force(&run(done), &lease(of)));
    assert_eq!(in_force("test"), [true, false, false]);
    assert_eq!(in_force("prod"), [false, false, true]);
}

#[test]
fn a_restore_is_kept_up_for_as_long_as_it_is_driven() {
    let (step, mut run) = (4, after(5));
    assert_eq!(frozen(&run), None);
    let why = "it failed".into();
    for record in [
        Record::Unwinding { why },
        Record::UndoStarted { step, attempt: 1 },
    ] {
        run.apply(0, &entry(record)).unwrap();
    }
    let held = frozen(&run).map(|frozen| frozen.host);
    assert_eq!(held.as_deref(), Some("prod"));
    let report = "restored".into();
    let over = Record::Undone { step, report };
    run.apply(0, &entry(over)).unwrap();
    assert_eq!(frozen(&run), None);
}
