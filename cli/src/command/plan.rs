//! `flow plan`.

use crate::args::{Global, Plan, PlanFormat};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::project;
use crate::view::{self, plan};

/// Plans and shows; touches nothing.
pub(crate) fn run(global: &Global, args: &Plan) -> Result<Exit, Diagnostic> {
    let setup = project::setup(global)?;
    let commit = setup.commit(&args.commit)?;
    let made = setup.plan(&args.workflow, &commit)?;
    match args.format {
        PlanFormat::Text => view::out(&plan::text(&made)),
        PlanFormat::Json => view::out_json(&made),
        PlanFormat::Mermaid => view::out(&plan::mermaid(&made)),
    }
    Ok(Exit::Done)
}
