//! `flow waive`.
use crate::args::{Global, Waive};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
pub(crate) async fn run(_: &Global, _: Waive) -> Result<Exit, Diagnostic> { Err(Diagnostic::usage("not built")) }
