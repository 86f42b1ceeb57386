//! One run of the step, life after life.

use std::sync::Arc;

use super::line::{Line, Trouble, Way};
use super::probe::Probe;
use super::rig::{self, Rig};
use super::{KEY, World};
use crate::driver::Engine;
use crate::id::RunId;
use crate::journal::Journal as _;
use crate::journal::memory::MemoryJournal;
use crate::plan::{OnFailure, Plan};
use crate::planner::{PlanError, Planner};
use crate::run::{LoadError, Run, Status, StepState, Topic, Undo, append_order, append_signal};
use crate::signal::Order;
use crate::step::{Step, StepError};

/// The most answers in turn that a step may ask for.
const ROUNDS: usize = 8;

/// A plan of this one step, and of what comes before it.
pub(super) fn plan<S: Step, W: World>(step: S, world: &W) -> Result<Plan, PlanError> {
    let mut planner = Planner::new("conforms", "1", "test", "conforms");
    planner.phase("before", "Before", OnFailure::Park, |p| world.before(p));
    let on_failure = if world.in_production() {
        OnFailure::Rollback
    } else {
        OnFailure::Park
    };
    planner.phase("conforms", "The step", on_failure, |p| {
        p.step(KEY, Probe(step));
    });
    planner.finish()
}

/// A run in a world that was just put back, in a journal of its own.
pub(super) struct Play<'w, W> {
    world: &'w W,
    engine: fn(&W, &Line, Arc<MemoryJournal>) -> Engine,
    plan: &'w Plan,
    journal: Arc<MemoryJournal>,
    id: RunId,
    /// Whether the run goes forward, or was ordered back.
    way: Way,
    pub(super) lives: usize,
}

/// What one life came to.
pub(super) struct Outcome {
    pub(super) line: Line,
    pub(super) step: StepState,
    /// What the step answered; `None` if it died first, did not end in time or panicked.
    pub(super) answer: Option<Result<(), StepError>>,
}

impl Outcome {
    /// Why it did not answer, or what it answered, in words.
    pub(super) fn in_words(&self) -> String {
        let failure = self
            .step
            .failure
            .as_ref()
            .or(self.step.undo_failure.as_ref());
        match (&self.answer, failure) {
            (Some(Ok(())), _) => "it answered that it is done".into(),
            (Some(Err(error)), _) => format!("it answered {}: {error}", kind(error)),
            (None, Some((kind, failure))) => format!("{kind:?}: {}", failure.message),
            (None, None) => format!("it was not asked at all ({:?})", self.step.status),
        }
    }
}

pub(super) fn kind(error: &StepError) -> &'static str {
    match error {
        StepError::Retry(_) => "Retry",
        StepError::Fail(_) => "Fail",
        StepError::Refuse(_) => "Refuse",
        StepError::Ask(_) => "Ask",
        StepError::Unreached(_) => "Unreached",
        StepError::Wait(_) => "Wait",
        StepError::Stopped => "Stopped",
    }
}

fn engine<S: Step, W: World>(world: &W, line: &Line, journal: Arc<MemoryJournal>) -> Engine {
    let resources = world.resources(line).with(line.clone());
    let rig = Rig::new(world.registry().with::<Probe<S>>());
    rig.on(journal).with(resources).engine()
}

impl<'w, W: World> Play<'w, W> {
    /// Puts the world back.
    pub(super) async fn begin<S: Step>(world: &'w W, plan: &'w Plan) -> Play<'w, W> {
        world.reset().await;
        Play {
            world,
            engine: engine::<S, W>,
            plan,
            journal: Arc::default(),
            id: "r-conforms".parse().expect("it is a run id"),
            way: Way::Run,
            lives: 0,
        }
    }

    /// The world, and what the step had people told: that is in the run, and nowhere else until it is sent.
    pub(super) async fn state(&self) -> Result<String, LoadError> {
        let mut state = self.world.state().await;
        if self.journal.head(&self.id).await?.is_some() {
            let told = self.load().await?.notices.into_iter();
            for topic in told.map(|notice| notice.topic) {
                if let Topic::Step { topic, body } = topic {
                    state.extend(["\ntold ", &topic, ": ", &body]);
                }
            }
        }
        Ok(state)
    }

    /// One life, until the run rests or the process is killed.
    async fn life(&mut self, trouble: Trouble) -> Result<Outcome, LoadError> {
        self.lives += 1;
        let line = Line::with(trouble);
        let engine = (self.engine)(self.world, &line, Arc::clone(&self.journal));
        let known = self.journal.head(&self.id).await?.is_some();
        let (driver, _handle) = if known {
            engine.resume(&self.id).await?
        } else {
            let new = rig::new_run(self.id.as_str(), self.plan.clone());
            engine.start(new).await?
        };
        tokio::select! {
            biased;
            () = line.death() => {}
            ended = driver.drive() => { ended?; }
        }
        // What the dead process had spawned is dropped before the next life begins.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let run = self.load().await?;
        let (place, _) = self.plan.node(KEY).expect("the plan has the step");
        let step = run.steps[place as usize].clone();
        // Where fewer points came than in the undisturbed run, the life before ended by itself and nothing is left to ask.
        let is_settled = match self.way {
            Way::Run => step.status == Status::Done,
            Way::Undo => step.undo == Undo::Undone,
        };
        let settled = is_settled.then_some(Ok(()));
        Ok(Outcome {
            answer: line
                .answer(self.way)
                .or(settled)
                .filter(|_| !line.is_dead()),
            step,
            line,
        })
    }

    async fn load(&self) -> Result<Run, LoadError> {
        Run::load(&*self.journal, &self.id).await
    }

    /// Lives on, with the answers of people, until the step waits for nobody or dies. Only the first life has trouble.
    pub(super) async fn live(&mut self, trouble: Trouble) -> Result<Outcome, LoadError> {
        let mut outcome = self.life(trouble).await?;
        for _ in 0..ROUNDS {
            if outcome.step.status != Status::Waiting || outcome.line.is_dead() {
                break;
            }
            let mut run = self.load().await?;
            if run.unwinding().is_some() {
                break;
            }
            let answers = self.world.answers(&run).await;
            if answers.is_empty() {
                break;
            }
            for answer in answers {
                append_signal(&*self.journal, &mut run, answer).await?;
            }
            outcome = self.life(Trouble::None).await?;
        }
        Ok(outcome)
    }

    /// Gives an order while nobody drives.
    pub(super) async fn order(&mut self, order: Order) -> Result<(), LoadError> {
        if order == Order::Rollback {
            self.way = Way::Undo;
        }
        let mut run = self.load().await?;
        let now = run.updated;
        append_order(
            &*self.journal,
            &mut run,
            order,
            rig::somebody(),
            "conforms",
            now,
        )
        .await
        .map(drop)
    }
}
