//! A journal that an earlier `flow` left behind, and the real binary.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test binary uses a part of it"
)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use flow_engine::clock::{Clock, SystemClock, Timestamp};
use flow_engine::driver::{Engine, NewRun};
use flow_engine::event::Observers;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;
use flow_engine::registry::Registry;
use flow_engine::signal::Actor;
use flow_engine::step::{Cx, Resources, Step, StepError};

#[derive(Serialize, Deserialize)]
pub(crate) struct Look(pub(crate) bool);

#[async_trait]
impl Step for Look {
    const KIND: &'static str = "test.look";
    type Output = u32;

    fn summary(&self) -> String {
        "looks".into()
    }

    async fn run(&self, _: &Cx) -> Result<u32, StepError> {
        if self.0 {
            Ok(1)
        } else {
            Err(StepError::fail("it is dark").hint("make light"))
        }
    }
}

/// A clock that stands still, so many days ago.
pub(crate) struct Ago(pub(crate) u64);

#[async_trait]
impl Clock for Ago {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 - i64::try_from(self.0).expect("small") * 86_400_000)
    }

    async fn sleep(&self, _: std::time::Duration) {}
}

/// Leaves a run in the journal under `dir/.flow`, completed or parked.
pub(crate) fn leave(dir: &Path, id: &str, well: bool) {
    leave_at(dir, id, well, Arc::new(SystemClock));
}

pub(crate) fn leave_at(dir: &Path, id: &str, well: bool, clock: Arc<dyn Clock>) {
    let runtime = tokio::runtime::Runtime::new().expect("starts");
    let state = dir.join(".flow");
    std::fs::create_dir_all(&state).expect("creates");
    std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("sets");
    let (journal, _) =
        SledJournal::open(&state.join("journal"), &OpenOptions::default()).expect("opens");
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    planner.fact("commit", "0123456789abcdef");
    planner.phase("prep", "Preparation", OnFailure::Park, |p| {
        p.step("prep/look", Look(well));
    });
    let engine = Engine {
        journal: Arc::new(journal),
        registry: Arc::new(Registry::default().with::<Look>()),
        resources: Resources::default(),
        clock,
        observers: Observers::default(),
        notifier: None,
        version: "test".into(),
        wait_for_people: false,
    };
    let by = Actor {
        name: "anna".into(),
        from: "box".into(),
    };
    let plan = planner.finish().expect("plans");
    let new = NewRun {
        id: id.parse().expect("an id"),
        plan,
        by,
        reason: "a test".into(),
        request: Some(format!("key-of-{id}")),
    };
    runtime.block_on(async {
        let (driver, _handle) = engine.start(new).await.expect("starts");
        driver.drive().await.expect("drives");
    });
}

pub(crate) fn flow(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flow"))
        .args(["--state", ".flow"])
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .expect("flow starts")
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
