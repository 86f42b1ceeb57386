//! A tiny workflow for tests: it looks, changes, asks and changes again.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use flow_engine::answer::Answer;
use flow_engine::clock::{self, Timestamp};
use flow_engine::driver::{Engine, NewRun, Stop};
use flow_engine::event::{Event, Masked, Observer};
use flow_engine::journal::Journal;
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::plan::{Effect, OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::record::{Record, Wait};
use flow_engine::registry::Registry;
use flow_engine::run::Run;
use flow_engine::signal::Actor;
use flow_engine::step::{Cx, Resources, Step, StepError};
use flow_engine::testing::rig::{self, Rig, StillClock};

use crate::drive::Parts;
use crate::people::Anything;
use crate::view::live::Show;

/// Looks; fails when it is told to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Look {
    pub(crate) fails: bool,
}

#[async_trait]
impl Step for Look {
    const KIND: &'static str = "test.look";
    type Output = u32;

    fn summary(&self) -> String {
        "looks at `test`".into()
    }

    async fn run(&self, cx: &Cx) -> Result<u32, StepError> {
        cx.log("looked around");
        if self.fails {
            let io = std::io::Error::other("connection refused");
            return Err(StepError::fail("there is nothing to see")
                .because(&io)
                .hint("open your eyes"));
        }
        Ok(1)
    }
}

/// Changes something, and changes it back when it is undone.
#[derive(Serialize, Deserialize)]
pub(crate) struct Change;

#[async_trait]
impl Step for Change {
    const KIND: &'static str = "test.change";
    type Output = ();

    fn summary(&self) -> String {
        "changes `prod`".into()
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("changes `prod` back".into())
    }

    async fn run(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    async fn undo(&self, _: &Cx, _: Option<()>) -> Result<String, StepError> {
        Ok("changed back".into())
    }
}

/// Asks `qa`; any answer will do.
#[derive(Serialize, Deserialize)]
pub(crate) struct Question;

#[async_trait]
impl Step for Question {
    const KIND: &'static str = "test.question";
    type Output = String;

    fn summary(&self) -> String {
        "asks whether it works".into()
    }

    fn effect(&self) -> Effect {
        Effect::Reads
    }

    fn answered_by(&self) -> Option<String> {
        Some("qa".into())
    }

    async fn run(&self, cx: &Cx) -> Result<String, StepError> {
        cx.signals().last().map(|s| s.body.clone()).ok_or_else(|| {
            StepError::Wait(Wait {
                who: "qa".into(),
                what: "does it work?".into(),
                answer: Some(Answer::choice(["yes", "no"])),
                until: None,
            })
        })
    }
}

/// `prep/look`, `prod/change`, `prod/ask`, `prod/again`.
pub(crate) fn plan(fails: bool) -> Plan {
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    planner.fact("commit", "0123456789abcdef0123456789abcdef01234567");
    planner.fact("contact.lead", "lead@example.org");
    planner.phase("prep", "Preparation", OnFailure::Park, |p| {
        p.step("prep/look", Look { fails });
    });
    planner.phase("prod", "Production", OnFailure::Rollback, |p| {
        p.step("prod/change", Change);
        p.step("prod/ask", Question);
        p.step("prod/again", Change);
    });
    planner.finish().expect("the plan is sound")
}

/// A new run of that plan.
pub(crate) fn new_run(id: &str, fails: bool) -> NewRun {
    new_of(id, plan(fails))
}

/// A new run of another plan.
pub(crate) fn new_of(id: &str, plan: Plan) -> NewRun {
    NewRun {
        by: actor(),
        ..rig::new_run(id, plan)
    }
}

pub(crate) fn actor() -> Actor {
    Actor {
        name: "anna".into(),
        from: "box".into(),
    }
}

pub(crate) fn registry() -> Registry {
    Registry::default()
        .with::<Look>()
        .with::<Change>()
        .with::<Question>()
}

/// What driving it needs.
pub(crate) fn parts() -> Parts {
    Parts {
        registry: Arc::new(registry()),
        resources: Resources::default(),
        notifier: None,
        verifier: Arc::new(Anything),
        masked: Masked::default(),
        clock: clock::system(),
    }
}

/// The time on the clock that stands still: 2026-11-22T12:00:00Z.
pub(crate) const NOON: Timestamp = Timestamp(1_795_348_800_000);

/// An engine that can run these steps, watched and helped by nobody.
pub(crate) fn engine(journal: Arc<dyn Journal>, registry: Registry) -> Engine {
    Rig::new(registry).on(journal).engine()
}

/// Drives a run in memory until it stops, at noon.
pub(crate) async fn driven(
    journal: &Arc<MemoryJournal>,
    observers: Vec<Arc<dyn Observer>>,
    fails: bool,
) -> (Arc<Run>, Stop) {
    let rig = Rig {
        by: actor(),
        ..Rig::new(registry())
    };
    let rig = rig.on(journal.clone()).watched_by(observers);
    let rig = rig.by_clock(Arc::new(StillClock(NOON)));
    rig.start("r-test", plan(fails)).await
}

/// The run that these records make of a plan.
pub(crate) fn run_of(id: &str, plan: &Plan, records: &[Record]) -> Run {
    let new = NewRun {
        reason: String::new(),
        ..new_of(id, plan.clone())
    };
    rig::fold(&new, NOON, records)
}

/// A step that began and succeeded.
pub(crate) fn done(step: u32) -> Vec<Record> {
    rig::done(step, "1")
}

/// Shows nothing: for tests that look at the run itself.
pub(crate) struct Quiet;

impl Observer for Quiet {
    fn see(&self, _: &Event) {}
}

impl Show for Quiet {
    fn begin(&self, _: &Arc<Run>) {}
    fn end(&self, _: &Arc<Run>) {}
}
