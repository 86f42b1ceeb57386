//! A sequence of steps that are over in their first turn: the driver takes them in without asking everything in turn.

use std::sync::Arc;

use async_trait::async_trait;
use flow_engine::driver::Stop;
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::record::Verdict;
use flow_engine::registry::Registry;
use flow_engine::run::Status;
use flow_engine::signal::Order;
use flow_engine::step::{Cx, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

mod support;
use support::{id, me};

/// Over at once.
#[derive(Serialize, Deserialize)]
struct Quick;

#[async_trait]
impl Step for Quick {
    const KIND: &'static str = "test.quick";
    type Output = ();
    fn summary(&self) -> String {
        "nothing".into()
    }
    async fn run(&self, _cx: &Cx) -> Result<(), StepError> {
        Ok(())
    }
}

const STEPS: usize = 2_000;

fn many() -> Plan {
    support::plan(OnFailure::Park, |p| {
        for n in 0..STEPS {
            p.step(&format!("a/{n}"), Quick);
        }
    })
}

fn registry() -> Registry {
    Registry::default().with::<Quick>()
}

#[tokio::test(start_paused = true)]
async fn an_order_is_heard_between_steps_that_never_wait() {
    let journal: Arc<MemoryJournal> = Arc::default();
    let engine = support::engine(&journal, registry(), Resources::default());
    let (handle, drive) = support::drive(engine, many()).await;
    let order = handle.order(Order::Rollback, me(), "users miss data");
    assert_eq!(order.await, Ok(Ok(())));
    let (run, stop) = drive.await.expect("no panic").expect("it drives");
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
    let done = run.steps.iter().filter(|s| s.status == Status::Done);
    assert!(done.count() < STEPS);
}

#[tokio::test(start_paused = true)]
async fn a_driver_stops_between_steps_that_never_wait_and_the_next_goes_on() {
    let journal: Arc<MemoryJournal> = Arc::default();
    let engine = || support::engine(&journal, registry(), Resources::default());
    let (handle, drive) = support::drive(engine(), many()).await;
    tokio::task::yield_now().await;
    handle.stop();
    let (run, stop) = drive.await.expect("no panic").expect("it drives");
    assert_eq!(stop, Stop::Interrupted);
    let done = run.steps.iter().filter(|s| s.status == Status::Done);
    assert!((1..STEPS).contains(&done.count()));
    let (driver, _handle) = engine().resume(&id()).await.expect("resumes");
    let (run, stop) = driver.drive().await.expect("it drives");
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    assert!(run.steps.iter().all(|s| s.attempts == 1));
}
