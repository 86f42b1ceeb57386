//! What a run's records say of the databases that it froze.

use flow_engine::plan::Node;
use flow_engine::planner::Arg;
use flow_engine::run::{Run, Status, StepState};
use flow_engine::step::Cx;
use serde::{Deserialize, Serialize};

use crate::means::kinds;
use crate::means::lease::Lease;
use crate::means::notes::ScriptNotes;
use crate::means::psql::Database;

/// What the database said about read-only mode before the freeze; noted before it is changed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Before {
    /// The value that was set, as it was written.
    pub(crate) read_only: Option<String>,
}

/// The setting a database had before this run froze it, as the freeze noted it.
pub(crate) fn before(cx: &Cx, db: &Database) -> Option<String> {
    let db = serde_json::to_value(db).ok()?;
    let mut steps = cx.plan().nodes.iter().zip(&cx.run().steps);
    let ours = |(node, _): &(&Node, &StepState)| {
        node.kind == kinds::FREEZE && node.params.get("db") == Some(&db)
    };
    let (_, state) = steps.find(ours)?;
    let note = state.note.as_ref()?;
    serde_json::from_slice::<Before>(note).ok()?.read_only
}

/// Whether a step of this run found the database open and froze it once more: see [`Freeze::anew`].
pub(crate) fn was_begun_again(cx: &Cx, db: &Database) -> bool {
    let db = serde_json::to_value(db).ok();
    let mut steps = cx.plan().nodes.iter().zip(&cx.run().steps);
    steps.any(|(node, state)| {
        let freeze = node.params.get("freeze");
        let note = state.note.as_ref();
        let note = note.and_then(|note| serde_json::from_slice::<ScriptNotes>(note).ok());
        freeze.is_some_and(|freeze| freeze.get("db") == db.as_ref())
            && note.is_some_and(|note| note.refrozen)
    })
}

/// Whether this run has opened the database that a step of it froze.
pub(crate) fn is_opened(run: &Run, freeze: &Node) -> bool {
    let mut steps = run.plan.nodes.iter().zip(&run.steps);
    steps.any(|(node, state)| {
        node.kind == kinds::THAW
            && node.params.get("db") == freeze.params.get("db")
            && state.status == Status::Done
    })
}

/// Whether this run froze the database of a lease under a timer and has not opened it again, as its records have it.
pub(crate) fn freeze_in_force(run: &Run, lease: &Arg<Lease>) -> bool {
    let lease = serde_json::to_value(lease).ok();
    let mut steps = run.plan.nodes.iter().zip(&run.steps);
    steps.any(|(node, state)| {
        let timer = node.params.get("watchdog");
        node.kind == kinds::FREEZE
            && timer.is_some_and(|timer| timer.get("lease") == lease.as_ref())
            && state.status == Status::Done
            && !is_opened(run, node)
    })
}
