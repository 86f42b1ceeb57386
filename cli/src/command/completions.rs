//! `flow completions`: what a shell completes.

use crate::args::{self, Completions};
use crate::exit::Exit;
use crate::session::Session;
use crate::view;

/// Prints what a shell needs to complete `flow` commands, with the arguments of the first workflow.
pub(crate) fn run(session: &Session, args: &Completions) -> Exit {
    let mut script = Vec::new();
    let workflows = session.workflows();
    let mut command = args::command(workflows, workflows.all().next());
    clap_complete::generate(args.shell, &mut command, "flow", &mut script);
    view::out_raw(&String::from_utf8_lossy(&script));
    Exit::Done
}
