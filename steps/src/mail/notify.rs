//! `mail.notify`: the team hears of the window before production is touched.

use async_trait::async_trait;
use flow_engine::clock::Timestamp;
use flow_engine::plan::Effect;
use flow_engine::run::{Run, Topic};
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::reports::migrations::Checked;

/// The topic of the notice that a deployment begins.
pub(super) const DEPLOYING: &str = "deploying";
/// The topic of the notice that takes it back.
pub(super) const ROLLED_BACK: &str = "rolled-back";

/// Tells the team what is about to happen, for how long, and whom to call. Told once: a repetition finds the notice
/// in the run. The undo tells, once, that it was taken back, and only when anything was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// The environment that is changed.
    pub environment: String,
    /// When, in words.
    pub window: String,
    /// How long the application is unavailable or read-only, in words.
    pub downtime: String,
    /// Who decides about a rollback.
    pub contact: String,
    /// What changes, in words, such as the names of the migrations. The commit comes from the plan.
    pub changes: Vec<String>,
    /// The key of the check that found which migrations are pending: they are named as what changes, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<String>,
}

/// That the team was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When the notice was stored. Whether it was delivered stands in the run's notices.
    pub at: Timestamp,
}

/// The most migrations that are named.
const NAMED_MAX: usize = 10;

impl Notify {
    /// What the team is told: this, with what is pending by name.
    fn words(&self, cx: &Cx) -> Result<Notify, StepError> {
        let mut words = self.clone();
        let Some(key) = words.checked.take() else {
            return Ok(words);
        };
        let unread = || StepError::fail(format!("what `{key}` found pending cannot be read"));
        let found = cx.run().output(&key).ok_or_else(unread)?;
        let checked: Checked = serde_json::from_str(found).map_err(|e| unread().because(&e))?;
        let pending = checked.pending;
        let names = pending.iter().take(NAMED_MAX).map(|p| p.name.clone());
        words.changes.extend(names);
        match pending.len() {
            0 => words.changes.push("no migration is pending".into()),
            n if n > NAMED_MAX => words.changes.push(format!("and {} more", n - NAMED_MAX)),
            _ => {}
        }
        Ok(words)
    }
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
            cx.queue(DEPLOYING, &self.words(cx)?).await?;
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
        cx.queue(ROLLED_BACK, &self.words(cx)?).await?;
        Ok("the team is told".into())
    }
}
