//! A real engine around one or two steps, on this machine.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flow_engine::clock::SystemClock;
use flow_engine::driver::{Driver, Engine, Handle, NewRun, Stop};
use flow_engine::event::{Event, Masked, Observer, Observers};
use flow_engine::id::RunId;
use flow_engine::journal::Journal;
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::record::Failure;
use flow_engine::registry::Registry;
use flow_engine::run::{Run, append_order};
use flow_engine::signal::{Actor, Order};
use flow_engine::step::{Cx, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::host::{Hosts, Local};

/// A step that only answers what it was given; with `fails` it fails instead.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Say {
    pub(crate) output: serde_json::Value,
    pub(crate) fails: bool,
}

impl Say {
    pub(crate) fn new(output: impl Serialize) -> Self {
        Say {
            output: serde_json::to_value(output).unwrap(),
            fails: false,
        }
    }

    pub(crate) fn failing() -> Self {
        Say {
            output: serde_json::Value::Null,
            fails: true,
        }
    }
}

#[async_trait]
impl Step for Say {
    const KIND: &'static str = "test.say";
    type Output = serde_json::Value;

    fn summary(&self) -> String {
        "says".into()
    }

    async fn run(&self, _: &Cx) -> Result<Self::Output, StepError> {
        if self.fails {
            return Err(StepError::fail("made to fail"));
        }
        Ok(self.output.clone())
    }
}

/// A step that changes nothing but says so in a plan, with an undo: what production looks like to other steps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Change;

#[async_trait]
impl Step for Change {
    const KIND: &'static str = "test.change";
    type Output = bool;

    fn summary(&self) -> String {
        "changes".into()
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("changes back".into())
    }

    async fn run(&self, _: &Cx) -> Result<bool, StepError> {
        Ok(true)
    }
}

/// Keeps what steps put out.
#[derive(Default)]
pub(crate) struct Shown(Mutex<String>);

impl Observer for Shown {
    fn see(&self, event: &Event) {
        if let Event::Output { text, .. } = event {
            self.0.lock().unwrap().push_str(text);
        }
    }
}

/// What outlives a "crash" of the engine: the journal, and what was shown.
pub(crate) struct Bench {
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) shown: Arc<Shown>,
    pub(crate) people: Option<crate::means::signature::roster::People>,
    pub(crate) hosts: Hosts,
    pub(crate) registry: fn() -> Registry,
}

pub(crate) fn run_id(text: &str) -> RunId {
    text.parse().unwrap()
}

pub(crate) fn actor() -> Actor {
    Actor {
        name: "developer".into(),
        from: "test".into(),
    }
}

/// A plan with a phase `prep` that parks and a phase `prod` that rolls back.
pub(crate) fn plan(prep: impl FnOnce(&mut Planner), prod: impl FnOnce(&mut Planner)) -> Plan {
    let mut p = Planner::new("release", "1.0.0", "prod", "test");
    p.fact("commit", "c".repeat(40));
    p.phase("prep", "Preparation", OnFailure::Park, prep);
    p.phase("prod", "Production", OnFailure::Rollback, prod);
    p.finish().unwrap()
}

impl Bench {
    pub(crate) fn new(registry: fn() -> Registry) -> Self {
        Bench {
            journal: Arc::default(),
            shown: Arc::default(),
            people: None,
            hosts: Hosts::new().with(Local::new("here")),
            registry,
        }
    }

    pub(crate) fn engine(&self) -> Engine {
        let journal: Arc<dyn Journal> = self.journal.clone();
        let mut resources = Resources::default().with(self.hosts.clone());
        if let Some(people) = &self.people {
            resources = resources.with(people.clone());
        }
        let shown: Arc<dyn Observer> = self.shown.clone();
        Engine {
            journal,
            registry: Arc::new((self.registry)().with::<Say>().with::<Change>()),
            resources,
            clock: Arc::new(SystemClock),
            observers: Observers::new(vec![shown], Masked::default()),
            notifier: None,
            version: "test".into(),
            wait_for_people: false,
        }
    }

    pub(crate) fn shown(&self) -> String {
        self.shown.0.lock().unwrap().clone()
    }

    pub(crate) async fn begin(&self, id: &str, plan: Plan) -> (Driver, Handle) {
        let new = NewRun {
            id: run_id(id),
            plan,
            by: actor(),
            reason: "test".into(),
            request: None,
        };
        self.engine().start(new).await.unwrap()
    }

    /// Drives a new run to its stop.
    pub(crate) async fn start(&self, id: &str, plan: Plan) -> (Arc<Run>, Stop) {
        let (driver, _handle) = self.begin(id, plan).await;
        driver.drive().await.unwrap()
    }

    /// Drives a new run and drops the driver after a while, as a crash would.
    pub(crate) async fn crash_after(&self, id: &str, plan: Plan, after: Duration) {
        let (driver, _handle) = self.begin(id, plan).await;
        let ended = tokio::time::timeout(after, driver.drive()).await;
        assert!(ended.is_err(), "the run ended before the crash");
    }

    pub(crate) async fn resume(&self, id: &str) -> (Arc<Run>, Stop) {
        let (driver, _handle) = self.engine().resume(&run_id(id)).await.unwrap();
        driver.drive().await.unwrap()
    }

    /// Gives an order while nobody drives.
    pub(crate) async fn order(&self, id: &str, order: Order) {
        let mut run = Run::load(&*self.journal, &run_id(id)).await.unwrap();
        let now = run.updated;
        append_order(&*self.journal, &mut run, order, actor(), "test", now)
            .await
            .unwrap();
    }
}

/// The failure of a step, in words.
pub(crate) fn failure(run: &Run, key: &str) -> Failure {
    let (index, _) = run.plan.node(key).unwrap();
    let state = &run.steps[index as usize];
    state
        .failure
        .clone()
        .unwrap_or_else(|| panic!("{key}: {state:?}"))
        .1
}

/// The output of a step.
pub(crate) fn output<T: serde::de::DeserializeOwned>(run: &Run, key: &str) -> T {
    let json = run.output(key);
    serde_json::from_str(json.unwrap_or_else(|| panic!("no output of {key}: {:?}", run.steps)))
        .unwrap()
}

/// What the undo of a step reported.
pub(crate) fn undone(run: &Run, key: &str) -> String {
    let (index, _) = run.plan.node(key).unwrap();
    let state = &run.steps[index as usize];
    state
        .undo_report
        .clone()
        .unwrap_or_else(|| panic!("{key}: {state:?}"))
}
