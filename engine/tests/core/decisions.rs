//! What comes next.

use super::*;

#[test]
fn a_failure_means_what_its_kind_its_phase_and_production_say() {
    use FailureKind::{Failed, Refused, Unknown};
    let parked = |why: fn(u32) -> ParkReason, step| Next::Append(Record::Parked { why: why(step) });
    let undoes = |key: &str| {
        let why = format!("step `{key}` failed: it broke");
        Next::Append(Record::Unwinding { why })
    };
    let broke = |step| ParkReason::StepFailed { step };
    let refused = |step| ParkReason::Refused { step };
    let unknown = |step| ParkReason::Unknown { step };
    // Before production changed, in a phase that parks and as the first step of one that rolls back.
    let mut first_reads = plan();
    first_reads.nodes[ONE as usize].effect = Effect::Reads;
    for (kind, why) in [
        (Failed, broke as fn(u32) -> ParkReason),
        (Refused, refused),
        (Unknown, unknown),
    ] {
        let mut early = Bench::new();
        early.start(LOOK).fail(LOOK, kind);
        assert_eq!(early.next(&[]), parked(why, LOOK), "{kind:?}");
        let mut first = Bench::of(&first_reads);
        first.did(LOOK, "true").did(WARN, "null");
        first.start(ONE).fail(ONE, kind);
        assert_eq!(first.next(&[]), parked(why, ONE), "{kind:?}");
    }
    // After: a phase that rolls back does, but never on what is not known; one that parks says that something failed.
    for (kind, three, tell) in [
        (Failed, undoes("prod/three"), parked(broke, TELL)),
        (Refused, undoes("prod/three"), parked(broke, TELL)),
        (Unknown, parked(unknown, THREE), parked(unknown, TELL)),
    ] {
        let mut late = Bench::prepared("true");
        late.did(ONE, "1").did(TWO, "2").start(THREE);
        late.fail(THREE, kind);
        assert_eq!(late.next(&[]), three, "{kind:?}");
        let mut after = Bench::prepared("true");
        after.did(ONE, "1").did(TWO, "2").did(THREE, "3");
        after.start(TELL).fail(TELL, kind);
        assert_eq!(after.next(&[]), tell, "{kind:?}");
    }
}

#[test]
fn what_could_not_be_reached_parks_in_every_phase_and_never_undoes_anything() {
    let parked = |step| {
        let why = ParkReason::Unreached { step };
        Next::Append(Record::Parked { why })
    };
    for (at, before) in [(ONE, vec![]), (TWO, vec![ONE]), (THREE, vec![ONE, TWO])] {
        let mut bench = Bench::prepared("true");
        for step in before {
            bench.did(step, "1");
        }
        bench.start(at).fail(at, FailureKind::Unreached);
        assert_eq!(bench.next(&[]), parked(at));
    }
    let mut early = Bench::new();
    early.start(LOOK).fail(LOOK, FailureKind::Unreached);
    assert_eq!(early.next(&[]), parked(LOOK));
}

#[test]
fn an_undo_that_cannot_reach_its_host_parks_as_unreached_and_goes_on_with_the_next_word() {
    let mut bench = Bench::prepared("true");
    bench.start(ONE).unwind().undo(ONE);
    bench.take(Record::UndoFailed {
        step: ONE,
        kind: FailureKind::Unreached,
        failure: flow_engine::record::Failure::new("no way there"),
        retry_at: None,
    });
    let why = ParkReason::UndoUnreached { step: ONE };
    assert_eq!(
        bench.next(&[]),
        Next::Append(Record::Parked { why: why.clone() })
    );
    bench.take(Record::Parked { why });
    bench.order(Order::Retry);
    assert_eq!(bench.next(&[]), Next::Undo(ONE));
}

#[test]
fn a_step_in_flight_is_interrupted_before_it_is_undone_and_an_undo_in_flight_is_waited_for() {
    let mut bench = Bench::prepared("true");
    bench.start(ONE).start(TWO).unwind();
    assert_eq!(bench.next(&[ONE, TWO]), Next::Interrupt);
    assert_eq!(bench.next(&[TWO]), Next::Interrupt, "the first to undo");
    assert_eq!(bench.next(&[ONE]), Next::Interrupt);
    assert_eq!(bench.next(&[]), Next::Undo(TWO));
    bench.undo(TWO);
    assert_eq!(bench.next(&[TWO]), Next::Wait(None));
    assert_eq!(bench.next(&[]), Next::Undo(TWO), "after a crash: again");
    bench.undone(TWO);
    assert_eq!(bench.next(&[]), Next::Undo(ONE));
}

#[test]
fn an_undo_is_tried_again_when_it_is_due_and_not_before() {
    let mut bench = Bench::prepared("true");
    bench.start(ONE).unwind().undo(ONE);
    let later = Timestamp(bench.now.0 + 10);
    bench.take(undo_failed(ONE, Some(later)));
    assert_eq!(bench.next(&[]), Next::Wait(Some(later)));
    bench.now = later;
    assert_eq!(bench.next(&[]), Next::Undo(ONE), "at that very moment");
    bench.undo(ONE).take(undo_failed(ONE, None));
    let why = ParkReason::UndoFailed { step: ONE };
    assert_eq!(bench.next(&[]), Next::Append(Record::Parked { why }));
}

#[test]
fn steps_of_a_group_run_together_and_nothing_runs_past_them() {
    let mut bench = Bench::prepared("true");
    assert_eq!(bench.next(&[]), Next::Run(vec![ONE, TWO]));
    bench.start(ONE).start(TWO);
    assert_eq!(
        bench.next(&[ONE]),
        Next::Run(vec![TWO]),
        "only what is not in flight"
    );
    assert_eq!(bench.next(&[ONE, TWO]), Next::Wait(None));
    bench.end(ONE, "1").fail(TWO, FailureKind::Failed);
    assert!(matches!(
        bench.next(&[]),
        Next::Append(Record::Unwinding { .. })
    ));
    let mut beside = Bench::prepared("true");
    beside.start(ONE).start(TWO).fail(TWO, FailureKind::Failed);
    assert_eq!(
        beside.next(&[ONE]),
        Next::Wait(None),
        "what is beside it ends first"
    );
}

#[test]
fn steps_without_a_group_or_of_another_phase_run_one_after_the_other() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.next(&[]),
        Next::Run(vec![LOOK]),
        "none of them has a group"
    );
    let mut plan = plan();
    plan.nodes[WARN as usize].group = Some("both".into());
    bench = Bench::of(&plan);
    bench.did(LOOK, "true");
    assert_eq!(
        bench.next(&[]),
        Next::Run(vec![WARN]),
        "one and two are of another phase"
    );
}

#[test]
fn a_wait_ends_with_a_later_answer_or_when_its_moment_comes() {
    let mut bench = Bench::new();
    bench.take(answer("prep/look", "1")).start(LOOK);
    let until = Timestamp(bench.now.0 + 10);
    bench.take(waiting(LOOK, "qa", Some(until), 1));
    assert_eq!(
        bench.next(&[]),
        Next::Wait(Some(until)),
        "that answer it had seen"
    );
    let mut answered = bench.run.clone();
    let at = bench.now;
    let record = answer("prep/look", "2");
    answered.apply(1, &Entry { at, record }).unwrap();
    assert_eq!(next(&answered, at, &set(&[])), Next::Run(vec![LOOK]));
    bench.take(answer("prep/warn", "1"));
    assert_eq!(
        bench.next(&[]),
        Next::Wait(Some(until)),
        "that was for another step"
    );
    bench.now = until;
    assert_eq!(
        bench.next(&[]),
        Next::Run(vec![LOOK]),
        "at that very moment"
    );
}

#[test]
fn a_retry_waits_for_its_moment_and_the_earliest_of_two_counts() {
    let mut bench = Bench::prepared("true");
    bench.start(ONE).start(TWO);
    let (soon, later) = (Timestamp(50), Timestamp(90));
    bench.take(failed(ONE, FailureKind::Failed, Some(later)));
    bench.take(failed(TWO, FailureKind::Failed, Some(soon)));
    assert_eq!(bench.next(&[]), Next::Wait(Some(soon)));
    bench.now = soon;
    assert_eq!(bench.next(&[]), Next::Run(vec![TWO]));
    assert_eq!(bench.next(&[TWO]), Next::Wait(Some(later)));
}

#[test]
fn a_condition_that_said_no_skips_and_any_other_answer_does_not() {
    for (said, skips) in [("false", true), ("true", false), ("null", false)] {
        let mut bench = Bench::prepared(said);
        bench.did(ONE, "1").did(TWO, "2");
        let next = bench.next(&[]);
        let skipped = matches!(next, Next::Append(Record::Skipped { step: THREE, .. }));
        assert_eq!(skipped, skips, "{said}: {next:?}");
        assert!(skips || next == Next::Run(vec![THREE]));
    }
}

#[test]
fn a_rollback_ends_as_what_it_was() {
    for (order, given_up, verdict) in [
        (Order::Rollback, false, Verdict::RolledBack),
        (Order::Cancel, false, Verdict::Cancelled),
        (Order::Rollback, true, Verdict::RolledBackInPart),
    ] {
        let mut bench = Bench::prepared("true");
        if given_up {
            bench.start(ONE);
        }
        bench.order(order);
        if given_up {
            bench.undo(ONE).take(undo_failed(ONE, None));
            bench.park(ParkReason::UndoFailed { step: ONE });
            assert_eq!(bench.next(&[]), Next::Rest);
            let step = "prod/one".into();
            bench.order(Order::Skip { step });
        }
        let end = Next::Append(Record::Finished { verdict });
        assert_eq!(bench.next(&[]), end);
        bench.finish(verdict);
        assert_eq!(bench.next(&[]), Next::Rest);
    }
}
