//! Every reason to stop, in every phase: what is offered then, and that it is accepted.

use std::fmt::Write as _;

use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;
use flow_engine::record::{FailureKind, Record, Verdict};
use flow_engine::signal::Order;
use flow_steps::means::checklist::{Checklist, Item};

use super::*;
use crate::testing::{self, Change, Look, NOON, done};

/// `prep/look`, `prep/list`, `prod/change`, `prod/look`.
fn plan() -> Plan {
    let mut planner = Planner::new("release", "test-1", "prod", "flow 9.9");
    planner.phase("prep", "Preparation", OnFailure::Park, |p| {
        p.step("prep/look", Look { fails: false });
        let list = Checklist {
            who: "qa".into(),
            title: "Features".into(),
            items: vec![Item {
                key: "login".into(),
                text: "log in".into(),
                required: true,
            }],
            deadline_minutes: None,
        };
        p.step("prep/list", list);
    });
    planner.phase("prod", "Production", OnFailure::Rollback, |p| {
        p.step("prod/change", Change);
        p.step("prod/look", Look { fails: false });
    });
    planner.finish().expect("the plan is sound")
}

fn run(records: &[Record]) -> Run {
    testing::run_of("r-test", &plan(), records)
}

fn failed(step: u32, kind: FailureKind) -> Vec<Record> {
    let failure = Failure::new("it is dark");
    vec![
        Record::Started { step, attempt: 1 },
        Record::Failed {
            step,
            kind,
            failure,
            retry_at: None,
        },
    ]
}

fn park(why: ParkReason) -> Vec<Record> {
    vec![Record::Parked { why }]
}

fn unreadable(step: u32) -> ParkReason {
    ParkReason::Unreadable {
        step,
        why: "of a newer version".into(),
    }
}

/// Where a run can be parked, in words, and the records that lead there.
#[expect(clippy::too_many_lines, reason = "a table")]
fn places() -> Vec<(&'static str, Vec<Record>)> {
    use FailureKind::{Failed, Refused, Unknown, Unreached};

    let before = |records: Vec<Record>| records;
    let after = |records: Vec<Record>| [done(0), done(1), done(2), records].concat();
    let undoing = |records: Vec<Record>| {
        let why = "it failed".into();
        let begun = vec![
            Record::Unwinding { why },
            Record::UndoStarted {
                step: 2,
                attempt: 1,
            },
        ];
        [after(failed(3, Failed)), begun, records].concat()
    };
    let undo_failed = |kind| Record::UndoFailed {
        step: 2,
        kind,
        failure: Failure::new("it is stuck"),
        retry_at: None,
    };
    let failed_at = |step, kind, why| [failed(step, kind), park(why)].concat();
    vec![
        (
            "a step failed, production untouched",
            before(failed_at(0, Failed, ParkReason::StepFailed { step: 0 })),
        ),
        (
            "a checklist failed, production untouched",
            [
                done(0),
                failed_at(1, Failed, ParkReason::StepFailed { step: 1 }),
            ]
            .concat(),
        ),
        (
            "a gate refused, production untouched",
            before(failed_at(0, Refused, ParkReason::Refused { step: 0 })),
        ),
        (
            "unknown, production untouched",
            before(failed_at(0, Unknown, ParkReason::Unknown { step: 0 })),
        ),
        (
            "out of reach, production untouched",
            before(failed_at(0, Unreached, ParkReason::Unreached { step: 0 })),
        ),
        (
            "a checklist nobody answered, production untouched",
            [
                done(0),
                failed_at(1, Unreached, ParkReason::Unreached { step: 1 }),
            ]
            .concat(),
        ),
        (
            "out of reach, production changed",
            after(failed_at(3, Unreached, ParkReason::Unreached { step: 3 })),
        ),
        (
            "an undo out of reach",
            undoing(
                [
                    vec![undo_failed(Unreached)],
                    park(ParkReason::UndoUnreached { step: 2 }),
                ]
                .concat(),
            ),
        ),
        (
            "unreadable, production untouched",
            before(park(unreadable(0))),
        ),
        (
            "a step failed, production changed",
            after(failed_at(3, Failed, ParkReason::StepFailed { step: 3 })),
        ),
        (
            "unknown, production changed",
            after(failed_at(3, Unknown, ParkReason::Unknown { step: 3 })),
        ),
        ("unreadable, production changed", after(park(unreadable(3)))),
        (
            "an undo failed",
            undoing(
                [
                    vec![undo_failed(Failed)],
                    park(ParkReason::UndoFailed { step: 2 }),
                ]
                .concat(),
            ),
        ),
        (
            "an undo ended unknown",
            undoing(
                [
                    vec![undo_failed(Unknown)],
                    park(ParkReason::UndoFailed { step: 2 }),
                ]
                .concat(),
            ),
        ),
        ("unreadable in a rollback", undoing(park(unreadable(2)))),
    ]
}

/// The order that a command gives; nothing for one that gives none.
fn order(command: &str) -> Option<Order> {
    let words: Vec<&str> = command.split(' ').collect();
    let step = words.get(3).copied().unwrap_or_default().to_owned();
    match words[1] {
        "retry" => Some(Order::Retry),
        "skip" => Some(Order::Skip { step }),
        "settle" => Some(Order::Settle {
            step,
            done: words[4] == "--done",
        }),
        "cancel" => Some(Order::Cancel),
        "rollback" => Some(Order::Rollback),
        _ => None,
    }
}

#[test]
fn what_is_offered_where_a_run_is_parked_is_accepted_there_and_can_lead_on() {
    let mut shown = String::new();
    for (place, records) in places() {
        let run = run(&records);
        let _infallible = writeln!(shown, "{place}:");
        for next in commands(&run) {
            let _infallible = writeln!(shown, "  {}", next.line());
            if let Some(order) = order(&next.command) {
                assert_eq!(run.accepts(&order), Ok(()), "{place}: {}", next.command);
            }
        }
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn a_completed_run_says_how_to_undo_it_and_one_that_was_undone_does_not() {
    let completed = Record::Finished {
        verdict: Verdict::Completed,
    };
    let run = run(&[done(0), done(1), done(2), done(3), vec![completed]].concat());
    let offered = commands(&run);
    assert!(
        offered
            .iter()
            .any(|next| next.command == "flow rollback r-test --reason …"),
        "{offered:?}"
    );
    let mut undone = run;
    undone.life = Life::Finished {
        verdict: Verdict::RolledBack,
        at: NOON,
    };
    let offered = commands(&undone);
    assert!(
        offered
            .iter()
            .all(|next| !next.command.starts_with("flow rollback")),
        "{offered:?}"
    );
}

#[test]
fn a_long_command_stands_whole_and_only_the_words_behind_it_are_cut() {
    let next = Next {
        command: format!("flow waive r-test schema/enum-usage {}", "a".repeat(64)),
        why: "w".repeat(400),
    };
    let line = next.line();
    assert!(line.contains(&next.command), "{line}");
    assert!(
        line.chars().count() < next.command.len() + 2 + WHY + 1,
        "{line}"
    );
}

/// The commands behind a heading, up to the next empty line.
fn listed(text: &str, heading: &str) -> Vec<String> {
    let lines = text
        .lines()
        .skip_while(|line| line.trim() != heading)
        .skip(1);
    let lines = lines.take_while(|line| !line.trim().is_empty());
    let command = |line: &str| {
        line.trim()
            .split("  ")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    lines.map(command).collect()
}

#[test]
fn the_screen_the_mail_and_json_offer_the_same_wherever_a_run_is_parked() {
    use flow_engine::run::Topic;
    use flow_steps::mail::render;
    use flow_steps::means::signature::roster::People;

    for (place, records) in places() {
        let run = run(&records);
        let json = super::super::json::Status::of(&run, &Driver::Unasked, NOON);
        let json = serde_json::to_value(json).expect("JSON");
        let next = json["next"].as_array().expect("a list").iter();
        let next: Vec<&str> = next.filter_map(|next| next["command"].as_str()).collect();
        let options = json["options"].as_array().expect("a list").iter();
        let leading: Vec<&str> = options
            .filter(|option| option["leads_on"] == true)
            .filter_map(|option| option["command"].as_str())
            .collect();
        let screen = super::super::text::status(&run, &Driver::Unasked, NOON);
        let parked = run
            .notices
            .iter()
            .find(|notice| notice.topic == Topic::Parked);
        let mail = parked.expect("it is told");
        let mail = render(&run, mail, &People::default(), "example.org", None);
        assert!(!next.is_empty(), "{place}");
        assert_eq!(leading, next, "{place}");
        assert_eq!(listed(&screen, "next:"), next, "{place}: {screen}");
        assert_eq!(
            listed(&mail.body, "Next, one of:"),
            next,
            "{place}: {}",
            mail.body
        );
    }
}

/// A run of the plan of `place`, whose leases of test, production, its database's host and a further host are steps 0 to 3,
/// rolled back: of those only the ones in `undone` were undone, the others skipped.
fn rolled_back(locks: [bool; 4], undone: &[usize]) -> Run {
    let mut planner = Planner::new("release", "test-1", "prod", "flow 9.9");
    planner.phase("prep", "Preparation", OnFailure::Park, |p| {
        let hosts = ["test", "prod", "prod/database", "prod/web-2"];
        for (host, locks) in hosts.into_iter().zip(locks) {
            let lease = HostLease {
                locks,
                ..HostLease::in_folder(host, "/flow")
            };
            p.step(&format!("{host}/lease"), lease);
        }
    });
    planner.phase("prod", "Production", OnFailure::Rollback, |p| {
        p.step("prod/change", Change);
    });
    let plan = planner.finish().expect("the plan is sound");
    let records: Vec<Record> = (0..5).flat_map(done).collect();
    let mut run = testing::run_of("r-test", &plan, &records);
    run.life = Life::Finished {
        verdict: Verdict::RolledBack,
        at: NOON,
    };
    for step in undone {
        run.steps[*step].undo = Undo::Undone;
    }
    run
}

#[test]
fn only_the_undone_lease_that_locks_this_environment_is_said_to_have_locked_it() {
    let unlock = "flow unlock prod --reason …";
    let offers = |run: &Run| commands(run).iter().any(|next| next.command == unlock);
    let one = [false, true, false, false];
    assert!(offers(&rolled_back(one, &[0, 1, 2, 3])));
    assert!(
        !offers(&rolled_back(one, &[0, 2, 3])),
        "its own was skipped"
    );
    let apart = [false, false, true, false];
    assert!(offers(&rolled_back(apart, &[2])), "beside its database");
    assert!(!offers(&rolled_back(apart, &[0, 1, 3])));
    let older = [true, true, false, false];
    assert!(!offers(&rolled_back(older, &[0])), "that of test");
}
