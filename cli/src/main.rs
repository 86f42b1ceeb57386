//! The `flow` binary: it parses, runs, renders the error and exits.

use std::process::ExitCode;

use clap::Parser as _;

mod actor;
mod args;
mod command;
mod control;
mod demo;
mod diagnostic;
mod drive;
mod driver;
mod exit;
mod files;
mod logs;
mod notices;
mod people;
mod project;
mod state;
mod store;
#[cfg(test)]
mod testing;
mod upkeep;
mod view;

use args::Cli;
use exit::Exit;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => return view::out_usage(&said).into(),
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("FLOW_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,sled=error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(view::may_colour(cli.global.plain))
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            view::note(&format!(
                "error: this process cannot start its threads\n  caused by: {error}\n"
            ));
            return Exit::Bug.into();
        }
    };
    let exit = runtime
        .block_on(command::run(cli))
        .unwrap_or_else(|diagnostic| {
            view::note(&diagnostic.render());
            diagnostic.exit
        });
    // Jobs on remote hosts and blocking reads must not keep a stopped process alive.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    view::as_written(exit).into()
}
