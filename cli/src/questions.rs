//! What a run asks people, and has no answer to.

use flow_engine::run::{Life, Run};
use flow_steps::means::again::is_answered;

/// Whether a run that goes forward waits for a person: somebody is asked and has not answered.
pub(crate) fn are_open(run: &Run) -> bool {
    run.waiting().any(|(step, _)| !is_answered(run, step))
}

/// Whom a run waits for, each once.
pub(crate) fn asked(run: &Run) -> String {
    let open = run.waiting().filter(|(step, _)| !is_answered(run, *step));
    let mut who: Vec<&str> = open.map(|(_, wait)| wait.who.as_str()).collect();
    who.dedup();
    match &run.life {
        Life::Forward => who.join(", "),
        _ => String::new(),
    }
}
