//! `flow completions`.

use clap::CommandFactory as _;

use crate::args::{Cli, Completions};
use crate::exit::Exit;
use crate::view;

/// Prints what a shell needs to complete `flow` commands.
pub(crate) fn run(args: &Completions) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "flow", &mut script);
    view::out_raw(&String::from_utf8_lossy(&script));
    Exit::Done
}
