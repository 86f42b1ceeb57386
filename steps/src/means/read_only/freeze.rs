//! Freezing a database: what it takes, and freezing it once more.

use flow_engine::step::{Cx, StepError};
use serde::{Deserialize, Serialize};

use super::watchdog::Watchdog;
use super::{Frozen, freeze, is_on};
use crate::means::freezes::before;
use crate::means::psql::{Database, Pg};

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

pub(crate) fn say(cx: &Cx, frozen: &Frozen) {
    for line in &frozen.unbound {
        cx.log(line);
    }
}

/// Ends the timer once the database is open; says what it had done.
pub(crate) async fn end_timer(
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
