//! What a run says of itself.

use super::*;
use flow_engine::run::{Delivery, Topic};

#[test]
fn a_step_has_started_once_it_did_whatever_came_of_it() {
    let mut bench = Bench::new();
    assert!(!bench.run.has_started("prep/look"));
    bench.start(LOOK).fail(LOOK, FailureKind::Failed);
    assert!(bench.run.has_started("prep/look"));
    assert!(!bench.run.has_started("prep/warn"));
    assert!(!bench.run.has_started("prep/nothing"));
}

#[test]
fn a_phase_has_passed_when_each_of_its_steps_is_done_or_was_not_asked_for() {
    let mut bench = Bench::new();
    assert!(!bench.run.phase_passed("prep"), "nothing was done");
    bench.did(LOOK, "false");
    assert!(!bench.run.phase_passed("prep"), "one of two");
    bench.did(WARN, "null");
    assert!(bench.run.phase_passed("prep"));
    for other in ["prod", "after", "nothing"] {
        assert!(!bench.run.phase_passed(other), "{other}");
    }
    bench.did(ONE, "1").did(TWO, "2");
    assert!(!bench.run.phase_passed("prod"));
    let why = "not asked for".into();
    bench.take(Record::Skipped { step: THREE, why });
    assert!(
        bench.run.phase_passed("prod"),
        "its own condition skipped it"
    );
}

#[test]
fn a_phase_with_a_step_that_a_person_skipped_has_not_passed() {
    let mut bench = Bench::new();
    bench
        .did(LOOK, "true")
        .start(WARN)
        .fail(WARN, FailureKind::Failed);
    bench.park(ParkReason::StepFailed { step: WARN });
    let step = "prep/warn".into();
    bench.order(Order::Skip { step });
    assert!(!bench.run.phase_passed("prep"));

    let mut plan = plan();
    plan.nodes[THREE as usize].skippable = true;
    let mut asked = Bench::of(&plan);
    asked
        .did(LOOK, "true")
        .did(WARN, "null")
        .did(ONE, "1")
        .did(TWO, "2");
    asked.start(THREE).fail(THREE, FailureKind::Unknown);
    asked.park(ParkReason::Unknown { step: THREE });
    let step = "prod/three".into();
    asked.order(Order::Skip { step });
    assert!(
        !asked.run.phase_passed("prod"),
        "it has a condition, and it began"
    );
}

#[test]
fn production_is_changed_by_a_change_that_began_where_a_failure_rolls_back() {
    let mut plan = plan();
    plan.nodes[WARN as usize].effect = Effect::Changes;
    plan.nodes[ONE as usize].effect = Effect::Tells;
    let mut bench = Bench::of(&plan);
    bench.did(LOOK, "true").did(WARN, "null");
    assert!(!bench.run.production_changed(), "a change, but not there");
    bench.start(ONE);
    assert!(!bench.run.production_changed(), "there, but no change");
    bench.start(TWO);
    assert!(bench.run.production_changed());
}

#[test]
fn a_run_knows_outputs_answers_waits_and_its_rollback() {
    let mut bench = Bench::new();
    bench.did(LOOK, "\"seen\"");
    assert_eq!(bench.run.output("prep/look"), Some("\"seen\""));
    assert_eq!(bench.run.output("prep/warn"), None);
    bench
        .take(answer("prep/warn", "1"))
        .take(answer("prep/look", "2"));
    let ids =
        |key: &str| -> Vec<String> { bench.run.signals_for(key).map(|s| s.id.clone()).collect() };
    assert_eq!(
        (ids("prep/warn"), ids("prep/look")),
        (vec!["1".into()], vec!["2".into()])
    );
    bench.start(WARN).take(waiting(WARN, "qa", None, 1));
    let who: Vec<_> = bench
        .run
        .waiting()
        .map(|(i, w)| (i, w.who.clone()))
        .collect();
    assert_eq!(who, [(WARN, "qa".to_owned())]);
    bench.take(waiting(WARN, "", Some(Timestamp(9)), 1));
    assert_eq!(bench.run.waiting().count(), 0, "only time must pass");
    bench.take(waiting(WARN, "qa", None, 1)).end(WARN, "null");
    assert_eq!(bench.run.waiting().count(), 0, "it is done");
}

#[test]
fn a_rollback_is_one_while_it_is_parked_and_undoes_what_began_newest_first() {
    let mut bench = Bench::prepared("true");
    assert_eq!(
        (bench.run.unwinding(), bench.run.undo_order()),
        (None, vec![])
    );
    bench.start(ONE).start(TWO);
    assert_eq!(
        bench.run.undo_order(),
        [TWO, ONE],
        "what began, undoable, not three"
    );
    bench.unwind();
    assert_eq!(bench.run.unwinding().unwrap().why, "it failed");
    bench.undo(TWO).take(undo_failed(TWO, None));
    bench.park(ParkReason::UndoFailed { step: TWO });
    assert_eq!(bench.run.unwinding().unwrap().why, "it failed");
    assert_eq!(bench.run.in_a_word(), "stopped in the middle of a rollback");
    bench.order(Order::Retry).undo(TWO).undone(TWO);
    assert_eq!(bench.run.undo_order(), [ONE]);
    bench.undo(ONE).undone(ONE).finish(Verdict::RolledBack);
    assert_eq!(bench.run.undo_order(), [] as [u32; 0]);
    assert_eq!(bench.run.unwinding(), None);
}

#[test]
fn a_run_says_in_a_word_what_it_is_doing_and_how_it_ended() {
    let is = |bench: &Bench, words: &str, verdict: Option<Verdict>| {
        assert_eq!(bench.run.in_a_word(), words);
        assert_eq!(bench.run.verdict(), verdict);
        assert_eq!(bench.run.is_finished(), verdict.is_some());
    };
    let mut bench = Bench::prepared("true");
    is(&bench, "is under way", None);
    bench.order(Order::Cancel);
    is(&bench, "is being cancelled", None);
    bench.finish(Verdict::Cancelled);
    is(&bench, "was cancelled", Some(Verdict::Cancelled));
    let mut bench = Bench::prepared("true");
    bench.order(Order::Rollback);
    is(
        &bench,
        "is being rolled back before it changed production",
        None,
    );
    bench.finish(Verdict::RolledBack);
    is(
        &bench,
        "was rolled back before it changed production",
        Some(Verdict::RolledBack),
    );
    let mut bench = Bench::prepared("true");
    bench.start(ONE).order(Order::Rollback);
    is(&bench, "is being rolled back", None);
    bench.undo(ONE).undone(ONE).finish(Verdict::RolledBack);
    is(&bench, "was rolled back", Some(Verdict::RolledBack));
    let mut bench = Bench::new();
    bench.start(LOOK).fail(LOOK, FailureKind::Failed);
    bench.park(ParkReason::StepFailed { step: LOOK });
    is(&bench, "is parked", None);
    let mut bench = Bench::new();
    bench.finish(Verdict::Completed);
    is(&bench, "is completed", Some(Verdict::Completed));
}

#[test]
fn what_happens_is_told_once_and_a_notice_remembers_what_became_of_it() {
    let mut bench = Bench::new();
    bench.start(LOOK).take(waiting(LOOK, "qa", None, 0));
    bench.take(waiting(LOOK, "qa", Some(Timestamp(99)), 0));
    bench.take(waiting(LOOK, "dev", None, 0));
    bench.take(waiting(LOOK, "", Some(Timestamp(99)), 0));
    bench
        .end(LOOK, "true")
        .start(WARN)
        .fail(WARN, FailureKind::Failed);
    bench.park(ParkReason::StepFailed { step: WARN });
    bench.order(Order::Rollback).finish(Verdict::RolledBack);
    let told: Vec<(u64, Topic)> = bench
        .run
        .notices
        .iter()
        .map(|n| (n.id, n.topic.clone()))
        .collect();
    let waits = Topic::Waiting { step: LOOK };
    assert_eq!(
        told,
        [
            (0, Topic::Started),
            (2, waits.clone()),
            (4, waits),
            (9, Topic::Parked),
            (10, Topic::RollbackStarted),
            (11, Topic::Finished(Verdict::RolledBack)),
        ]
    );
    bench.take(Record::Sent { notice: 2 });
    let why = "nobody there".to_owned();
    bench.take(Record::Undeliverable {
        notice: 9,
        why: why.clone(),
    });
    let became = |id: u64| {
        let notice = bench.run.notices.iter().find(|n| n.id == id);
        notice.unwrap().delivery.clone()
    };
    assert_eq!(
        became(2),
        Delivery::Sent(bench.run.notices[1].at.max(Timestamp(12)))
    );
    assert_eq!(became(9), Delivery::Undeliverable(why));
    assert_eq!(became(0), Delivery::Pending);
}
