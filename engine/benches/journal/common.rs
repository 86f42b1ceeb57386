//! What the works share: a journal, steps that do nothing, and something to drive them on.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use flow_engine::clock::SystemClock;
use flow_engine::driver::{Driver, Engine, NewRun};
use flow_engine::event::Observers;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::registry::Registry;
use flow_engine::signal::Actor;
use flow_engine::step::{Cx, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::disk::Measured;
pub(crate) use crate::measure::id;

/// A step that does nothing.
#[derive(Serialize, Deserialize)]
pub(crate) struct Nothing;

#[async_trait]
impl Step for Nothing {
    const KIND: &'static str = "bench.nothing";
    type Output = ();

    fn summary(&self) -> String {
        "nothing".into()
    }

    async fn run(&self, _cx: &Cx) -> Result<(), StepError> {
        Ok(())
    }
}

/// A step whose effect is to say that it happened.
#[derive(Serialize, Deserialize)]
pub(crate) struct Says;

/// When it happened.
pub(crate) type Said = std::sync::OnceLock<Instant>;

#[async_trait]
impl Step for Says {
    const KIND: &'static str = "bench.says";
    type Output = ();

    fn summary(&self) -> String {
        "says so".into()
    }

    async fn run(&self, cx: &Cx) -> Result<(), StepError> {
        let _first = cx.resource::<Said>()?.set(Instant::now());
        Ok(())
    }
}

pub(crate) fn planner() -> Planner {
    let mut planner = Planner::new("bench", "1", "nowhere", "bench");
    planner.fact("commit", "0123456789abcdef");
    planner
}

pub(crate) fn plan(steps: u64) -> Plan {
    let mut planner = planner();
    planner.phase("all", "all", OnFailure::Park, |p| {
        for n in 0..steps {
            p.step(&format!("all/{n}"), Nothing);
        }
    });
    planner.finish().expect("a plan")
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime")
}

pub(crate) fn open(dir: &Path) -> Arc<SledJournal> {
    let (journal, report) = SledJournal::open(dir, &OpenOptions::default()).expect("it opens");
    assert_eq!(report.repaired, []);
    Arc::new(journal)
}

pub(crate) fn engine(journal: &Arc<SledJournal>, resources: Resources) -> Engine {
    let registry = Registry::default()
        .with::<Nothing>()
        .with::<Says>()
        .with::<Measured>();
    Engine {
        journal: Arc::clone(journal) as _,
        registry: Arc::new(registry),
        resources,
        clock: Arc::new(SystemClock),
        observers: Observers::default(),
        notifier: None,
        version: "bench".into(),
        wait_for_people: false,
    }
}

pub(crate) fn by() -> Actor {
    Actor {
        name: "bench".into(),
        from: "here".into(),
    }
}

pub(crate) async fn begin(engine: Engine, n: u64, plan: Plan) -> Driver {
    let new = NewRun {
        id: id(n),
        plan,
        by: by(),
        reason: String::new(),
        request: None,
    };
    engine.start(new).await.expect("it starts").0
}
