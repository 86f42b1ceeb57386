//! Corners that orders, answers and odd steps lead a run into: each has a way out, and none does anything twice.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flow_engine::clock::Timestamp;
use flow_engine::driver::{Engine, Handle, Stop};
use flow_engine::journal::BODY_MAX;
use flow_engine::outbox::{DeliveryError, Notifier};
use flow_engine::plan::OnFailure;
use flow_engine::record::{FailureKind, ParkReason, Verdict};
use flow_engine::run::{LoadError, Notice, Refusal, Run};
use flow_engine::signal::{Order, Signal};

#[path = "support/odd.rs"]
mod odd;
mod support;
use odd::{Bench, Odd, Rare, Way, stop_of};
use support::{me, plan};

/// Takes a minute for each mail.
struct SlowPost;

#[async_trait]
impl Notifier for SlowPost {
    async fn deliver(&self, _: &Run, _: &Notice) -> Result<(), DeliveryError> {
        tokio::time::sleep(Duration::from_secs(59)).await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_does_not_stop_half_way_for_people() {
    let bench = Bench::default();
    let plan = plan(OnFailure::Rollback, |p| {
        p.step("a/one", Odd(Way::UndoneAtTheSecondTry));
        p.step("a/ask", Odd(Way::AsksPeople));
    });
    assert_eq!(bench.start(plan).await, Stop::WaitingForPeople);
    bench.order(Order::Rollback).await;
    assert_eq!(
        bench.resume(false).await,
        Stop::Finished(Verdict::RolledBack)
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_that_cannot_be_read_parks_its_whole_group_before_any_of_it_starts() {
    let bench = Bench::default();
    let plan = plan(OnFailure::Park, |p| {
        p.parallel("both", |p| {
            p.step("a/works", Odd(Way::Works));
            p.step("a/rare", Rare);
        });
    });
    let stop = bench.start(plan).await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::Unreadable { step: 1, .. })),
        "{stop:?}"
    );
    assert_eq!(bench.runs(), 0);
    bench.order(Order::Retry).await;
    assert_eq!(bench.resume(true).await, Stop::Finished(Verdict::Completed));
}

#[tokio::test(start_paused = true)]
async fn a_done_step_whose_undo_cannot_be_read_is_not_skipped_away() {
    let bench = Bench::default();
    let plan = plan(OnFailure::Rollback, |p| {
        p.step("a/rare", Rare);
        p.step("a/ask", Odd(Way::AsksPeople));
    });
    stop_of(support::drive(bench.engine(true), plan).await.1).await;
    let stop = bench.resume(false).await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::Unreadable { step: 0, .. })),
        "{stop:?}"
    );
    let skip = Order::Skip {
        step: "a/rare".into(),
    };
    let run = bench.run().await;
    assert_eq!(
        run.accepts(&skip),
        Err(Refusal::CannotUndo("a/rare".into()))
    );
    assert_eq!(run.accepts(&Order::Rollback), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_cannot_be_read_can_be_given_up() {
    let bench = Bench::default();
    let plan = plan(OnFailure::Rollback, |p| {
        p.step("a/rare", Rare);
        p.step("a/ask", Odd(Way::AsksPeople));
    });
    stop_of(support::drive(bench.engine(true), plan).await.1).await;
    bench.order(Order::Rollback).await;
    let stop = bench.resume(false).await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::Unreadable { step: 0, .. })),
        "{stop:?}"
    );
    assert!(matches!(
        bench.run().await.accepts(&Order::Cancel),
        Err(Refusal::NothingToUndo { .. })
    ));
    bench
        .order(Order::Skip {
            step: "a/rare".into(),
        })
        .await;
    assert_eq!(
        bench.resume(false).await,
        Stop::Finished(Verdict::RolledBackInPart)
    );
}

#[tokio::test(start_paused = true)]
async fn the_unknown_one_of_two_failed_steps_is_asked_about_first_and_run_only_when_it_is_meant() {
    let bench = Bench::default();
    let plan = plan(OnFailure::Park, |p| {
        p.parallel("both", |p| {
            p.step("a/fails", Odd(Way::Fails));
            p.step("a/unsure", Odd(Way::IsUnsure));
        });
    });
    let stop = bench.start(plan).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Unknown { step: 1 }));
    bench
        .order(Order::Skip {
            step: "a/fails".into(),
        })
        .await;
    assert_eq!(
        bench.resume(false).await,
        Stop::Parked(ParkReason::Unknown { step: 1 })
    );
    assert_eq!(bench.runs(), 2, "the unknown one was not run again");
}

#[tokio::test(start_paused = true)]
async fn an_order_is_taken_while_the_last_mails_go_out() {
    let bench = Bench::default();
    let plan = plan(OnFailure::Park, |p| {
        p.step("a/works", Odd(Way::Works));
        p.step("a/fails", Odd(Way::Fails));
    });
    let engine = Engine {
        notifier: Some(Arc::new(SlowPost)),
        ..bench.engine(false)
    };
    let (handle, drive) = support::drive(engine, plan).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = tokio::time::Instant::now();
    assert_eq!(handle.order(Order::Rollback, me(), "now").await, Ok(Ok(())));
    assert!(asked.elapsed() < Duration::from_secs(1));
    let stop = stop_of(drive).await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
}

async fn while_working(act: impl AsyncFnOnce(Handle)) -> Stop {
    let bench = Bench::default();
    let plan = plan(OnFailure::Rollback, |p| {
        p.step("a/long", Odd(Way::WorksLong));
        p.step("a/ask", Odd(Way::AsksPeople));
    });
    let (handle, drive) = support::drive(bench.engine(false), plan).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    act(handle).await;
    stop_of(drive).await
}

#[tokio::test(start_paused = true)]
async fn a_step_that_would_run_again_cannot_be_settled_as_done() {
    let bench = Bench::default();
    let plan = plan(OnFailure::Park, |p| {
        p.step("a/unsure", Odd(Way::IsUnsure));
    });
    bench.start(plan).await;
    let settle = |done| Order::Settle {
        step: "a/unsure".into(),
        done,
    };
    let run = bench.run().await;
    assert_eq!(
        run.accepts(&settle(true)),
        Err(Refusal::CannotSettle("a/unsure".into()))
    );
    assert_eq!(run.accepts(&settle(false)), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_reason_longer_than_a_record_is_refused_and_the_driver_lives() {
    let stop = while_working(async |handle: Handle| {
        let too_long = async |length| {
            let reason = "y".repeat(length);
            match handle.order(Order::Rollback, me(), &reason).await {
                Ok(Err(Refusal::TooLong(bytes))) => bytes,
                other => panic!("{length}: {other:?}"),
            }
        };
        // What it says is too many is too many by just that.
        let bytes = too_long(5000).await;
        assert!((5000 - BODY_MAX..1200).contains(&bytes), "{bytes}");
        assert_eq!(too_long(5000 - bytes + 1).await, 1);
    });
    assert_eq!(stop.await, Stop::WaitingForPeople);
}

#[tokio::test(start_paused = true)]
async fn an_answer_longer_than_a_record_is_refused_and_the_driver_lives() {
    let stop = while_working(async |handle: Handle| {
        let body = "y".repeat(5000);
        let signal = Signal {
            step: "a/ask".into(),
            id: "1".into(),
            by: me(),
            body,
            at: Timestamp(1),
        };
        let answer = handle.signal(signal).await;
        assert!(matches!(answer, Ok(Err(Refusal::TooLong(_)))), "{answer:?}");
    });
    assert_eq!(stop.await, Stop::WaitingForPeople);
}

#[tokio::test(start_paused = true)]
async fn a_question_longer_than_a_record_is_cut() {
    let bench = Bench::default();
    let plan = plan(OnFailure::Park, |p| {
        p.step("a/ask", Odd(Way::AsksAtLength));
    });
    assert_eq!(bench.start(plan).await, Stop::WaitingForPeople);
    let what = bench.run().await.steps[0]
        .wait
        .clone()
        .expect("it waits")
        .what;
    assert!(what.ends_with("x…"), "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_moment_that_passed_before_it_was_noticed_is_no_failure() {
    let bench = Bench::default();
    let plan = plan(OnFailure::Rollback, |p| {
        p.step("a/brief", Odd(Way::WaitsBriefly));
    });
    let stop = bench.start(plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_gives_up_unasked_has_an_unknown_outcome_and_does_not_spin() {
    let bench = Bench::default();
    let plan = plan(OnFailure::Park, |p| {
        p.step("a/gives-up", Odd(Way::GivesUpUnasked));
    });
    let stop = bench.start(plan).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Unknown { step: 0 }));
    assert_eq!(bench.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_took_too_long_is_unknown_and_not_begun_a_second_time() {
    let bench = Bench::default();
    let mut plan = plan(OnFailure::Park, |p| {
        p.step("a/long", Odd(Way::WorksLong));
    });
    plan.nodes[0].policy.timeout_s = 5;
    let stop = bench.start(plan).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Unknown { step: 0 }));
    let kind = bench.run().await.steps[0]
        .failure
        .clone()
        .map(|(kind, _)| kind);
    assert_eq!((kind, bench.runs()), (Some(FailureKind::Unknown), 1));
}

#[tokio::test(start_paused = true)]
async fn an_order_without_a_reason_is_refused_whoever_carries_it() {
    let stop = while_working(async |handle: Handle| {
        let answer = handle.order(Order::Rollback, me(), " ").await;
        assert_eq!(answer, Ok(Err(Refusal::NoReason)));
    });
    assert_eq!(stop.await, Stop::WaitingForPeople);
    let bench = Bench::default();
    let plan = plan(OnFailure::Park, |p| {
        p.step("a/fails", Odd(Way::Fails));
    });
    bench.start(plan).await;
    let refused = bench.order_because(Order::Retry, "").await;
    assert!(matches!(
        refused,
        Err(LoadError::Refused(Refusal::NoReason))
    ));
    assert!(bench.run().await.orders.is_empty());
}
