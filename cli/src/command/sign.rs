//! `flow sign`.
use crate::args::{Global, Sign};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
pub(crate) async fn run(_: &Global, _: Sign) -> Result<Exit, Diagnostic> { Err(Diagnostic::usage("not built")) }
