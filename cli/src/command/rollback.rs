//! `flow rollback`.

use flow_engine::run::Run;
use flow_engine::signal::Order;

use crate::args::{Global, Rollback};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::project;
use crate::state::State;
use crate::store::Store;
use crate::view::{self, text};

/// Shows first what will be undone, and asks.
pub(crate) async fn run(global: &Global, args: Rollback) -> Result<Exit, Diagnostic> {
    // The store is let go before the question: whoever hesitates must not keep others from signing or resuming.
    let run = {
        let store = Store::open(&State::of(global)?).await?;
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
    if !args.yes {
        confirm(&run)?;
    }
    let named = run.id.to_string();
    super::orders::give(
        global,
        &named,
        Order::Rollback,
        &args.reason,
        args.obey,
        |_| Ok(()),
    )
    .await
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
