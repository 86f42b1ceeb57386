//! Whether a restore may set rows aside: whose they are, and whether a person has said so.

use flow_engine::signal::Order;
use flow_engine::step::{Cx, StepError};

use super::super::outlook::{self, Question};
use super::super::{Backup, applied, horizon, restore};
use super::{Baseline, was_thawed};
use crate::means::notes::RestoreNotes;
use crate::means::psql::Pg;

impl Baseline {
    /// Whether writers were let in since the baseline: by the release, or by hand. Noted, because holding them off again
    /// hides it.
    pub(super) async fn let_in(&self, cx: &Cx, pg: &Pg) -> Result<bool, StepError> {
        let noted: RestoreNotes = cx.noted()?.unwrap_or_default();
        let started = self
            .ask_if_started
            .as_ref()
            .is_some_and(|key| cx.run().has_started(key));
        if started || noted.let_in {
            return Ok(true);
        }
        let run = cx.run_id().as_str();
        let by_hand = !restore::is_under_way(pg, run).await? && was_thawed(cx, pg).await?;
        if by_hand {
            let let_in = true;
            cx.note(&RestoreNotes { let_in, ..noted }).await?;
        }
        Ok(by_hand)
    }

    /// What would be set aside although nobody has said so: rows written since writers were let in, or in spite of
    /// read-only mode after the release's own script had ended.
    pub(super) async fn unasked(
        &self,
        cx: &Cx,
        pg: &Pg,
        backup: &Backup,
        let_in: bool,
    ) -> Result<Vec<String>, StepError> {
        if self.ordered(cx)? || restore::is_under_way(pg, cx.run_id().as_str()).await? {
            return Ok(Vec::new());
        }
        let horizon = applied::noted(cx, &self.db);
        if let_in {
            return Ok(outlook::written(pg, backup, horizon.as_ref()).await?);
        }
        match horizon {
            Some(horizon) => Ok(horizon::written(pg, &horizon).await?),
            None => Ok(Vec::new()),
        }
    }

    /// Whether a person ordered this rollback, or has said since the question was asked that it is to go on: here, or where
    /// it was asked before anything was stopped. An order given before the question, for another undo that failed, does not
    /// answer it.
    fn ordered(&self, cx: &Cx) -> Result<bool, StepError> {
        let orders = &cx.run().orders;
        let rollback = orders.iter().any(|given| given.order == Order::Rollback);
        let noted: RestoreNotes = cx.noted()?.unwrap_or_default();
        let here = Question {
            orders: noted.orders,
        };
        let asked = |key: &String| {
            let (index, _) = cx.plan().node(key)?;
            let note = cx.run().steps[index as usize].note.as_ref()?;
            serde_json::from_slice::<Question>(note).ok()
        };
        // Before the stop it was asked by the step that let writers in, or by the deploy itself.
        let mut earlier = self.ask_if_started.iter().chain([&self.restore_if_started]);
        let answered = |question: Question| question.is_answered(orders);
        Ok(rollback || answered(here) || earlier.any(|key| asked(key).is_some_and(answered)))
    }
}
