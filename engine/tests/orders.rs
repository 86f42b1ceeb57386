//! Corners that orders, answers and odd steps lead a run into: each has a way out, and none does anything twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flow_engine::clock::{Timestamp, TokioClock};
use flow_engine::driver::{Engine, Handle, NewRun, Stop};
use flow_engine::event::Observers;
use flow_engine::id::RunId;
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::outbox::{DeliveryError, Notifier};
use flow_engine::plan::{Effect, OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::record::{FailureKind, ParkReason, Verdict, Wait};
use flow_engine::registry::Registry;
use flow_engine::run::{LoadError, Notice, Refusal, Run, append_order};
use flow_engine::signal::{Actor, Order, Signal};
use flow_engine::step::{Cx, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

/// Behaves in one of several ways and counts its runs.
#[derive(Serialize, Deserialize)]
struct Odd(Way);

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Way {
    Works,
    Fails,
    IsUnsure,
    AsksPeople,
    AsksAtLength,
    WaitsBriefly,
    GivesUpUnasked,
    WorksLong,
    UndoneAtTheSecondTry,
}

#[async_trait]
impl Step for Odd {
    const KIND: &'static str = "test.odd";
    type Output = ();

    fn summary(&self) -> String {
        format!("{:?}", self.0)
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("undo".into())
    }

    fn skippable(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Cx) -> Result<(), StepError> {
        cx.resource::<AtomicU32>()?.fetch_add(1, Ordering::SeqCst);
        let wait = |what: String, until| {
            let who = if until == None { "qa" } else { "" };
            Wait {
                who: who.into(),
                what,
                command: String::new(),
                until,
            }
        };
        match self.0 {
            Way::Works | Way::UndoneAtTheSecondTry => Ok(()),
            Way::Fails => Err(StepError::fail("it fails")),
            Way::IsUnsure => Err(StepError::ask("nobody knows")),
            Way::GivesUpUnasked => Err(StepError::Stopped),
            Way::WorksLong => cx.sleep(Duration::from_secs(100)).await,
            Way::AsksPeople | Way::AsksAtLength if cx.signals().next().is_none() => {
                let length = if matches!(self.0, Way::AsksAtLength) {
                    5000
                } else {
                    5
                };
                Err(StepError::Wait(wait("x".repeat(length), None)))
            }
            Way::WaitsBriefly if cx.run().steps[0].wait.is_none() => {
                let until = cx.now().plus(Duration::from_millis(50));
                cx.sleep(Duration::from_millis(60)).await?;
                Err(StepError::Wait(wait("a moment".into(), Some(until))))
            }
            Way::AsksPeople | Way::AsksAtLength | Way::WaitsBriefly => Ok(()),
        }
    }

    async fn undo(&self, cx: &Cx, _: Option<()>) -> Result<String, StepError> {
        match self.0 {
            Way::UndoneAtTheSecondTry if cx.attempt() == 1 => Err(StepError::retry("not yet")),
            _ => Ok("undone".into()),
        }
    }
}

/// A kind that some binaries lack.
#[derive(Serialize, Deserialize)]
struct Rare;

#[async_trait]
impl Step for Rare {
    const KIND: &'static str = "test.rare";
    type Output = ();

    fn summary(&self) -> String {
        "rare".into()
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("undo".into())
    }

    async fn run(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }
}

/// Takes a minute for each mail.
struct SlowPost;

#[async_trait]
impl Notifier for SlowPost {
    async fn deliver(&self, _: &Run, _: &Notice) -> Result<(), DeliveryError> {
        tokio::time::sleep(Duration::from_secs(59)).await;
        Ok(())
    }
}

/// One journal, and binaries that do or do not know the rare kind.
#[derive(Default)]
struct Bench {
    journal: Arc<MemoryJournal>,
    runs: Arc<AtomicU32>,
}

fn id() -> RunId {
    "r-test".parse().expect("an id")
}

fn me() -> Actor {
    Actor {
        name: "me".into(),
        from: "here".into(),
    }
}

fn plan(on_failure: OnFailure, body: impl FnOnce(&mut Planner)) -> Plan {
    let mut p = Planner::new("test", "1", "prod", "flow 0.0.1");
    p.phase("a", "the only phase", on_failure, body);
    p.finish().expect("a plan")
}

impl Bench {
    fn engine(&self, rare: bool) -> Engine {
        let registry = Registry::default().with::<Odd>();
        Engine {
            journal: Arc::clone(&self.journal) as _,
            registry: Arc::new(if rare {
                registry.with::<Rare>()
            } else {
                registry
            }),
            resources: Resources::default().with_shared(Arc::clone(&self.runs)),
            clock: Arc::new(TokioClock::starting_at(Timestamp(1_795_000_000_000))),
            observers: Observers::default(),
            notifier: None,
            version: "test".into(),
            wait_for_people: false,
        }
    }

    async fn start(&self, engine: Engine, plan: Plan) -> Result<Stop, LoadError> {
        let new = NewRun {
            id: id(),
            plan,
            by: me(),
            reason: String::new(),
            request: None,
        };
        let (driver, _handle) = engine.start(new).await?;
        driver.drive().await.map(|(_, stop)| stop)
    }

    async fn resume(&self, rare: bool) -> Stop {
        let (driver, _handle) = self.engine(rare).resume(&id()).await.expect("resumes");
        driver.drive().await.expect("drives").1
    }

    async fn run(&self) -> Run {
        Run::load(&*self.journal, &id()).await.expect("loads")
    }

    async fn order(&self, order: Order) {
        let mut run = self.run().await;
        let at = run.updated;
        append_order(&*self.journal, &mut run, order, me(), "because", at)
            .await
            .expect("accepted");
    }

    fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_does_not_stop_half_way_for_people() {
    let bench = Bench::default();
    let plan = plan(OnFailure::Rollback, |p| {
        p.step("a/one", Odd(Way::UndoneAtTheSecondTry));
        p.step("a/ask", Odd(Way::AsksPeople));
    });
    assert_eq!(
        bench
            .start(bench.engine(false), plan)
            .await
            .expect("drives"),
        Stop::WaitingForPeople
    );
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
    let stop = bench
        .start(bench.engine(false), plan)
        .await
        .expect("drives");
    assert!(
        matches!(stop, Stop::Parked(ParkReason::Unreadable { step: 1, .. })),
        "{stop:?}"
    );
    assert_eq!(bench.runs(), 0);
    bench.order(Order::Retry).await;
    assert_eq!(bench.resume(true).await, Stop::Finished(Verdict::Completed));
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_cannot_be_read_can_be_given_up() {
    let bench = Bench::default();
    let plan = plan(OnFailure::Rollback, |p| {
        p.step("a/rare", Rare);
        p.step("a/ask", Odd(Way::AsksPeople));
    });
    bench.start(bench.engine(true), plan).await.expect("drives");
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
    let stop = bench
        .start(bench.engine(false), plan)
        .await
        .expect("drives");
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
async fn a_step_that_would_run_again_cannot_be_settled_as_done() {
    let bench = Bench::default();
    let plan = plan(OnFailure::Park, |p| {
        p.step("a/unsure", Odd(Way::IsUnsure));
    });
    bench
        .start(bench.engine(false), plan)
        .await
        .expect("drives");
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

async fn while_working(act: impl AsyncFnOnce(Handle)) -> Stop {
    let bench = Bench::default();
    let plan = plan(OnFailure::Rollback, |p| {
        p.step("a/long", Odd(Way::WorksLong));
        p.step("a/ask", Odd(Way::AsksPeople));
    });
    let new = NewRun {
        id: id(),
        plan,
        by: me(),
        reason: String::new(),
        request: None,
    };
    let (driver, handle) = bench.engine(false).start(new).await.expect("starts");
    let driven = tokio::spawn(driver.drive());
    tokio::time::sleep(Duration::from_secs(1)).await;
    act(handle).await;
    driven.await.expect("no panic").expect("the driver lives").1
}

#[tokio::test(start_paused = true)]
async fn a_reason_longer_than_a_record_is_refused_and_the_driver_lives() {
    let stop = while_working(async |handle: Handle| {
        let answer = handle.order(Order::Rollback, me(), &"y".repeat(5000)).await;
        assert!(matches!(answer, Ok(Err(Refusal::TooLong(_)))), "{answer:?}");
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
    assert_eq!(
        bench
            .start(bench.engine(false), plan)
            .await
            .expect("drives"),
        Stop::WaitingForPeople
    );
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
    let stop = bench
        .start(bench.engine(false), plan)
        .await
        .expect("drives");
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_gives_up_unasked_has_an_unknown_outcome_and_does_not_spin() {
    let bench = Bench::default();
    let plan = plan(OnFailure::Park, |p| {
        p.step("a/gives-up", Odd(Way::GivesUpUnasked));
    });
    let stop = bench
        .start(bench.engine(false), plan)
        .await
        .expect("drives");
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
    let stop = bench
        .start(bench.engine(false), plan)
        .await
        .expect("drives");
    assert_eq!(stop, Stop::Parked(ParkReason::Unknown { step: 0 }));
    let kind = bench.run().await.steps[0]
        .failure
        .clone()
        .map(|(kind, _)| kind);
    assert_eq!((kind, bench.runs()), (Some(FailureKind::Unknown), 1));
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
    let new = NewRun {
        id: id(),
        plan,
        by: me(),
        reason: String::new(),
        request: None,
    };
    let (driver, handle) = engine.start(new).await.expect("starts");
    let driven = tokio::spawn(driver.drive());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = tokio::time::Instant::now();
    assert_eq!(handle.order(Order::Rollback, me(), "now").await, Ok(Ok(())));
    assert!(asked.elapsed() < Duration::from_secs(1));
    let stop = driven.await.expect("no panic").expect("drives").1;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
}
