//! What a step notes for its later lives and others ask about: the shape of each note, once.

use flow_engine::clock::Timestamp;
use flow_engine::run::{Run, StepState, Undo};
use serde::{Deserialize, Serialize};

/// What a deploying step keeps for its later lives. A note that lacks something is of an older version, or of a step that has no
/// use for it: what is there counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ScriptNotes {
    /// The attempt whose output was shown last.
    pub(crate) attempt: u16,
    /// How much of it was shown.
    pub(crate) offset: u64,
    /// The last attempt whose end was judged: what it did is known, and another may be made.
    pub(crate) judged: u16,
    /// Whether an undo found that no attempt had ever begun, and made sure that none will.
    pub(crate) never_began: bool,
    /// How many statements "not done" had been given when a person was last asked. Only a later one answers that.
    pub(crate) statements: usize,
    /// The last attempt whose script is known to have been started.
    pub(crate) launched: u16,
    /// Whether a later attempt found the database open and froze it again: rows may have changed in between.
    pub(crate) refrozen: bool,
    /// The moment before the secrets of that attempt were looked up.
    pub(crate) launched_at: Option<Timestamp>,
    /// How many orders the run had been given when its undo asked about rows that a restore sets aside.
    pub(crate) orders: Option<usize>,
}

impl ScriptNotes {
    /// Whether an attempt's script was started for all that is known: then a folder that is not there is lost.
    pub(crate) fn has_launched(&self, attempt: u16) -> bool {
        self.launched >= attempt
            || self.judged >= attempt
            || (self.attempt >= attempt && self.offset > 0)
    }
}

/// Whether the script of a deploying step has begun, as far as its undo knows, which comes first: what was started and
/// never got as far as to its script has changed nothing.
pub(crate) fn has_begun(run: &Run, key: &str) -> bool {
    let place = run.plan.node(key).map(|(place, _)| place as usize);
    let note = place.and_then(|place| run.steps[place].note.as_deref());
    let never_began = note
        .and_then(|note| serde_json::from_slice::<ScriptNotes>(note).ok())
        .is_some_and(|kept| kept.never_began);
    run.has_started(key) && !never_began
}

/// What the undo of a baseline noted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RestoreNotes {
    /// How many orders the run had been given when it asked.
    pub(crate) orders: Option<usize>,
    /// Whether it found that writers had been let in by hand.
    #[serde(default)]
    pub(crate) let_in: bool,
    /// The attempt that found read-only mode ended before there was a baseline; a later one has a person's order.
    #[serde(default)]
    pub(crate) found_open: Option<u16>,
    /// Whether the connection broke while the database was closed to everybody for the swap.
    #[serde(default)]
    pub(crate) closed: bool,
}

/// Whether the undo of a baseline left the database closed to everybody, as far as this process knows.
pub(crate) fn is_closed(state: &StepState) -> bool {
    let noted = state
        .note
        .as_deref()
        .map(serde_json::from_slice::<RestoreNotes>);
    state.undo != Undo::Undone && noted.is_some_and(|noted| noted.is_ok_and(|noted| noted.closed))
}

/// Whether the newest attempt at a baseline found that read-only mode had been ended by somebody else.
pub(crate) fn was_open(state: &StepState) -> bool {
    let noted = state
        .note
        .as_deref()
        .map(serde_json::from_slice::<RestoreNotes>);
    let found_open = noted
        .and_then(Result::ok)
        .and_then(|noted| noted.found_open);
    state.output.is_none() && found_open == Some(state.attempts)
}
