//! What a run that stopped leaves production in, in words nobody can miss.

use flow_engine::plan::Node;
use flow_engine::run::{Run, Status, StepState, Undo};

use crate::means::kinds;
use crate::means::notes::{has_begun, is_closed, was_open};

/// What production's host says of itself just now. Nothing where it was not asked, or did not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// What its database lets in.
    pub access: Option<Access>,
    /// Whether each process of the application is up.
    pub all_up: Option<bool>,
}

/// What a database lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Connections and writes.
    Writers,
    /// Connections, and no writes.
    Readers,
    /// Nobody, or it is not there.
    Nobody,
}

/// What is not as usual in production right now because of this run: a database that refuses writes, services that are
/// stopped, an environment that is locked. Empty when nothing is. As far as the journal knows.
pub fn standing(run: &Run) -> Vec<String> {
    standing_beside(run, HostFacts::default())
}

/// The same, where production's host was asked: what it knows counts, and not what the journal has of it.
pub fn standing_beside(run: &Run, host: HostFacts) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(read_only(run, host.access));
    let closed = states(run, kinds::BASELINE).any(is_closed);
    if closed && host.access != Some(Access::Writers) {
        words.push("NOBODY CAN CONNECT TO PRODUCTION'S DATABASE: the connection was cut while the restored copy was put in its place; going on finishes that first".to_owned());
    }
    if host.all_up != Some(true) {
        words.extend(stopped(run, host.all_up));
    }
    words
}

/// After how many seconds without anybody who drives the run its host opens the frozen database by itself. Nothing where no
/// timer guards it.
pub fn opens_itself(run: &Run) -> Option<u64> {
    let (node, _) = nodes(run, kinds::FREEZE).next()?;
    let guard = node.params.get("watchdog")?;
    guard.get("seconds")?.as_u64()
}

/// Why production's database takes no writes, or may take none.
fn read_only(run: &Run, access: Option<Access>) -> Option<String> {
    if access == Some(Access::Writers) {
        return None;
    }
    let thawed = states(run, kinds::THAW).any(|s| s.status == Status::Done);
    if thawed {
        let restoring = states(run, kinds::BASELINE)
            .any(|s| s.undo_attempts > 0 && !matches!(s.undo, Undo::Undone | Undo::GivenUp));
        return restoring.then(|| "PRODUCTION'S DATABASE MAY BE READ-ONLY: the restore holds writers off and has not ended".to_owned());
    }
    // The run itself found it open, and waits for somebody to say what that means.
    if access.is_none() && states(run, kinds::BASELINE).any(was_open) {
        return None;
    }
    let begun = |s: &&StepState| s.started.is_some() && s.undo != Undo::Undone;
    let mut begun = states(run, kinds::FREEZE).filter(begun).peekable();
    begun.peek()?;
    // Begun is not done: between the two the database may be either way.
    let froze = begun.any(|s| s.status == Status::Done) || access == Some(Access::Readers);
    Some(if froze && access == Some(Access::Readers) {
        "PRODUCTION'S DATABASE IS READ-ONLY: it was frozen for the deploy and not opened again"
            .to_owned()
    } else if froze {
        "PRODUCTION'S DATABASE IS READ-ONLY as far as this run knows: it was frozen for the deploy, and this run has not opened it again"
            .to_owned()
    } else {
        "PRODUCTION'S DATABASE MAY BE READ-ONLY: the freeze for the deploy was begun, and its end is not on record".to_owned()
    })
}

/// That the rollback stopped the services and did not start them again, or may have. Where the deploy's script had never
/// begun, its undo stops none.
fn stopped(run: &Run, all_up: Option<bool>) -> Option<String> {
    let stops_services = nodes(run, kinds::PROCESSES).any(|(n, _)| n.undo.is_some());
    let restarted = states(run, kinds::PROCESSES).any(|s| s.undo == Undo::Undone);
    if restarted || !stops_services || !run.production_changed() {
        return None;
    }
    let mut undos =
        nodes(run, kinds::DEPLOY).filter(|(n, s)| s.undo_attempts > 0 && has_begun(run, &n.key));
    let (_, undo) = undos.next()?;
    let words = if undo.undo == Undo::Undone || all_up == Some(false) {
        "ARE STOPPED: the rollback stopped them and has not started them again"
    } else {
        "MAY BE STOPPED: the rollback began to stop them, and its end is not on record"
    };
    Some(format!("PRODUCTION'S SERVICES {words}"))
}

fn states<'a>(run: &'a Run, kind: &'a str) -> impl Iterator<Item = &'a StepState> {
    nodes(run, kind).map(|(_, state)| state)
}

/// Production's steps of a kind, in order.
fn nodes<'a>(run: &'a Run, kind: &'a str) -> impl Iterator<Item = (&'a Node, &'a StepState)> {
    let all = run.plan.nodes.iter().zip(&run.steps);
    all.filter(move |(node, _)| node.kind == kind && node.key.starts_with(&run.plan.environment))
}

#[cfg(test)]
mod tests {
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
}
