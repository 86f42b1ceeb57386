//! `flow start`: plans a run, has its start agreed to, and drives it.

use std::sync::Arc;

use flow_engine::driver::NewRun;
use flow_engine::id::RunId;
use flow_engine::journal::Journal;
use flow_engine::plan::Plan;
use flow_engine::run::Run;
use flow_steps::means::signature::starter;
use flow_workflows::project::Project;

use crate::args::{Start, asks_for_something};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;
use crate::store::{Past, Store};
use crate::view::{self, text};
use crate::{actor, project};

mod signed;

/// Nothing is written before configuration, commit and plan are found good, no other run is in the way, and the person
/// at the terminal has said yes.
pub(crate) async fn run(session: &Session, args: Start) -> Result<Exit, Diagnostic> {
    crate::control::fit_reason(&args.reason)?;
    crate::control::fit_to_keep("a key of your own", args.id.as_deref().unwrap_or_default())?;
    let project = session.project()?;
    let workflow = session.workflows().named(&args.workflow)?;
    let store = session.open().await?;
    let past = store.past().await?;
    let same = of_request(store.journal(), &past, args.id.as_deref()).await?;
    let planned = workflow.plan(project, &args.input);
    let plan = match (same, planned) {
        (Some(same), Ok(plan)) => return again(session, store, same, Some(&plan), &args).await,
        // Where nothing was typed and there is nothing to take, nothing says that another start is meant.
        (Some(same), Err(_))
            if same.plan.workflow == args.workflow
                && !asks_for_something(workflow, &args.input) =>
        {
            return again(session, store, same, None, &args).await;
        }
        (_, planned) => planned?,
    };
    // Whether mail can be set up is known before anything is made.
    project.mailer()?;
    nobody_in_the_way(&past, &plan)?;
    let new = NewRun {
        id: RunId::generate(session.now()),
        plan,
        by: actor::me(),
        reason: args.reason.clone(),
        request: args.id.clone(),
    };
    let signed = starter::step(&new.plan);
    let asks = signed.is_some() || (view::is_interactive() && !args.yes);
    // While a person thinks, the journal is let go of: others sign and resume meanwhile.
    let store = (!asks).then_some(store);
    let answers = match signed {
        Some(step) => vec![signed::start(session, &new, step, &args).await?],
        None if asks => {
            confirm(project, &new.plan)?;
            Vec::new()
        }
        None => Vec::new(),
    };
    let journal = match hold(session, store, &new).await? {
        Holding::Journal(journal) => journal,
        Holding::Same(run, store) => {
            return again(session, store, *run, Some(&new.plan), &args).await;
        }
    };
    let parts = session.parts(&journal)?;
    let drive = session.drive(journal, parts, args.wait)?;
    drive.start_with(new, answers).await
}

fn nobody_in_the_way(past: &Past, plan: &Plan) -> Result<(), Diagnostic> {
    project::refuse_second(&past.runs, plan)?;
    past.refuse_unknown(&plan.environment)
}

/// What there is to drive with.
enum Holding {
    /// The journal, in which nothing is in the way.
    Journal(Arc<dyn Journal>),
    /// Another start with the same key came first: its run.
    Same(Box<Run>, Store),
}

/// Takes the journal to drive a new run. One that was held all the time was looked at already; any other is looked at again.
async fn hold(
    session: &Session,
    store: Option<Store>,
    new: &NewRun,
) -> Result<Holding, Diagnostic> {
    if let Some(store @ Store::Held(_)) = store {
        return Ok(Holding::Journal(session.own(store).await?));
    }
    drop(store);
    let journal = Store::own(session.state()?).await?;
    let past = Past::of(&*journal).await?;
    if let Some(same) = of_request(&*journal, &past, new.request.as_deref()).await? {
        return Ok(Holding::Same(Box::new(same), Store::Held(journal)));
    }
    nobody_in_the_way(&past, &new.plan)?;
    Ok(Holding::Journal(journal))
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

/// Starting again with the same key: shows a run that is over or being driven, goes on with any other. Only when it is
/// the same start: who asks for another commit must not be told about this one.
async fn again(
    session: &Session,
    store: Store,
    run: Run,
    plan: Option<&Plan>,
    args: &Start,
) -> Result<Exit, Diagnostic> {
    if let Some(plan) = plan {
        refuse_another(&run, plan)?;
    }
    if plan.is_some_and(|plan| run.plan_digest != plan.digest()) {
        view::note(&format!(
            "run {} was planned with another configuration or version of flow than today's; it keeps its own plan {}\n",
            run.id,
            run.plan_digest.short()
        ));
    }
    let driver = store.driver(&run);
    if driver.has_it() || run.is_finished() {
        view::out(&text::status(&run, &driver, session.now()));
        return Ok(Exit::of_run(&run, &driver));
    }
    super::resume::go_on(session, store, run, args.wait).await
}

/// Refuses a key that belongs to the start of something else.
fn refuse_another(run: &Run, plan: &Plan) -> Result<(), Diagnostic> {
    let of = |plan: &Plan| {
        let what = ["commit", "application"].map(|fact| plan.fact(fact).to_owned());
        (plan.workflow.clone(), plan.environment.clone(), what)
    };
    if of(&run.plan) == of(plan) {
        return Ok(());
    }
    let in_words = |plan: &Plan| format!("{} to {}", view::what(plan), plan.environment);
    let message = format!(
        "the key belongs to run {}, which is a {}; this would be a {}",
        run.id,
        in_words(&run.plan),
        in_words(plan)
    );
    Err(Diagnostic::usage(message)
        .world("Nothing was started, and that run was left as it is.")
        .hint("flow start --id KEY …     with a key of its own for each release")
        .hint(format!(
            "flow status {}     the run that has the key",
            run.id
        )))
}

fn confirm(project: &Project, plan: &Plan) -> Result<(), Diagnostic> {
    let name = &plan.environment;
    let host = project.core().env.get(name).map_or("", |at| &at.ssh);
    let question = format!(
        "{} to {name} (host {host}): {} steps, plan {}.\nType `{name}` to start: ",
        view::what(plan),
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
