//! Out of reach is not failed: in a phase that rolls back, with production changed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flow_engine::clock::TokioClock;
use flow_engine::driver::{Engine, Stop};
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::plan::{Effect, OnFailure};
use flow_engine::planner::Planner;
use flow_engine::record::{FailureKind, ParkReason, Verdict};
use flow_engine::registry::Registry;
use flow_engine::retry::Policy;
use flow_engine::run::{Life, Run};
use flow_engine::step::{Cx, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

mod support;
use support::id;

/// What a step does as long as the world is dark, which it is for so many seconds after the run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Habit {
    Works,
    Unreached,
    /// Out of reach, and then tried in vain once.
    Shaky,
    Hangs,
    Panics,
    Stops,
    UndoUnreached,
    Breaks,
}

#[derive(Serialize, Deserialize)]
struct Distant {
    habit: Habit,
    effect: Effect,
    dark_s: u64,
    patience_s: u64,
}

impl Distant {
    fn new(habit: Habit, dark_s: u64) -> Distant {
        Distant {
            habit,
            effect: Effect::Changes,
            dark_s,
            patience_s: 300,
        }
    }

    fn reads(self) -> Distant {
        Distant {
            effect: Effect::Reads,
            ..self
        }
    }

    fn is_dark(&self, cx: &Cx) -> bool {
        cx.now().since(cx.run().created) < Duration::from_secs(self.dark_s)
    }
}

#[async_trait]
impl Step for Distant {
    const KIND: &'static str = "test.distant";
    type Output = ();
    fn summary(&self) -> String {
        "act far away".into()
    }
    fn effect(&self) -> Effect {
        self.effect
    }
    fn undo_in_words(&self) -> Option<String> {
        (self.effect == Effect::Changes).then(|| "take it back".into())
    }
    fn policy(&self) -> Policy {
        Policy {
            attempts: if self.habit == Habit::Shaky { 2 } else { 1 },
            patience_s: self.patience_s,
            ..Policy::within(20)
        }
    }
    #[expect(clippy::panic, reason = "a panicking step is one of the cases")]
    async fn run(&self, cx: &Cx) -> Result<(), StepError> {
        let dark = self.is_dark(cx);
        match self.habit {
            Habit::Unreached | Habit::Shaky if dark => Err(StepError::unreached("no way there")),
            Habit::Hangs if dark => std::future::pending().await,
            Habit::Stops if dark => Err(StepError::Stopped),
            Habit::Panics if dark => panic!("planted"),
            Habit::Shaky if cx.noted::<bool>()?.is_none() => {
                cx.note(&true).await?;
                Err(StepError::retry("not yet"))
            }
            Habit::Breaks => Err(StepError::fail("it broke")),
            _ => Ok(()),
        }
    }
    async fn undo(&self, cx: &Cx, _: Option<()>) -> Result<String, StepError> {
        if self.habit == Habit::UndoUnreached && self.is_dark(cx) {
            Err(StepError::unreached("no way back"))
        } else {
            Ok("taken back".into())
        }
    }
}

/// Releases with these steps, the first of which changes production, until the driver stops.
async fn released(
    journal: &Arc<MemoryJournal>,
    steps: impl IntoIterator<Item = Distant>,
) -> (Arc<Run>, Stop) {
    let plan = support::plan(OnFailure::Rollback, |p: &mut Planner| {
        p.step("a/change", Distant::new(Habit::Works, 0));
        for (n, step) in steps.into_iter().enumerate() {
            p.step(&format!("a/step-{n}"), step);
        }
    });
    let engine = support::engine(journal, registry(), Resources::default());
    let (_handle, drive) = support::drive(engine, plan).await;
    drive.await.expect("no panic").expect("drives")
}

fn registry() -> Registry {
    Registry::default().with::<Distant>()
}

/// Parked, production changed, and nothing taken back.
fn parked(run: &Run, stop: &Stop, why: &ParkReason) {
    assert_eq!(stop, &Stop::Parked(why.clone()));
    assert_eq!(run.unwinding(), None, "nothing is taken back for that");
}

#[tokio::test(start_paused = true)]
async fn half_a_minute_without_a_network_is_sat_out_with_one_attempt_allowed() {
    let (run, stop) = released(&Arc::default(), [Distant::new(Habit::Unreached, 30)]).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    assert!(run.steps[1].attempts > 3, "{}", run.steps[1].attempts);
}

#[tokio::test(start_paused = true)]
async fn attempts_that_reached_nothing_leave_a_step_all_of_its_attempts() {
    let (_, stop) = released(&Arc::default(), [Distant::new(Habit::Shaky, 30)]).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_outlasts_patience_parks_with_production_as_it_is_and_resume_goes_on() {
    let journal = Arc::default();
    let (run, stop) = released(&journal, [Distant::new(Habit::Unreached, 900)]).await;
    parked(&run, &stop, &ParkReason::Unreached { step: 1 });
    let tried = run.updated.since(run.created);
    assert!(
        tried >= Duration::from_mins(5) && tried < Duration::from_mins(6),
        "{tried:?}"
    );
    let (kind, failure) = run.steps[1].failure.as_ref().expect("it is on record");
    assert_eq!(*kind, FailureKind::Unreached);
    assert!(
        failure.hints.join(" ").contains("nothing was rolled back"),
        "{failure:?}"
    );
    let (run, stop) = again(&journal).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.life);
}

/// What `flow resume` does with a parked run, a quarter of an hour later.
async fn again(journal: &Arc<MemoryJournal>) -> (Arc<Run>, Stop) {
    let mut run = Run::load(&**journal, &id()).await.expect("it loads");
    let later = run.updated.plus(Duration::from_mins(15));
    let engine = Engine {
        clock: Arc::new(TokioClock::starting_at(later)),
        ..support::engine(journal, registry(), Resources::default())
    };
    flow_engine::run::append_order(
        &**journal,
        &mut run,
        flow_engine::signal::Order::Retry,
        support::me(),
        "resume",
        engine.clock.now(),
    )
    .await
    .expect("it is taken");
    let (driver, _handle) = engine.resume(&id()).await.expect("resumes");
    driver.drive().await.expect("drives")
}

#[tokio::test(start_paused = true)]
async fn a_look_that_takes_too_long_a_bug_and_a_broken_driver_are_no_evidence() {
    let late = Distant::new(Habit::Hangs, 900).reads();
    let (run, stop) = released(&Arc::default(), [late]).await;
    parked(&run, &stop, &ParkReason::Unreached { step: 1 });
    assert!(run.steps[1].attempts > 1, "it is tried again");
    for habit in [Habit::Panics, Habit::Stops] {
        let (run, stop) = released(&Arc::default(), [Distant::new(habit, 900).reads()]).await;
        parked(&run, &stop, &ParkReason::Unknown { step: 1 });
    }
    let (_, stop) = released(&Arc::default(), [Distant::new(Habit::Hangs, 30).reads()]).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
}

#[tokio::test(start_paused = true)]
async fn an_undo_has_the_same_patience_and_then_parks_without_calling_it_a_failure() {
    let journal = Arc::default();
    let steps = |dark_s| {
        [
            Distant::new(Habit::UndoUnreached, dark_s),
            Distant::new(Habit::Breaks, 0),
        ]
    };
    let (_, stop) = released(&Arc::default(), steps(240)).await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
    let (run, stop) = released(&journal, steps(900)).await;
    assert_eq!(stop, Stop::Parked(ParkReason::UndoUnreached { step: 1 }));
    assert!(matches!(
        run.life,
        Life::Parked {
            unwinding: Some(_),
            ..
        }
    ));
    let (_, stop) = again(&journal).await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
}

#[tokio::test(start_paused = true)]
async fn evidence_beside_an_outage_decides() {
    let plan = support::plan(OnFailure::Rollback, |p: &mut Planner| {
        p.step("a/change", Distant::new(Habit::Works, 0));
        p.parallel("both", |p| {
            p.step("a/far", Distant::new(Habit::Unreached, 900));
            p.step("a/broken", Distant::new(Habit::Breaks, 0));
        });
    });
    let engine = support::engine(&Arc::default(), registry(), Resources::default());
    let (_handle, drive) = support::drive(engine, plan).await;
    let (_, stop) = drive.await.expect("no panic").expect("drives");
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
}

#[tokio::test(start_paused = true)]
async fn a_step_whose_failure_parks_anyway_is_patient_for_half_a_minute_at_most() {
    for (on_failure, patience_s) in [(OnFailure::Park, 30), (OnFailure::Rollback, 300)] {
        let plan = support::plan(on_failure, |p: &mut Planner| {
            p.step("a/far", Distant::new(Habit::Works, 0));
        });
        assert_eq!(plan.nodes[0].policy.patience_s, patience_s);
    }
}
