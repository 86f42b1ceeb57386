//! Which orders a run accepts, and what they do.

use super::*;
use flow_engine::run::{Life, Refusal, Status, Undo};

fn skip(step: &str) -> Order {
    Order::Skip { step: step.into() }
}

fn settle(step: &str, done: bool) -> Order {
    let step = step.into();
    Order::Settle { step, done }
}

/// Production changed, two is unknown and one failed beside it, parked for two.
fn parked() -> Bench {
    let mut bench = Bench::prepared("true");
    bench.start(ONE).start(TWO).fail(ONE, FailureKind::Failed);
    bench.fail(TWO, FailureKind::Unknown);
    bench.park(ParkReason::Unknown { step: TWO });
    bench
}

#[test]
fn what_is_not_parked_is_neither_retried_nor_skipped_nor_settled() {
    let mut bench = Bench::new();
    bench.start(LOOK);
    for order in [Order::Retry, skip("prep/warn"), settle("prep/look", true)] {
        let said = bench.run.accepts(&order).unwrap_err().to_string();
        assert_eq!(
            said,
            "run r-core is not parked: it is under way, or interrupted"
        );
    }
    // What there is not is no matter of being parked.
    for order in [skip("nonsense"), settle("nonsense", true)] {
        let said = bench.run.accepts(&order).unwrap_err();
        assert_eq!(said, Refusal::NoStep("nonsense".into()));
    }
}

#[test]
fn only_an_unknown_outcome_is_settled_and_as_done_only_where_that_is_enough() {
    let bench = parked();
    let refused = |step: &str, done| bench.run.accepts(&settle(step, done)).unwrap_err();
    assert_eq!(
        refused("prod/one", false),
        Refusal::NotUnknown("prod/one".into())
    );
    assert_eq!(
        refused("prep/look", false),
        Refusal::NotUnknown("prep/look".into())
    );
    assert_eq!(
        refused("prod/none", true),
        Refusal::NoStep("prod/none".into())
    );
    for done in [true, false] {
        assert_eq!(bench.run.accepts(&settle("prod/two", done)), Ok(()));
    }
    // Unknown before, and due again since: there is nothing to settle any more.
    let mut again = parked();
    again
        .order(Order::Retry)
        .start(TWO)
        .take(failed(TWO, FailureKind::Failed, None));
    again.park(ParkReason::StepFailed { step: TWO });
    assert_eq!(
        again.run.accepts(&settle("prod/two", true)),
        Err(Refusal::NotUnknown("prod/two".into()))
    );
    let mut running = parked();
    running.order(Order::Retry);
    running.park(ParkReason::StepFailed { step: ONE });
    assert_eq!(
        running.run.accepts(&settle("prod/two", true)),
        Err(Refusal::NotUnknown("prod/two".into())),
        "its last failure was unknown, but it is due again"
    );
    let mut other = plan();
    other.nodes[TWO as usize].settles = false;
    let mut strict = Bench::of(&other);
    strict
        .did(LOOK, "true")
        .did(WARN, "null")
        .start(TWO)
        .fail(TWO, FailureKind::Unknown);
    strict.park(ParkReason::Unknown { step: TWO });
    assert_eq!(
        strict.run.accepts(&settle("prod/two", true)),
        Err(Refusal::CannotSettle("prod/two".into()))
    );
    assert_eq!(strict.run.accepts(&settle("prod/two", false)), Ok(()));
}

#[test]
fn a_step_is_skipped_when_it_failed_and_the_plan_allows_it() {
    let mut bench = Bench::new();
    bench
        .did(LOOK, "true")
        .start(WARN)
        .fail(WARN, FailureKind::Failed);
    bench.park(ParkReason::StepFailed { step: WARN });
    assert_eq!(bench.run.accepts(&skip("prep/warn")), Ok(()));
    assert_eq!(
        bench.run.accepts(&skip("prep/none")),
        Err(Refusal::NoStep("prep/none".into()))
    );
    let required = |bench: &Bench, step: &str| {
        let refused = bench.run.accepts(&skip(step));
        assert_eq!(refused, Err(Refusal::Required(step.into())));
    };
    required(&bench, "prep/look");
    required(&parked(), "prod/one");
    let mut early = Bench::new();
    early.start(LOOK).fail(LOOK, FailureKind::Failed);
    early.park(ParkReason::StepFailed { step: LOOK });
    required(&early, "prep/warn");
    bench.order(skip("prep/warn"));
    let warn = &bench.run.steps[WARN as usize];
    assert_eq!(
        (warn.status, warn.skipped.as_deref()),
        (Status::Skipped, Some("because"))
    );
    assert_eq!((warn.ended, &warn.wait), (Some(bench.now), &None));
    assert_eq!(bench.run.life, Life::Forward);
}

#[test]
fn a_step_that_cannot_be_read_is_skipped_unless_it_would_have_to_be_undone() {
    let mut plan = plan();
    for node in &mut plan.nodes {
        node.skippable = true;
    }
    let unreadable = |step| ParkReason::Unreadable {
        step,
        why: "no such kind".into(),
    };
    let mut bench = Bench::of(&plan);
    bench.park(unreadable(LOOK));
    assert_eq!(bench.run.accepts(&skip("prep/look")), Ok(()));
    assert_eq!(
        bench.run.accepts(&skip("prep/warn")),
        Err(Refusal::Required("prep/warn".into())),
        "another one is what cannot be read"
    );
    let mut begun = Bench::of(&plan);
    begun
        .did(LOOK, "true")
        .did(WARN, "null")
        .start(ONE)
        .fail(ONE, FailureKind::Unknown);
    begun.park(unreadable(ONE));
    assert_eq!(
        begun.run.accepts(&skip("prod/one")),
        Err(Refusal::CannotUndo("prod/one".into()))
    );
    let mut other = Bench::of(&plan);
    other
        .did(LOOK, "true")
        .did(WARN, "null")
        .start(ONE)
        .fail(ONE, FailureKind::Unknown);
    other.park(ParkReason::Unknown { step: ONE });
    assert_eq!(
        other.run.accepts(&skip("prod/one")),
        Ok(()),
        "it can be read"
    );
}

#[test]
fn in_a_rollback_only_the_undo_that_is_stuck_is_given_up() {
    let mut bench = Bench::prepared("true");
    bench
        .start(ONE)
        .start(TWO)
        .unwind()
        .undo(TWO)
        .take(undo_failed(TWO, None));
    bench.park(ParkReason::UndoFailed { step: TWO });
    assert_eq!(
        bench.run.accepts(&skip("prod/one")),
        Err(Refusal::NotStuck("prod/one".into()))
    );
    for order in [Order::Rollback, Order::Cancel] {
        let said = bench.run.accepts(&order).unwrap_err().to_string();
        let words = "run r-core stopped in the middle of a rollback; there is nothing more to undo";
        assert_eq!(said, words);
    }
    let mut again = Bench {
        run: bench.run.clone(),
        now: bench.now,
    };
    again.order(Order::Retry);
    assert_eq!(again.run.steps[TWO as usize].undo, Undo::Pending);
    assert_eq!(again.run.steps[TWO as usize].undo_attempts_excused, 1);
    bench.order(skip("prod/two"));
    let state = &bench.run.steps[TWO as usize];
    assert_eq!((state.undo, state.status), (Undo::GivenUp, Status::Running));
    assert!(matches!(bench.run.life, Life::Unwinding(_)));
    assert_eq!(bench.run.undo_order(), [ONE]);
}

#[test]
fn a_retry_makes_the_step_it_parked_for_due_again_and_no_other() {
    let mut bench = parked();
    bench.order(Order::Retry);
    let states: Vec<_> = [ONE, TWO]
        .map(|i| bench.run.steps[i as usize].status)
        .into();
    assert_eq!(states, [Status::Failed, Status::Pending]);
    assert_eq!(bench.run.steps[TWO as usize].attempts_excused, 1);
    assert_eq!(bench.run.steps[ONE as usize].attempts_excused, 0);
    assert_eq!(bench.run.life, Life::Forward);
    // It parks for the one that was left.
    let next = bench.next(&[]);
    assert!(matches!(next, Next::Append(_)), "{next:?}");
    let mut late = Bench::prepared("true");
    late.did(ONE, "1").did(TWO, "2").did(THREE, "3").start(TELL);
    late.fail(TELL, FailureKind::Failed)
        .park(ParkReason::StepFailed { step: TELL });
    late.order(Order::Retry);
    assert_eq!(late.run.steps[TELL as usize].status, Status::Pending);
    assert_eq!(late.next(&[]), Next::Run(vec![TELL]));
}

#[test]
fn what_a_person_stated_is_kept_and_the_step_is_due() {
    for done in [true, false] {
        let mut bench = parked();
        bench.order(settle("prod/two", done));
        let two = &bench.run.steps[TWO as usize];
        assert_eq!((two.settled, two.status), (Some(done), Status::Pending));
        assert_eq!(bench.run.life, Life::Forward);
        assert_eq!(bench.run.orders.len(), 1);
    }
}

#[test]
fn a_retry_or_a_settlement_in_a_rollback_leaves_the_forward_state_alone() {
    let mut bench = Bench::prepared("true");
    bench.start(ONE).fail(ONE, FailureKind::Failed).unwind();
    bench.undo(ONE).take(undo_failed(ONE, None));
    bench.park(ParkReason::UndoFailed { step: ONE });
    bench.order(Order::Retry);
    let one = &bench.run.steps[ONE as usize];
    assert_eq!((one.status, one.undo), (Status::Failed, Undo::Pending));
    assert_eq!((one.attempts_excused, one.undo_attempts_excused), (0, 1));
    // Not failed: still due at its moment, and its attempts are not counted anew.
    bench.undo(ONE).take(undo_failed(ONE, Some(Timestamp(99))));
    bench.park(ParkReason::Unreadable {
        step: ONE,
        why: "x".into(),
    });
    bench.order(Order::Retry);
    let one = &bench.run.steps[ONE as usize];
    assert_eq!(one.undo, Undo::RetryAt(Timestamp(99)));
    assert_eq!(one.undo_attempts_excused, 1);
}

#[test]
fn a_run_is_cancelled_before_production_changed_and_rolled_back_at_any_time() {
    let mut bench = Bench::prepared("true");
    for order in [Order::Rollback, Order::Cancel] {
        assert_eq!(bench.run.accepts(&order), Ok(()));
    }
    bench.start(ONE);
    assert_eq!(
        bench.run.accepts(&Order::Cancel),
        Err(Refusal::ProductionChanged)
    );
    assert_eq!(bench.run.accepts(&Order::Rollback), Ok(()));
    let stopped = parked();
    assert_eq!(
        stopped.run.accepts(&Order::Cancel),
        Err(Refusal::ProductionChanged)
    );
    assert_eq!(stopped.run.accepts(&Order::Rollback), Ok(()));
    bench.finish(Verdict::Completed);
    assert_eq!(bench.run.accepts(&Order::Rollback), Ok(()), "even then");
    let said = bench.run.accepts(&Order::Cancel).unwrap_err().to_string();
    assert_eq!(
        said,
        "run r-core is completed; there is nothing more to undo"
    );
    bench.order(Order::Rollback);
    let Life::Unwinding(unwind) = &bench.run.life else {
        panic!("{:?}", bench.run.life);
    };
    assert_eq!((unwind.why.as_str(), unwind.cancelled), ("because", false));
    for order in [Order::Rollback, Order::Cancel] {
        assert!(bench.run.accepts(&order).is_err(), "it is under way");
    }
}
