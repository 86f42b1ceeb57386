//! What a command works on: the configuration, the state folder, and which runs are in the way of one another.

use flow_engine::retention::RunSummary;
use flow_engine::run::Run;
use flow_workflows::setup::Setup;

use crate::args::Global;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::state::{State, config_path};

/// Reads the configuration that the command line asks for.
pub(crate) fn setup(global: &Global) -> Result<Setup, Diagnostic> {
    Ok(Setup::load(&config_path(global)?)?)
}

/// The state folder, and the configuration.
pub(crate) fn open(global: &Global) -> Result<(State, Setup), Diagnostic> {
    Ok((State::of(global)?, setup(global)?))
}

/// Refuses when an unfinished run of this environment is in the way.
pub(crate) fn refuse_second(runs: &[Run], environment: &str) -> Result<(), Diagnostic> {
    let unfinished = |run: &&Run| !run.is_finished() && run.plan.environment == environment;
    let Some(run) = runs.iter().find(unfinished) else {
        return Ok(());
    };
    let id = &run.id;
    let message = format!(
        "run {id} for {environment} {}, and an environment has one run at a time",
        run.in_a_word()
    );
    Err(Diagnostic::new(Exit::Locked, message)
        .world("Nothing was started.")
        .hint(format!("flow status {id}"))
        .hint(format!("flow resume {id}     go on with it"))
        .hint(format!("flow rollback {id} --reason …     or undo it")))
}

/// Refuses to roll back a completed run that is not the latest one of its environment: newer releases stand on it.
pub(crate) fn refuse_overtaken(runs: &[RunSummary], run: &Run) -> Result<(), Diagnostic> {
    if !run.is_finished() {
        return Ok(());
    }
    let this = RunSummary::of(run);
    let Some(newer) = runs.iter().find(|other| other.overtakes(&this)) else {
        return Ok(());
    };
    let message = format!(
        "run {} is not the latest of {}: run {} came after it and {}",
        run.id, run.plan.environment, newer.id, newer.in_a_word
    );
    Err(Diagnostic::new(Exit::Refused, message)
        .world("Nothing was changed.")
        .hint(format!(
            "flow rollback {} --reason …     undo the newer one first",
            newer.id
        )))
}
