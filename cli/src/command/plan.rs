//! `flow plan`: every step a run would take.

use crate::args::{Plan, PlanFormat};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;
use crate::view::{self, plan};

/// Plans and shows; touches nothing.
pub(crate) fn run(session: &Session, args: &Plan) -> Result<Exit, Diagnostic> {
    let workflow = session.workflows().named(&args.workflow)?;
    let made = workflow.plan(session.project()?, &args.input)?;
    match args.format {
        PlanFormat::Text => view::out(&plan::text(&made)),
        PlanFormat::Json => view::out_json(&made),
        PlanFormat::Mermaid => view::out(&plan::mermaid(&made)),
    }
    Ok(Exit::Done)
}
