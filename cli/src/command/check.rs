//! `flow check`.
use crate::args::{Global, Check};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
pub(crate) async fn run(_: &Global, _: Check) -> Result<Exit, Diagnostic> { Err(Diagnostic::usage("not built")) }
