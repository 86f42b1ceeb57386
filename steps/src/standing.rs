//! What a run that stopped leaves production in, in words nobody can miss.

use flow_engine::run::{Run, Status, StepState, Undo};
use flow_engine::step::Step as _;

use crate::deploy::Deploy;
use crate::pg::{Baseline, Freeze, Thaw, is_closed};
use crate::pm2::Processes;

/// What is not as usual in production right now because of this run: a database that refuses writes, services that are
/// stopped, an environment that is locked. Empty when nothing is.
pub fn standing(run: &Run) -> Vec<String> {
    let frozen = states(run, Freeze::KIND).any(|s| s.started.is_some() && s.undo != Undo::Undone);
    let thawed = states(run, Thaw::KIND).any(|s| s.status == Status::Done);
    let stopped = states(run, Deploy::KIND).any(|s| s.undo == Undo::Undone && s.started.is_some());
    let restarted = states(run, Processes::KIND).any(|s| s.undo == Undo::Undone);
    let stops_services = run
        .plan
        .nodes
        .iter()
        .any(|n| n.kind == Processes::KIND && n.undo.is_some());
    let restoring = states(run, Baseline::KIND).any(|s| {
        s.undo_attempts > 0 && !matches!(s.undo, Undo::Undone | Undo::GivenUp | Undo::Failed)
    });
    let mut words = Vec::new();
    if frozen && !thawed {
        words.push(
            "PRODUCTION'S DATABASE IS READ-ONLY: it was frozen for the deploy and not opened again"
                .to_owned(),
        );
    }
    if thawed && restoring {
        words.push("PRODUCTION'S DATABASE MAY BE READ-ONLY: the restore holds writers off and has not ended".to_owned());
    }
    if states(run, Baseline::KIND).any(is_closed) {
        words.push("NOBODY CAN CONNECT TO PRODUCTION'S DATABASE: the connection was cut while the restored copy was put in its place; going on finishes that first".to_owned());
    }
    if stopped && !restarted && stops_services && run.production_changed() {
        words.push("PRODUCTION'S SERVICES ARE STOPPED: the rollback stopped them and has not started them again".to_owned());
    }
    words
}

fn states<'a>(run: &'a Run, kind: &'a str) -> impl Iterator<Item = &'a StepState> {
    let production = |n: &flow_engine::plan::Node| n.key.starts_with(&run.plan.environment);
    let nodes = run.plan.nodes.iter().zip(&run.steps);
    nodes
        .filter(move |(n, _)| n.kind == kind && production(n))
        .map(|(_, state)| state)
}

#[cfg(test)]
mod tests {
    use flow_engine::clock::Timestamp;
    use flow_engine::plan::{Effect, Node, OnFailure, Phase, Plan};
    use flow_engine::record::{Entry, Payload, Record};
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
                node("prod/processes", Processes::KIND, true),
                node("prod/maintenance", Freeze::KIND, true),
                node("prod/deploy", Deploy::KIND, true),
                node("prod/writable", Thaw::KIND, false),
                node("prod/baseline", Baseline::KIND, true),
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
