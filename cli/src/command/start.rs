//! `flow start`.

use flow_engine::clock::{Clock as _, SystemClock};
use flow_engine::driver::NewRun;
use flow_engine::id::RunId;
use flow_engine::journal::Journal;
use flow_engine::plan::Plan;
use flow_engine::run::Run;
use flow_workflows::setup::Setup;

use crate::actor;
use crate::args::{Global, Resume, Start};
use crate::diagnostic::Diagnostic;
use crate::drive::{Drive, Parts};
use crate::exit::Exit;
use crate::project;
use crate::state::State;
use crate::store::{Past, Store};
use crate::view::{self, text};

/// Nothing is written before configuration, commit and plan are found good, no other run is in the way, and the person
/// at the terminal has said yes.
pub(crate) async fn run(global: &Global, args: Start) -> Result<Exit, Diagnostic> {
    let (state, setup) = project::open(global)?;
    if let Some(same) = same_request(&state, args.id.as_deref()).await? {
        return again(global, &state, same, args).await;
    }
    let commit = setup.commit(&args.commit)?;
    let plan = setup.plan(&args.workflow, &commit)?;
    // Whether mail can be set up is known before anything is made.
    setup.mailer()?;
    {
        let store = Store::open(&state).await?;
        let past = store.past().await?;
        project::refuse_second(&past.runs, &plan.environment)?;
        past.refuse_unknown(&plan.environment)?;
    }
    if !args.yes && view::is_interactive() {
        confirm(&setup, &plan)?;
    }
    let journal = Store::own(&state).await?;
    let parts = Parts::of(&setup, &journal)?;
    let past = Past::of(&*journal).await?;
    // Another start with the same key may have come and gone since the first look.
    if let Some(same) = of_request(&*journal, &past, args.id.as_deref()).await? {
        drop(parts);
        drop(journal);
        return again(global, &state, same, args).await;
    }
    project::refuse_second(&past.runs, &plan.environment)?;
    past.refuse_unknown(&plan.environment)?;
    let new = NewRun {
        id: RunId::generate(SystemClock.now()),
        plan,
        by: actor::me(),
        reason: args.reason,
        request: args.id,
    };
    Drive::new(&state, journal, parts, args.wait, global.plain)
        .start(new)
        .await
}

async fn same_request(state: &State, request: Option<&str>) -> Result<Option<Run>, Diagnostic> {
    if request.is_none() {
        return Ok(None);
    }
    let store = Store::open(state).await?;
    let past = store.past().await?;
    of_request(store.journal(), &past, request).await
}

async fn of_request(
    journal: &dyn Journal,
    past: &Past,
    request: Option<&str>,
) -> Result<Option<Run>, Diagnostic> {
    let Some(request) = request else {
        return Ok(None);
    };
    match past
        .summaries()
        .iter()
        .find(|r| r.request.as_deref() == Some(request))
    {
        Some(same) => Ok(Some(Run::load(journal, &same.id).await?)),
        None => Ok(None),
    }
}

/// Starting again with the same key: shows a run that is over or being driven, goes on with any other.
async fn again(global: &Global, state: &State, run: Run, args: Start) -> Result<Exit, Diagnostic> {
    let driven = Store::open(state).await?.driven() == Some(run.id.as_str());
    if driven || run.is_finished() {
        view::out(&text::status(&run, SystemClock.now()));
        return Ok(Exit::of_run(&run));
    }
    let resume = Resume {
        take_over: false,
        run: Some(run.id.to_string()),
        wait: args.wait,
    };
    super::resume::run(global, resume).await
}

fn confirm(setup: &Setup, plan: &Plan) -> Result<(), Diagnostic> {
    let name = &plan.environment;
    let environments = setup.config.environments();
    let host = environments
        .iter()
        .find(|(n, _)| n == name)
        .map_or("", |(_, e)| e.ssh.as_str());
    let question = format!(
        "{} of {} to {name} (host {host}): {} steps, plan {}.\nType `{name}` to start: ",
        plan.workflow,
        view::commit(plan),
        plan.nodes.len(),
        plan.digest().short()
    );
    match view::ask(&question) {
        Some(answer) if answer == *name => Ok(()),
        _ => {
            Err(Diagnostic::usage(format!("`{name}` was not typed")).world("Nothing was started."))
        }
    }
}
