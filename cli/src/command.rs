//! One file per verb.

use crate::args::Command;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;

mod answer;
mod check;
mod completions;
mod doctor;
mod export;
mod frozen;
mod init;
mod journal;
pub(crate) mod lint;
mod list;
mod lock;
mod logs;
mod new_workflow;
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
pub(crate) async fn run(session: &Session, command: Command) -> Result<Exit, Diagnostic> {
    let about_runs = !matches!(
        command,
        Command::Demo(_)
            | Command::Lint(_)
            | Command::Plan(_)
            | Command::NewWorkflow(_)
            | Command::Completions(_)
            | Command::Init(_)
            | Command::Journal(_)
            | Command::Logs(_)
            | Command::Export(_)
    );
    let ended = obey(session, command).await;
    if about_runs {
        // The error comes last, where it is read.
        crate::notices::tell(session).await;
    }
    ended
}

async fn obey(session: &Session, command: Command) -> Result<Exit, Diagnostic> {
    match command {
        Command::Start(args) => start::run(session, args).await,
        Command::Resume(args) => resume::run(session, args).await,
        Command::Status(args) => status::run(session, &args).await,
        Command::List(args) => list::run(session, &args).await,
        Command::Logs(args) => logs::run(session, args).await,
        Command::Answer(args) => answer::run(session, args).await,
        Command::Check(args) => check::run(session, args).await,
        Command::Sign(args) => sign::run(session, args).await,
        Command::Waive(args) => waive::run(session, args).await,
        Command::Retry(args) => orders::retry(session, args).await,
        Command::Skip(args) => orders::skip(session, args).await,
        Command::Settle(args) => orders::settle(session, args).await,
        Command::Cancel(args) => orders::cancel(session, args).await,
        Command::Rollback(args) => rollback::run(session, args).await,
        Command::Rows(args) => rows::run(session, &args).await,
        Command::Lock(args) => lock::lock(session, args).await,
        Command::Unlock(args) => lock::unlock(session, args).await,
        Command::Thaw(args) => thaw::run(session, args).await,
        Command::Export(args) => export::run(session, args).await,
        Command::Init(args) => init::run(&args).await,
        Command::Doctor(args) => doctor::run(session, &args).await,
        Command::Plan(args) => plan::run(session, &args),
        Command::NewWorkflow(args) => new_workflow::run(&args),
        Command::Demo(args) => crate::demo::run(args).await,
        Command::Lint(args) => lint::run(session, &args).await,
        Command::Completions(args) => Ok(completions::run(session, &args)),
        Command::Journal(args) => journal::run(session, args).await,
    }
}
