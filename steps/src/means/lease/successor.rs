//! Whether a run may have its lease again in order to undo what it did: not when somebody else released since.
//!
//! The journal of one machine does not know of releases that another one made, and a run whose lease was taken from it
//! does not know what happened afterwards. So a third file, `last`, says whose release the environment stands on: it is
//! written when a run that changed production gives the lease back, and when the lease of a run is broken.

use flow_engine::run::Run;
use flow_engine::step::{Cx, StepError};

use crate::means::host::Host;
use crate::means::lease::guard;
use crate::means::lease::store::{Held, LeaseError, lock_state, parse, script};
use crate::means::reach;

/// Why the lease is not this run's to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Successor {
    /// Another run has it now.
    Holds(Held),
    /// Another run had it after this one, and may have changed production.
    Released(Held),
    /// It was taken from this run, and nobody has it.
    Nobody,
}

impl Successor {
    /// What happened, in words.
    pub(crate) fn in_words(&self, host: &str, run: &str) -> String {
        match self {
            Self::Holds(other) => format!(
                "the lease of `{host}` is run {}'s since {}, no longer run {run}'s",
                other.run, other.since
            ),
            Self::Released(other) => format!(
                "run {} had `{host}` after run {run} (since {}): what is there now stands on it",
                other.run, other.since
            ),
            Self::Nobody => format!(
                "the lease of `{host}` was taken from run {run}, and nobody has it: what was done there since is not known"
            ),
        }
    }
}

impl Successor {
    /// Why nothing is undone, and the two ways on.
    pub(crate) fn refusal(&self, cx: &Cx, host: &str) -> StepError {
        let (run, env) = (cx.run_id(), reach::environment(host));
        StepError::refuse(format!(
            "{}; nothing was touched",
            self.in_words(host, run.as_str())
        ))
        .hint(format!(
            "to end this run without touching `{host}`: flow skip {run} STEP --reason … for each undo that is refused"
        ))
        .hint(format!(
            "only when nothing was released since: flow lock {env} --for {run} --reason …, then flow retry {run}"
        ))
    }
}

/// Who stands between a run and its lease in this folder. Nothing when the run has it, or gave it back by itself and nobody
/// released after it. Changes nothing.
pub(crate) async fn successor(
    host: &dyn Host,
    name: &str,
    dir: &str,
    run: &Run,
) -> Result<Option<Successor>, LeaseError> {
    let ours = |held: &Held| held.run == run.id.as_str();
    if let Some(held) = lock_state(host, dir).await?.held {
        return Ok((!ours(&held)).then_some(Successor::Holds(held)));
    }
    let last = last(host, dir).await?.filter(|held| !ours(held));
    if guard::was_kept(run, name) {
        return Ok(Some(last.map_or(Successor::Nobody, Successor::Released)));
    }
    // Before this run gave the lease back, it wrote itself there: whatever else is there came later.
    Ok(last.map(Successor::Released))
}

/// Whose release the environment stands on; nothing where no `flow` that writes this down had it.
async fn last(host: &dyn Host, dir: &str) -> Result<Option<Held>, LeaseError> {
    let text = "if [ -e \"$1/last\" ]; then tr -d '\\n' < \"$1/last\"; fi";
    parse("last", &script(host, text, dir, &[], String::new()).await?)
}
