//! A real engine for tests of steps and of what shows runs: real records in a journal in memory, and somebody who starts, answers
//! and orders.
//!
//! Everything here panics where a test must fail: a journal in memory does not.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;

use crate::clock::{self, Clock, Timestamp};
use crate::driver::{Driver, Engine, Handle, NewRun, Stop};
use crate::event::{Masked, Observer, Observers};
use crate::id::RunId;
use crate::journal::Journal;
use crate::journal::memory::MemoryJournal;
use crate::plan::Plan;
use crate::record::{Entry, Failure, Payload, Record};
use crate::registry::Registry;
use crate::resources::Resources;
use crate::run::{Run, StepState, append_order, append_signal};
use crate::signal::{Actor, Order, Signal};

/// The longest a run may take to its stop, by the machine's clock: a test that hangs must fail.
const PATIENCE: Duration = Duration::from_mins(10);

/// See the module. What is in it outlives a crash of the engine.
#[derive(Clone)]
pub struct Rig {
    /// Where the records go.
    pub journal: Arc<dyn Journal>,
    /// The steps that can be run.
    pub registry: Arc<Registry>,
    /// What they are given.
    pub resources: Resources,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who is told of everything.
    pub observers: Observers,
    /// Who starts, and gives orders.
    pub by: Actor,
}

impl Rig {
    /// A journal in memory, the machine's clock, and nobody who looks on.
    pub fn new(registry: Registry) -> Rig {
        Rig {
            journal: Arc::new(MemoryJournal::default()),
            registry: Arc::new(registry),
            resources: Resources::default(),
            clock: clock::system(),
            observers: Observers::default(),
            by: somebody(),
        }
    }

    /// The same on this journal.
    #[must_use]
    pub fn on(self, journal: Arc<dyn Journal>) -> Rig {
        Rig { journal, ..self }
    }

    /// The same with these resources.
    #[must_use]
    pub fn with(self, resources: Resources) -> Rig {
        Rig { resources, ..self }
    }

    /// The same by this clock.
    #[must_use]
    pub fn by_clock(self, clock: Arc<dyn Clock>) -> Rig {
        Rig { clock, ..self }
    }

    /// The same, watched.
    #[must_use]
    pub fn watched_by(self, observers: Vec<Arc<dyn Observer>>) -> Rig {
        let observers = Observers::new(observers, Masked::default());
        Rig { observers, ..self }
    }

    /// An engine that stays for nobody and mails nothing.
    pub fn engine(&self) -> Engine {
        Engine {
            journal: Arc::clone(&self.journal),
            registry: Arc::clone(&self.registry),
            resources: self.resources.clone(),
            clock: Arc::clone(&self.clock),
            observers: self.observers.clone(),
            notifier: None,
            version: "test".into(),
            wait_for_people: false,
        }
    }

    /// A new run of this plan.
    ///
    /// # Panics
    /// When `id` is no name of a run.
    pub fn new_run(&self, id: &str, plan: Plan) -> NewRun {
        NewRun {
            by: self.by.clone(),
            ..new_run(id, plan)
        }
    }

    /// Takes a new run and does not drive it yet.
    ///
    /// # Panics
    /// When there is such a run.
    pub async fn begin(&self, id: &str, plan: Plan) -> (Driver, Handle) {
        let started = self.engine().start(self.new_run(id, plan)).await;
        started.expect("there is no such run yet")
    }

    /// Drives a new run to its stop.
    ///
    /// # Panics
    /// As [`Rig::begin`], and when it does not stop.
    pub async fn start(&self, id: &str, plan: Plan) -> (Arc<Run>, Stop) {
        let (driver, _handle) = self.begin(id, plan).await;
        drive(driver).await
    }

    /// Goes on with a run to its stop.
    ///
    /// # Panics
    /// When there is no such run, or it does not stop.
    pub async fn resume(&self, id: &str) -> (Arc<Run>, Stop) {
        let taken = self.engine().resume(&run_id(id)).await;
        let (driver, _handle) = taken.expect("there is such a run");
        drive(driver).await
    }

    /// Drives a new run and drops the driver after a while, as a crash would.
    ///
    /// # Panics
    /// When the run stops before.
    pub async fn crash_after(&self, id: &str, plan: Plan, after: Duration) {
        let (driver, _handle) = self.begin(id, plan).await;
        let ended = tokio::time::timeout(after, driver.drive()).await;
        assert!(ended.is_err(), "the run ended before the crash");
    }

    /// The run as the journal has it.
    ///
    /// # Panics
    /// When there is no such run.
    pub async fn run(&self, id: &str) -> Run {
        let run = Run::load(&*self.journal, &run_id(id)).await;
        run.expect("there is such a run")
    }

    /// Stores answers while nobody drives.
    ///
    /// # Panics
    /// When one of them is refused.
    pub async fn answer(&self, id: &str, answers: Vec<Signal>) {
        let mut run = self.run(id).await;
        for answer in answers {
            let stored = append_signal(&*self.journal, &mut run, answer).await;
            stored.expect("the run takes the answer");
        }
    }

    /// Gives an order while nobody drives.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn order(&self, id: &str, order: Order, reason: &str) {
        let mut run = self.run(id).await;
        let (by, now) = (self.by.clone(), self.clock.now());
        let given = append_order(&*self.journal, &mut run, order, by, reason, now).await;
        given.expect("the run takes the order");
    }
}

/// Drives to the stop.
///
/// # Panics
/// When the journal fails, or within ten minutes there is no stop.
pub async fn drive(driver: Driver) -> (Arc<Run>, Stop) {
    let end = tokio::time::timeout(PATIENCE, driver.drive()).await;
    end.expect("it stops").expect("the journal works")
}

/// Who does everything where it does not matter who does.
pub fn somebody() -> Actor {
    Actor {
        name: "somebody".into(),
        from: "test".into(),
    }
}

/// A new run of this plan, started by somebody.
///
/// # Panics
/// When `id` is no name of a run.
pub fn new_run(id: &str, plan: Plan) -> NewRun {
    NewRun {
        id: run_id(id),
        plan,
        by: somebody(),
        reason: "a test".into(),
        request: None,
    }
}

/// The name of a run.
///
/// # Panics
/// When it is none.
pub fn run_id(text: &str) -> RunId {
    text.parse().expect("it is the name of a run")
}

/// The run that these records make of a new one, all written at one moment.
///
/// # Panics
/// When one of them cannot follow.
pub fn fold(new: &NewRun, at: Timestamp, records: &[Record]) -> Run {
    let mut run = new.preview(at).expect("a run can follow the plan");
    for record in records {
        let record = record.clone();
        run.apply(0, &Entry { at, record }).expect("it can follow");
    }
    run
}

/// The records of a step that began and succeeded, with this JSON as its output.
pub fn done(step: u32, output: &str) -> Vec<Record> {
    let output = Payload::Inline(output.as_bytes().to_vec());
    vec![
        Record::Started { step, attempt: 1 },
        Record::Done { step, output },
    ]
}

fn state<'a>(run: &'a Run, key: &str) -> &'a StepState {
    let found = run.step_at(key);
    found.expect("the plan has such a step").1
}

/// Why a step failed last.
///
/// # Panics
/// When it did not fail.
pub fn failure(run: &Run, key: &str) -> Failure {
    let state = state(run, key);
    let failure = state.failure.clone();
    failure.unwrap_or_else(|| panic!("{key}: {state:?}")).1
}

/// The output of a step.
///
/// # Panics
/// When it has none, or one of another shape.
pub fn output<T: DeserializeOwned>(run: &Run, key: &str) -> T {
    let json = state(run, key).output.as_deref();
    let json = json.unwrap_or_else(|| panic!("no output of {key}: {:?}", run.steps));
    serde_json::from_str(json).expect("an output of that shape")
}

/// What the undo of a step reported.
///
/// # Panics
/// When it was not undone.
pub fn undone(run: &Run, key: &str) -> String {
    let state = state(run, key);
    let report = state.undo_report.clone();
    report.unwrap_or_else(|| panic!("{key}: {state:?}"))
}

/// A clock that stands still, so that what is shown can be compared to the letter. Waiting takes its time all the same.
#[derive(Debug, Clone, Copy)]
pub struct StillClock(pub Timestamp);

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        self.0
    }

    async fn sleep(&self, for_: Duration) {
        tokio::time::sleep(for_).await;
    }
}
