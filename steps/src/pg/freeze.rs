//! Read-only mode as a step: nobody writes while a release is under way.

use async_trait::async_trait;
use flow_engine::step::{Cx, Step, StepError};

use crate::means::freezes::Before;
use crate::means::kinds;
use crate::means::read_only::freeze::{Freeze, end_timer, say};
use crate::means::read_only::{Frozen, freeze, put_back, setting};

#[async_trait]
impl Step for Freeze {
    const KIND: &'static str = kinds::FREEZE;
    type Output = Frozen;

    fn summary(&self) -> String {
        let timer = self.watchdog.as_ref().map_or_else(String::new, |w| {
            format!(
                "; a timer there opens it when nobody drives for {} s",
                w.seconds
            )
        });
        format!(
            "make {} read-only, end its open sessions, prove it by a write{timer}",
            self.db.words()
        )
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("read-only mode off, proved by a write".into())
    }

    async fn run(&self, cx: &Cx) -> Result<Frozen, StepError> {
        let pg = self.db.open(cx)?;
        let before = if let Some(before) = cx.noted::<Before>()? {
            before
        } else {
            let read_only = setting(&pg).await?.map(|(value, _)| value);
            let before = Before { read_only };
            cx.note(&before).await?;
            before
        };
        if let Some(watchdog) = &self.watchdog {
            // Before the freeze: whatever happens in between, there is a timer.
            let opened = watchdog.arm(cx, &pg, before.read_only.as_deref(), false);
            if let Some(opening) = opened.await? {
                cx.log(format!(
                    "it had been frozen before, and {}",
                    opening.in_words()
                ));
            }
        }
        let frozen = freeze(&pg).await?;
        cx.log(format!("a write was refused: {}", frozen.canary));
        say(cx, &frozen);
        Ok(frozen)
    }

    async fn undo(&self, cx: &Cx, _: Option<Frozen>) -> Result<String, StepError> {
        let ended = self.ended_by.as_deref();
        if let Some(key) = ended.filter(|key| cx.run().output(key).is_some()) {
            return Ok(format!("`{key}` has ended read-only mode"));
        }
        let before: Option<Before> = cx.noted()?;
        let was = before.and_then(|before| before.read_only);
        let pg = self.db.open(cx)?;
        let now = put_back(&pg, was.as_deref()).await?;
        say(cx, &now);
        end_timer(cx, &pg, self.watchdog.as_ref()).await?;
        Ok(if now.read_only {
            format!(
                "{} is read-only, as it was before the release",
                self.db.words()
            )
        } else {
            format!("{} accepts writes", self.db.words())
        })
    }
}
