//! `flow rollback`: takes back everything that a run began.

use flow_engine::run::Run;
use flow_engine::signal::Order;
use flow_engine::step::Step as _;
use flow_steps::pg::{Baseline, OutlookError, outlook};

use crate::args::Rollback;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::project;
use crate::session::Session;
use crate::view::{self, aside, text};

/// Shows first what will be undone, and asks.
pub(crate) async fn run(session: &Session, args: Rollback) -> Result<Exit, Diagnostic> {
    // The store is let go before the question: whoever hesitates must not keep others from signing or resuming.
    let run = {
        let store = session.open().await?;
        let run = store.find(&args.run).await?;
        run.accepts(&Order::Rollback)?;
        // Only a finished run can be overtaken; a damaged record of another run must not stop an emergency.
        if run.is_finished() {
            let past = store.past().await?;
            past.remark();
            project::refuse_overtaken(&past.summaries(), &run)?;
        }
        run
    };
    view::note(&format!("run {}\n{}\n", run.id, text::rollback(&run)));
    if run.accepts(&Order::Cancel).is_ok() {
        view::note(&untouched(&run));
    }
    let has_baseline = run.plan.nodes.iter().any(|n| n.kind == Baseline::KIND);
    if run.is_finished() && has_baseline {
        look(session, &run).await?;
    }
    if !args.yes {
        confirm(&run)?;
    }
    let named = run.id.to_string();
    super::orders::give(
        session,
        &named,
        Order::Rollback,
        &args.reason,
        args.obey,
        |_| Ok(()),
    )
    .await
}

/// What distinguishes the two ways back of a run that has not touched production: what it passed counts after one of them.
fn untouched(run: &Run) -> String {
    format!(
        "This run has not touched production. To keep what it passed on test and staging for `flow start promote`, cancel it \
         instead: that undoes the same.\n  flow cancel {} --reason …\n",
        run.id
    )
}

/// Says what the rollback of a finished run would take back and set aside, and refuses one that could not be made: production
/// serves, and would be stopped for nothing.
async fn look(session: &Session, run: &Run) -> Result<(), Diagnostic> {
    let hosts = session.project()?.hosts();
    view::note("Looking at production and the backup; nothing is stopped meanwhile.\n");
    match outlook(run, &hosts, &|_| {}).await {
        Ok(Some(found)) => {
            view::note(&aside::in_words(run, &found, session.now()));
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(why) => {
            let exit = match why {
                OutlookError::Impossible(_) => Exit::Refused,
                OutlookError::Unknown(_) => Exit::Unknown,
            };
            Err(Diagnostic::new(
                exit,
                format!("run {} cannot be rolled back as things are", run.id),
            )
            .because(&why)
            .world("Nothing was stopped or changed; production serves as before.")
            .hint("put that right, then order the rollback again")
            .hint("or mend it by a new release (roll forward)"))
        }
    }
}

fn confirm(run: &Run) -> Result<(), Diagnostic> {
    let name = &run.plan.environment;
    if !view::is_interactive() {
        return Err(
            Diagnostic::usage("a rollback asks first, and this is not a terminal")
                .hint(format!("flow rollback {} --reason … --yes", run.id)),
        );
    }
    match view::ask(&format!("Type `{name}` to roll back: ")) {
        Some(answer) if answer == *name => Ok(()),
        _ => Err(Diagnostic::usage(format!("`{name}` was not typed"))),
    }
}
