//! What the tests that drive an engine share.

use std::sync::Arc;

use flow_engine::clock::{Timestamp, TokioClock};
use flow_engine::driver::{Engine, Handle, NewRun, Stop};
use flow_engine::event::Observers;
use flow_engine::id::RunId;
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::registry::Registry;
use flow_engine::run::{LoadError, Run};
use flow_engine::signal::Actor;
use flow_engine::step::Resources;

pub(crate) type Driven = tokio::task::JoinHandle<Result<(Arc<Run>, Stop), LoadError>>;

pub(crate) fn id() -> RunId {
    "r-test".parse().expect("an id")
}

pub(crate) fn me() -> Actor {
    Actor {
        name: "me".into(),
        from: "here".into(),
    }
}

/// A plan of one phase.
pub(crate) fn plan(on_failure: OnFailure, body: impl FnOnce(&mut Planner)) -> Plan {
    let mut p = Planner::new("test", "1", "prod", "flow 0.0.1");
    p.phase("a", "the only phase", on_failure, body);
    p.finish().expect("a plan")
}

/// An engine in paused time that stays for nobody.
pub(crate) fn engine(
    journal: &Arc<MemoryJournal>,
    registry: Registry,
    resources: Resources,
) -> Engine {
    Engine {
        journal: Arc::clone(journal) as _,
        registry: Arc::new(registry),
        resources,
        clock: Arc::new(TokioClock::starting_at(Timestamp(1_795_000_000_000))),
        observers: Observers::default(),
        notifier: None,
        version: "test".into(),
        wait_for_people: false,
    }
}

/// Starts a run of this plan, drives it in the background and gives back the handle.
pub(crate) async fn drive(engine: Engine, plan: Plan) -> (Handle, Driven) {
    let new = NewRun {
        id: id(),
        plan,
        by: me(),
        reason: String::new(),
        request: None,
    };
    let (driver, handle) = engine.start(new).await.expect("starts");
    (handle, tokio::spawn(driver.drive()))
}
