//! What a run's records say of its freezes.

use flow_engine::plan::Node;
use flow_engine::run::StepState;
use flow_engine::step::{Cx, Step as _};
use serde::Deserialize;

use super::{Before, Freeze};
use crate::means::psql::Database;

/// The setting a database had before this run froze it, as the freeze noted it.
pub(in crate::pg) fn before(cx: &Cx, db: &Database) -> Option<String> {
    let db = serde_json::to_value(db).ok()?;
    let mut steps = cx.plan().nodes.iter().zip(&cx.run().steps);
    let ours = |(node, _): &(&Node, &StepState)| {
        node.kind == Freeze::KIND && node.params.get("db") == Some(&db)
    };
    let (_, state) = steps.find(ours)?;
    let note = state.note.as_ref()?;
    serde_json::from_slice::<Before>(note).ok()?.read_only
}

/// What a step notes that froze a database once more.
#[derive(Deserialize)]
struct Refrozen {
    #[serde(default)]
    refrozen: bool,
}

/// Whether a step of this run found the database open and froze it once more: see [`Freeze::anew`].
pub(in crate::pg) fn was_begun_again(cx: &Cx, db: &Database) -> bool {
    let db = serde_json::to_value(db).ok();
    let mut steps = cx.plan().nodes.iter().zip(&cx.run().steps);
    steps.any(|(node, state)| {
        let freeze = node.params.get("freeze");
        let note = state.note.as_ref();
        let note = note.and_then(|note| serde_json::from_slice::<Refrozen>(note).ok());
        freeze.is_some_and(|freeze| freeze.get("db") == db.as_ref())
            && note.is_some_and(|note| note.refrozen)
    })
}
