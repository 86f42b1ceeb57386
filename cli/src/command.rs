//! One file per verb.

use crate::args::{Cli, Command};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;

mod check;
mod code;
mod completions;
mod doctor;
mod export;
mod frozen;
mod journal;
pub(crate) mod lint;
mod list;
mod lock;
mod logs;
mod orders;
mod plan;
mod resume;
mod rollback;
mod rows;
mod sign;
mod start;
mod status;
mod thaw;
mod waive;

/// Does what was asked.
pub(crate) async fn run(cli: Cli) -> Result<Exit, Diagnostic> {
    let global = cli.global.clone();
    let about_runs = !matches!(
        cli.command,
        Command::Demo(_)
            | Command::Lint(_)
            | Command::Plan(_)
            | Command::Completions(_)
            | Command::Journal(_)
            | Command::Logs(_)
            | Command::Export(_)
    );
    let ended = obey(cli).await;
    if about_runs {
        // The error comes last, where it is read.
        crate::notices::tell(&global).await;
    }
    ended
}

async fn obey(cli: Cli) -> Result<Exit, Diagnostic> {
    let global = &cli.global;
    match cli.command {
        Command::Start(args) => start::run(global, args).await,
        Command::Resume(args) => resume::run(global, args).await,
        Command::Status(args) => status::run(global, &args).await,
        Command::List(args) => list::run(global, &args).await,
        Command::Logs(args) => logs::run(global, args).await,
        Command::Check(args) => check::run(global, args).await,
        Command::Sign(args) => sign::run(global, args).await,
        Command::Waive(args) => waive::run(global, args).await,
        Command::Retry(args) => orders::retry(global, args).await,
        Command::Skip(args) => orders::skip(global, args).await,
        Command::Settle(args) => orders::settle(global, args).await,
        Command::Cancel(args) => orders::cancel(global, args).await,
        Command::Rollback(args) => rollback::run(global, args).await,
        Command::Rows(args) => rows::run(global, &args).await,
        Command::Lock(args) => lock::lock(global, args).await,
        Command::Unlock(args) => lock::unlock(global, args).await,
        Command::Thaw(args) => thaw::run(global, args).await,
        Command::Export(args) => export::run(global, args).await,
        Command::Doctor(args) => doctor::run(global, &args).await,
        Command::Plan(args) => plan::run(global, &args),
        Command::Demo(args) => crate::demo::run(args).await,
        Command::Lint(args) if args.code => code::run(global, &args).await,
        Command::Lint(args) => lint::run(global, &args).await,
        Command::Completions(args) => Ok(completions::run(&args)),
        Command::Journal(args) => journal::run(global, args).await,
    }
}
