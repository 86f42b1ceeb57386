//! Read-only mode as a step: nobody writes while a release is under way.

use async_trait::async_trait;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::Watchdog;
use super::read_only::{Frozen, freeze, is_on, put_back, setting};
use crate::means::psql::{Database, Pg};

mod of_run;

pub(super) use of_run::{before, was_begun_again};

/// Makes every new session of a database read-only and ends the open ones, which would go on writing. Then proves it:
/// a new session's write must be refused.
///
/// It is a barrier against an application that goes on, not against one that asks for a read-write transaction. The
/// release's own migration does that: `options=-c%20default_transaction_read_only%3Doff` in its `DATABASE_URL`. So does
/// `PostgREST`, for every write. Nothing an owner may set stops that, so it is tried and said: what such a client writes is
/// found by the comparison with the baseline, which asks.
///
/// A timer on the host ends read-only mode when nobody drives the run any more; see [`Watchdog`].
///
/// Its undo gives the database the setting it had: one that was read-only before the release is so again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// The database whose default becomes read-only; its server's maintenance database is used for that.
    pub db: Database,
    /// The key of the step that ends read-only mode. Once that is done there is nothing to undo: by then the environment
    /// may be another run's. Without it the undo also gives back what was set before the release.
    #[serde(default)]
    pub ended_by: Option<String>,
    /// What ends read-only mode when nobody drives the run; nothing in plans from before there was that.
    #[serde(default)]
    pub watchdog: Option<Watchdog>,
}

/// What the database said about read-only mode before the freeze; noted before it is changed.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    read_only: Option<String>,
}

#[async_trait]
impl Step for Freeze {
    const KIND: &'static str = "pg.freeze";
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

pub(super) fn say(cx: &Cx, frozen: &Frozen) {
    for line in &frozen.unbound {
        cx.log(line);
    }
}

/// Ends the timer once the database is open; says what it had done.
pub(super) async fn end_timer(
    cx: &Cx,
    pg: &Pg,
    watchdog: Option<&Watchdog>,
) -> Result<(), StepError> {
    let Some(watchdog) = watchdog else {
        return Ok(());
    };
    if let Some(opening) = watchdog.disarm(cx, pg).await? {
        cx.log(format!("before this {}", opening.in_words()));
    }
    Ok(())
}

impl Freeze {
    /// See [`Freeze::anew`].
    pub(crate) async fn again(&self, cx: &Cx) -> Result<(), StepError> {
        self.anew(cx).await.map(drop)
    }

    /// Freezes once more what was opened since, by its timer or by a person; leaves alone what is read-only. Not a step's
    /// run: the setting of before is the one that was noted then. Answers whether it was opened.
    pub(crate) async fn anew(&self, cx: &Cx) -> Result<bool, StepError> {
        let pg = self.db.open(cx)?;
        if is_on(&pg).await? {
            return Ok(false);
        }
        cx.log(format!(
            "{} is not read-only any more: freezing it again",
            self.db.words()
        ));
        if let Some(watchdog) = &self.watchdog {
            let was = before(cx, &self.db);
            watchdog.arm(cx, &pg, was.as_deref(), false).await?;
        }
        say(cx, &freeze(&pg).await?);
        Ok(true)
    }
}
