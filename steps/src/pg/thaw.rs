//! The end of read-only mode as a step of its own.

use async_trait::async_trait;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::outlook::Restorable;
use crate::means::kinds;
use crate::means::psql::Database;
use crate::means::read_only::freeze::{end_timer, say};
use crate::means::read_only::watchdog::Watchdog;
use crate::means::read_only::{Frozen, thaw};

/// Ends read-only mode as a step of its own; see [`Freeze`]. Its undo comes first in a rollback of a release that was open
/// to writers: it looks whether the restore can be made, before anything is stopped for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Thaw {
    /// The database that takes writes again.
    pub db: Database,
    /// What the undo looks at. Without it there is none.
    #[serde(default)]
    pub look: Option<Restorable>,
    /// The timer that is not needed any more.
    #[serde(default)]
    pub watchdog: Option<Watchdog>,
}

#[async_trait]
impl Step for Thaw {
    const KIND: &'static str = kinds::THAW;
    type Output = Frozen;

    fn summary(&self) -> String {
        format!(
            "end read-only mode of {}, prove it by a write",
            self.db.words()
        )
    }

    fn effect(&self) -> flow_engine::plan::Effect {
        flow_engine::plan::Effect::Changes
    }

    fn undo_in_words(&self) -> Option<String> {
        let words = "before anything is stopped: the backup is there, whole and fits; rows written since are asked for";
        self.look.is_some().then(|| words.to_owned())
    }

    async fn run(&self, cx: &Cx) -> Result<Frozen, StepError> {
        let pg = self.db.open(cx)?;
        let open = thaw(&pg).await?;
        say(cx, &open);
        end_timer(cx, &pg, self.watchdog.as_ref()).await?;
        Ok(open)
    }

    async fn undo(&self, cx: &Cx, _: Option<Frozen>) -> Result<String, StepError> {
        match &self.look {
            Some(look) => look.check(cx, &self.db).await,
            None => Ok("nothing to look at".into()),
        }
    }
}
