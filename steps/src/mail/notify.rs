//! `mail.notify`: the team hears of the window before production is touched.

use async_trait::async_trait;
use flow_engine::clock::Timestamp;
use flow_engine::plan::Effect;
use flow_engine::run::{Run, Topic};
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

/// The topic of the notice that a deployment begins.
pub(super) const DEPLOYING: &str = "deploying";
/// The topic of the notice that takes it back.
pub(super) const ROLLED_BACK: &str = "rolled-back";

/// Tells the team what is about to happen, for how long, and whom to call. Told once: a repetition finds the notice
/// in the run. The undo tells, once, that it was taken back, and only when anything was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// Where.
    pub environment: String,
    /// When, in words.
    pub window: String,
    /// How long the application is unavailable or read-only, in words.
    pub downtime: String,
    /// Who decides about a rollback.
    pub contact: String,
    /// What changes, in words, such as the names of the migrations. The commit comes from the plan.
    pub changes: Vec<String>,
}

/// That the team was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When the notice was stored. Whether it was delivered stands in the run's notices.
    pub at: Timestamp,
}

fn told(run: &Run, wanted: &str) -> bool {
    let is = |topic: &Topic| matches!(topic, Topic::Step { topic, .. } if topic == wanted);
    run.notices.iter().any(|n| is(&n.topic))
}

#[async_trait]
impl Step for Notify {
    const KIND: &'static str = "mail.notify";
    type Output = Told;

    fn summary(&self) -> String {
        format!(
            "mails the team: {} changes {}, downtime {}",
            self.environment, self.window, self.downtime
        )
    }

    /// Production is as it was: a run that is cancelled right after this did not change it.
    fn effect(&self) -> Effect {
        Effect::Tells
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("mails the team that it was rolled back".into())
    }

    async fn run(&self, cx: &Cx) -> Result<Told, StepError> {
        if !told(cx.run(), DEPLOYING) {
            cx.queue(DEPLOYING, self).await?;
        }
        Ok(Told { at: cx.now() })
    }

    async fn undo(&self, cx: &Cx, _done: Option<Told>) -> Result<String, StepError> {
        if !told(cx.run(), DEPLOYING) {
            return Ok("nobody had been told".into());
        }
        if told(cx.run(), ROLLED_BACK) {
            return Ok("the team was told already".into());
        }
        cx.queue(ROLLED_BACK, self).await?;
        Ok("the team is told".into())
    }
}
