//! Records that cannot follow: each is refused with its reason, and the run stays as it was.

use super::*;

fn refused(bench: &mut Bench, record: Record, why: &str) {
    let said = bench.offer(record).unwrap_err();
    assert!(said.contains(why), "{said}");
}

#[test]
fn a_refusal_names_the_run_the_number_and_the_kind_of_the_record() {
    let mut bench = Bench::new();
    let said = bench.offer(done(LOOK, "1")).unwrap_err();
    assert_eq!(
        said,
        "run r-core: record 1 (Done) cannot follow: step 0 is Pending, not in work"
    );
}

#[test]
fn a_step_starts_when_it_is_due_in_a_run_that_goes_forward_and_counts_its_attempts() {
    let mut bench = Bench::new();
    let start = |step, attempt| Record::Started { step, attempt };
    for attempt in [0, 2] {
        refused(
            &mut bench,
            start(LOOK, attempt),
            "step 0 is Pending after 0 attempts",
        );
    }
    refused(&mut bench, start(99, 1), "the plan has no step 99");
    bench.start(LOOK);
    refused(
        &mut bench,
        start(LOOK, 2),
        "step 0 is Running after 1 attempts",
    );
    refused(
        &mut bench,
        start(LOOK, 1),
        "step 0 is Running after 1 attempts",
    );
    bench.take(failed(LOOK, FailureKind::Failed, Some(Timestamp(9))));
    refused(&mut bench, start(LOOK, 1), "after 1 attempts");
    bench.start(LOOK).end(LOOK, "1");
    refused(&mut bench, start(LOOK, 3), "step 0 is Done");
    bench.order(Order::Rollback);
    refused(&mut bench, start(WARN, 1), "does not go forward");
}

#[test]
fn only_what_is_in_work_ends_waits_or_fails() {
    let mut bench = Bench::new();
    let records = || {
        [
            done(LOOK, "1"),
            failed(LOOK, FailureKind::Failed, None),
            waiting(LOOK, "qa", None, 0),
        ]
    };
    for record in records() {
        refused(&mut bench, record, "step 0 is Pending, not in work");
    }
    bench.did(LOOK, "1");
    for record in records() {
        refused(&mut bench, record, "step 0 is Done, not in work");
    }
    let skip = |step| Record::Skipped {
        step,
        why: "x".into(),
    };
    refused(&mut bench, skip(LOOK), "step 0 is Done");
    bench.start(WARN);
    refused(&mut bench, skip(WARN), "step 1 is Running");
    let note = Payload::Inline(vec![1]);
    refused(&mut bench, Record::Noted { step: 99, note }, "no step 99");
    bench.take(skip(ONE));
}

#[test]
fn what_was_put_elsewhere_must_be_fetched_first() {
    let away = || Payload::Object(flow_engine::id::Digest::of(b"x"));
    let mut bench = Bench::new();
    bench.start(LOOK);
    let (step, note, output) = (LOOK, away(), away());
    refused(
        &mut bench,
        Record::Noted { step, note },
        "the note was not fetched",
    );
    refused(
        &mut bench,
        Record::Done { step, output },
        "the output was not fetched",
    );
    let output = Payload::Inline(vec![0xff]);
    refused(
        &mut bench,
        Record::Done { step, output },
        "the output is no text",
    );
}

#[test]
fn an_answer_has_a_step_and_comes_once_for_each() {
    let mut bench = Bench::new();
    bench.take(answer("prep/look", "1"));
    refused(
        &mut bench,
        answer("prep/look", "1"),
        "the answer `1` is there already",
    );
    bench
        .take(answer("prep/look", "2"))
        .take(answer("prep/warn", "1"));
    refused(&mut bench, answer("prep/none", "1"), "no step `prep/none`");
}

#[test]
fn nothing_is_undone_before_a_rollback_nor_out_of_turn() {
    let mut bench = Bench::prepared("true");
    bench.start(ONE);
    let undo = |step, attempt| Record::UndoStarted { step, attempt };
    let undone = |step| Record::Undone {
        step,
        report: "x".into(),
    };
    refused(&mut bench, undo(ONE, 1), "nothing is being undone");
    bench.unwind();
    refused(&mut bench, unwinding(), "does not go forward");
    for attempt in [0, 2] {
        refused(
            &mut bench,
            undo(ONE, attempt),
            "the undo of step 2 is Pending",
        );
    }
    refused(&mut bench, undo(TWO, 1), "the undo of step 3 is Pending");
    refused(&mut bench, undone(ONE), "step 2 is not being undone");
    refused(
        &mut bench,
        undo_failed(ONE, None),
        "step 2 is not being undone",
    );
    bench.undo(ONE);
    refused(&mut bench, undo(ONE, 2), "the undo of step 2 is Running");
    bench.take(undo_failed(ONE, Some(Timestamp(9))));
    refused(&mut bench, undo(ONE, 1), "the undo of step 2 is RetryAt");
    bench.undo(ONE).undone(ONE);
    refused(&mut bench, undo(ONE, 3), "the undo of step 2 is Undone");
}

#[test]
fn what_is_parked_or_over_neither_parks_nor_ends_and_notices_are_those_there_are() {
    let why = || ParkReason::StepFailed { step: LOOK };
    let verdict = Verdict::Completed;
    let mut bench = Bench::new();
    bench
        .start(LOOK)
        .fail(LOOK, FailureKind::Failed)
        .park(why());
    refused(&mut bench, Record::Parked { why: why() }, "parked or over");
    refused(&mut bench, Record::Finished { verdict }, "parked or over");
    refused(&mut bench, unwinding(), "does not go forward");
    bench.order(Order::Cancel).finish(Verdict::Cancelled);
    refused(&mut bench, Record::Finished { verdict }, "parked or over");
    refused(
        &mut bench,
        Record::Sent { notice: 1 },
        "there is no such notice",
    );
    bench.take(Record::Sent { notice: 0 });
}

#[test]
fn a_run_is_created_once_from_a_whole_plan_that_names_its_phases() {
    let create = |record| {
        let at = Timestamp(0);
        Run::create(&"r-core".parse().unwrap(), 1, &Entry { at, record })
    };
    let of = |plan: Payload| Record::Created {
        plan,
        by: me(),
        reason: String::new(),
        request: None,
    };
    let refused = |record, why: &str| {
        let said = create(record).unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
    };
    refused(unwinding(), "the first record does not create the run");
    refused(
        of(Payload::Inline(b"{}".to_vec())),
        "its plan is unreadable",
    );
    let away = Payload::Object(flow_engine::id::Digest::of(b"x"));
    refused(of(away), "its plan was not fetched");
    for phase in [3, 4] {
        let mut bad = plan();
        bad.nodes[LOOK as usize].phase = phase;
        refused(
            of(Payload::Inline(bad.to_json())),
            "a phase that is not there",
        );
    }
    let mut bench = Bench::new();
    let again = bench.offer(of(Payload::Inline(plan().to_json())));
    assert!(again.unwrap_err().contains("the run exists already"));
}

#[test]
fn the_newest_epoch_stays_whoever_writes() {
    let mut bench = Bench::new();
    let acquired = |holder: &str| Record::Acquired {
        holder: holder.into(),
        version: "test".into(),
    };
    let at = Timestamp(5);
    for (epoch, stays) in [(4, 4), (2, 4), (5, 5)] {
        let record = acquired(&format!("driver {epoch}"));
        bench.run.apply(epoch, &Entry { at, record }).unwrap();
        assert_eq!(bench.run.epoch, stays);
        assert_eq!(bench.run.holder, format!("driver {epoch}"));
    }
}

#[test]
fn a_run_is_not_parked_for_a_step_that_is_not_there() {
    let mut bench = Bench::new();
    let why = ParkReason::StepFailed { step: 99 };
    refused(&mut bench, Record::Parked { why }, "no step 99");
}
