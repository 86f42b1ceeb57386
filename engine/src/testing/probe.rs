//! A step that is watched while it runs.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::line::{Line, Way};
use crate::plan::Effect;
use crate::retry::Policy;
use crate::step::{Cx, DecodeError, Step, StepError};

/// The step under its own kind and version. It tries again at once, and has no patience: who plays decides whether what
/// could not be reached is asked again.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Probe<S>(pub(super) S);

#[async_trait]
impl<S: Step> Step for Probe<S> {
    const KIND: &'static str = S::KIND;
    const VERSION: u16 = S::VERSION;
    type Output = S::Output;

    fn summary(&self) -> String {
        self.0.summary()
    }

    fn effect(&self) -> Effect {
        self.0.effect()
    }

    fn undo_in_words(&self) -> Option<String> {
        self.0.undo_in_words()
    }

    fn answered_by(&self) -> Option<String> {
        self.0.answered_by()
    }

    fn skippable(&self) -> bool {
        self.0.skippable()
    }

    fn settles(&self) -> bool {
        self.0.settles()
    }

    fn policy(&self) -> Policy {
        Policy {
            attempts: 3,
            pause_s: 0,
            pause_max_s: 0,
            patience_s: 0,
            ..self.0.policy()
        }
    }

    async fn run(&self, cx: &Cx) -> Result<S::Output, StepError> {
        let line = cx.resource::<Line>()?;
        line.through(Way::Run, self.0.run(cx)).await
    }

    async fn undo(&self, cx: &Cx, done: Option<S::Output>) -> Result<String, StepError> {
        let line = cx.resource::<Line>()?;
        line.through(Way::Undo, self.0.undo(cx, done)).await
    }

    fn decode(version: u16, params: &serde_json::Value) -> Result<Self, DecodeError> {
        S::decode(version, params).map(Probe)
    }
}
