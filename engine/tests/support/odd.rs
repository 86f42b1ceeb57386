//! One step that behaves in many ways, one that not every binary knows, and a bench to run them on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flow_engine::clock::Timestamp;
use flow_engine::driver::{Engine, Stop};
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::plan::{Effect, Plan};
use flow_engine::record::Wait;
use flow_engine::registry::Registry;
use flow_engine::run::{LoadError, Run, append_order};
use flow_engine::signal::Order;
use flow_engine::step::{Cx, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::support::{self, Driven, id, me};

/// Behaves in one of several ways and counts its runs.
#[derive(Serialize, Deserialize)]
pub(crate) struct Odd(pub(crate) Way);

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Way {
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
        let wait = |what: String, until: Option<Timestamp>| {
            let who = if until.is_none() { "qa" } else { "" };
            Wait {
                who: who.into(),
                what,
                answer: None,
                until,
            }
        };
        match self.0 {
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
            Way::Works
            | Way::UndoneAtTheSecondTry
            | Way::AsksPeople
            | Way::AsksAtLength
            | Way::WaitsBriefly => Ok(()),
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
pub(crate) struct Rare;

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

/// One journal, and binaries that do or do not know the rare kind.
#[derive(Default)]
pub(crate) struct Bench {
    journal: Arc<MemoryJournal>,
    runs: Arc<AtomicU32>,
}

impl Bench {
    pub(crate) fn engine(&self, rare: bool) -> Engine {
        let registry = Registry::default().with::<Odd>();
        let registry = if rare {
            registry.with::<Rare>()
        } else {
            registry
        };
        let resources = Resources::default().with_shared(Arc::clone(&self.runs));
        support::engine(&self.journal, registry, resources)
    }

    /// Starts a run of this plan on a binary without the rare kind and drives it until it stops.
    pub(crate) async fn start(&self, plan: Plan) -> Stop {
        stop_of(support::drive(self.engine(false), plan).await.1).await
    }

    pub(crate) async fn resume(&self, rare: bool) -> Stop {
        let (driver, _handle) = self.engine(rare).resume(&id()).await.expect("resumes");
        driver.drive().await.expect("drives").1
    }

    pub(crate) async fn run(&self) -> Run {
        Run::load(&*self.journal, &id()).await.expect("loads")
    }

    pub(crate) async fn order(&self, order: Order) {
        self.order_because(order, "because")
            .await
            .expect("accepted");
    }

    pub(crate) async fn order_because(&self, order: Order, why: &str) -> Result<(), LoadError> {
        let mut run = self.run().await;
        let at = run.updated;
        append_order(&*self.journal, &mut run, order, me(), why, at).await
    }

    pub(crate) fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }
}

/// How a driver in the background stopped.
pub(crate) async fn stop_of(driven: Driven) -> Stop {
    driven.await.expect("no panic").expect("drives").1
}
