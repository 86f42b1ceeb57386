use flow_engine::clock::Timestamp;
use flow_engine::plan::{Effect, OnFailure, Phase, Plan};
use flow_engine::record::{Entry, Failure, FailureKind, Payload, Record};
use flow_engine::retry::Policy;
use flow_engine::signal::Actor;

use super::*;

fn node(key: &str, kind: &str, undo: bool) -> Node {
    Node {
        key: key.into(),
        phase: 0,
        kind: kind.into(),
        version: 1,
        params: serde_json::Value::Null,
        summary: String::new(),
        effect: Effect::Changes,
        undo: undo.then(|| "undo".into()),
        group: None,
        only_if: None,
        answered_by: None,
        skippable: false,
        settles: false,
        policy: Policy::default(),
    }
}

fn run(records: Vec<Record>) -> Run {
    let plan = Plan {
        workflow: "release".into(),
        protocol: "1".into(),
        planned_by: "test".into(),
        environment: "prod".into(),
        facts: std::collections::BTreeMap::new(),
        phases: vec![Phase {
            key: "deploy".into(),
            title: String::new(),
            on_failure: OnFailure::Rollback,
        }],
        nodes: vec![
            node("prod/processes", kinds::PROCESSES, true),
            node("prod/maintenance", kinds::FREEZE, true),
            node("prod/deploy", kinds::DEPLOY, true),
            node("prod/writable", kinds::THAW, false),
            node("prod/baseline", kinds::BASELINE, true),
            node("prod-copy/writable", kinds::THAW, false),
            node("prod/worker/processes", kinds::PROCESSES, true),
            node("prod/worker/deploy", kinds::DEPLOY, true),
        ],
    };
    let by = Actor {
        name: "a".into(),
        from: "b".into(),
    };
    let plan = Payload::Inline(plan.to_json());
    let created = Record::Created {
        plan,
        by,
        reason: String::new(),
        request: None,
    };
    let entry = |record| Entry {
        at: Timestamp(1),
        record,
    };
    let mut run = Run::create(&"r-test".parse().unwrap(), 0, &entry(created)).unwrap();
    for record in records {
        run.apply(0, &entry(record)).unwrap();
    }
    run
}

fn did(step: u32) -> [Record; 2] {
    [
        Record::Started { step, attempt: 1 },
        Record::Done {
            step,
            output: Payload::Inline(b"null".to_vec()),
        },
    ]
}

fn undid(step: u32) -> [Record; 2] {
    [
        Record::UndoStarted { step, attempt: 1 },
        Record::Undone {
            step,
            report: String::new(),
        },
    ]
}

#[test]
fn a_freeze_that_was_not_lifted_is_said_and_one_that_was_is_not() {
    assert_eq!(standing(&run(did(0).into())), Vec::<String>::new());
    let frozen: Vec<Record> = [did(0), did(1), did(2)].concat();
    assert!(standing(&run(frozen.clone()))[0].contains("READ-ONLY"));
    assert_eq!(
        standing(&run([frozen, did(3).into()].concat())),
        Vec::<String>::new()
    );
}

#[test]
fn a_freeze_that_was_begun_may_be_in_force_and_the_host_knows_better() {
    let begun = run([did(0).to_vec(), did(1)[..1].to_vec()].concat());
    let words = standing(&begun).join(" ");
    assert!(words.starts_with("PRODUCTION'S DATABASE MAY BE READ-ONLY"));
    let done = run([did(0), did(1)].concat());
    let says = |run, access| {
        let access = Some(access);
        let all_up = None;
        standing_beside(run, HostFacts { access, all_up }).join(" ")
    };
    for run in [&begun, &done] {
        assert_eq!(says(run, Access::Writers), "");
        let words = says(run, Access::Readers);
        assert!(words.contains("DATABASE IS READ-ONLY"), "{words}");
    }
    assert!(says(&begun, Access::Nobody).contains("MAY BE READ-ONLY"));
    assert!(says(&done, Access::Nobody).contains("IS READ-ONLY"));
}

#[test]
fn services_are_not_said_to_be_stopped_where_the_script_never_began_or_the_host_has_all_up() {
    let why = "it failed".into();
    let begun = [did(0).to_vec(), did(1).to_vec(), did(2)[..1].to_vec()].concat();
    let begun = [
        begun,
        vec![Record::Unwinding { why }],
        undid(2)[..1].to_vec(),
    ]
    .concat();
    let end = undid(2)[1..].to_vec();
    let never_began = |never: bool| {
        let note = format!(
            r#"{{"attempt":0,"offset":0,"judged":0,"never_began":{never},"statements":0}}"#
        );
        let note = Payload::Inline(note.into_bytes());
        vec![Record::Noted { step: 2, note }]
    };
    let never = run([begun.clone(), never_began(true), end.clone()].concat());
    assert!(!standing(&never).join(" ").contains("STOPPED"));
    let ran = run([begun, never_began(false), end].concat());
    assert!(standing(&ran).join(" ").contains("STOPPED"));
    for (all_up, said) in [(Some(true), false), (Some(false), true), (None, true)] {
        let access = None;
        let words = standing_beside(&ran, HostFacts { access, all_up }).join(" ");
        assert_eq!(words.contains("STOPPED"), said, "{all_up:?}: {words}");
    }
}

#[test]
fn a_restore_under_way_after_the_thaw_is_said_until_it_is_over() {
    let unwinding = vec![Record::Unwinding {
        why: "it failed".into(),
    }];
    let begun = [0, 1, 2, 3, 4].map(|step| did(step).to_vec()).concat();
    let begun = [begun, unwinding].concat();
    let under_way = [begun.clone(), undid(4)[..1].to_vec()].concat();
    let words = standing(&run(under_way)).join(" ");
    assert!(words.contains("the restore holds writers off"), "{words}");
    let over = [begun, undid(4).to_vec()].concat();
    let words = standing(&run(over)).join(" ");
    assert!(!words.contains("writers off"), "{words}");
}

#[test]
fn services_are_stopped_between_the_undo_of_the_deploy_and_that_of_the_processes() {
    let unwinding = vec![Record::Unwinding {
        why: "it failed".into(),
    }];
    let stopped = [
        did(0).to_vec(),
        did(1).to_vec(),
        did(2).to_vec(),
        unwinding,
        undid(2).to_vec(),
    ]
    .concat();
    let words = standing(&run(stopped.clone()));
    assert!(words[1].contains("STOPPED"), "{words:?}");
    let over = [stopped, undid(1).to_vec(), undid(0).to_vec()].concat();
    assert_eq!(standing(&run(over)), Vec::<String>::new());
}

#[test]
fn services_may_be_stopped_from_the_moment_their_stop_began_however_it_ended() {
    let why = "it failed".into();
    let begun = [0, 1, 2].map(|step| did(step).to_vec()).concat();
    let begun = [
        begun,
        vec![Record::Unwinding { why }],
        undid(2)[..1].to_vec(),
    ]
    .concat();
    let failure = Failure {
        message: "no answer".into(),
        causes: Vec::new(),
        hints: Vec::new(),
    };
    let failed = Record::UndoFailed {
        step: 2,
        kind: FailureKind::Failed,
        failure,
        retry_at: None,
    };
    for records in [begun.clone(), [begun, vec![failed]].concat()] {
        let run = run(records);
        let words = standing(&run).join(" ");
        assert!(words.contains("SERVICES MAY BE STOPPED"), "{words}");
        for (all_up, said) in [(true, ""), (false, "SERVICES ARE STOPPED")] {
            let (access, all_up) = (Some(Access::Writers), Some(all_up));
            let words = standing_beside(&run, HostFacts { access, all_up }).join(" ");
            assert!(
                words.contains(said) && words.is_empty() == said.is_empty(),
                "{words}"
            );
        }
    }
}

#[test]
fn a_database_that_the_run_itself_found_open_is_not_said_to_be_read_only() {
    let found = br#"{"orders":null,"found_open":1}"#.to_vec();
    let records = [
        did(0).to_vec(),
        did(1).to_vec(),
        did(4)[..1].to_vec(),
        vec![Record::Noted {
            step: 4,
            note: Payload::Inline(found),
        }],
    ];
    let open = records.concat();
    assert_eq!(standing(&run(open.clone())), Vec::<String>::new());
    // A retry freezes it again.
    let failure = Failure {
        message: "writers were let in".into(),
        causes: Vec::new(),
        hints: Vec::new(),
    };
    let asked = Record::Failed {
        step: 4,
        kind: FailureKind::Unknown,
        failure,
        retry_at: Some(Timestamp(2)),
    };
    let again = vec![
        asked,
        Record::Started {
            step: 4,
            attempt: 2,
        },
    ];
    let words = standing(&run([open, again].concat())).join(" ");
    assert!(
        words.contains("READ-ONLY as far as this run knows"),
        "{words}"
    );
}

#[test]
fn a_swap_that_was_cut_says_that_nobody_can_connect_until_it_is_finished() {
    let begun = [0, 1, 2, 3, 4].map(|step| did(step).to_vec()).concat();
    let unwinding = vec![Record::Unwinding {
        why: "it failed".into(),
    }];
    let noted = |closed: bool| {
        let note = format!("{{\"orders\":null,\"closed\":{closed}}}");
        let note = Payload::Inline(note.into_bytes());
        vec![Record::Noted { step: 4, note }]
    };
    let under_way = [begun, unwinding, undid(4)[..1].to_vec()].concat();
    let cut = [under_way.clone(), noted(true)].concat();
    let words = standing(&run(cut.clone())).join(" ");
    assert!(words.contains("NOBODY CAN CONNECT"), "{words}");
    for over in [noted(false), undid(4)[1..].to_vec()] {
        let words = standing(&run([cut.clone(), over].concat())).join(" ");
        assert!(!words.contains("NOBODY CAN CONNECT"), "{words}");
    }
}

#[test]
fn what_happens_on_an_environment_with_a_longer_name_says_nothing_of_production() {
    let frozen: Vec<Record> = [did(0), did(5), did(1)].concat();
    let words = standing(&run(frozen)).join(" ");
    assert!(words.contains("DATABASE IS READ-ONLY"), "{words}");
}

#[test]
fn each_host_whose_services_the_rollback_did_not_start_again_is_named() {
    let why = "it failed".into();
    let begun = [0, 1, 2, 6, 7].map(|step| did(step).to_vec()).concat();
    let begun = [begun, vec![Record::Unwinding { why }]].concat();
    let begun = [begun, undid(7).into(), undid(2)[..1].to_vec()].concat();
    let words = standing(&run(begun.clone()));
    assert!(
        words[1].contains("ARE STOPPED on `prod/worker`: "),
        "{words:?}"
    );
    assert!(words[2].contains("MAY BE STOPPED on `prod`: "), "{words:?}");
    // Its own host's services are back, the worker's are not.
    let half = [
        begun,
        undid(2)[1..].to_vec(),
        undid(1).into(),
        undid(0).into(),
    ]
    .concat();
    let words = standing(&run(half.clone()));
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(
        words[0].contains("ARE STOPPED on `prod/worker`: "),
        "{words:?}"
    );
    assert_eq!(
        standing(&run([half, undid(6).into()].concat())),
        Vec::<String>::new()
    );
}
