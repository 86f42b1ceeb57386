//! What a program is made of: its workflows and its steps. It parses, runs, renders the error and exits.

use std::process::ExitCode;
use std::sync::Arc;

use flow_engine::registry::{Clash, Registry};
use flow_workflows::workflow::{Workflow, Workflows};

use crate::args;
use crate::command;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;
use crate::view;

/// A `flow` program. The steps of this repository are in it, and more are added to them; workflows are named one by one.
///
/// ```no_run
/// use flow_workflows::shipped::{Promote, Release};
///
/// fn main() -> std::process::ExitCode {
///     flow_cli::App::new().workflow(Release).workflow(Promote).main()
/// }
/// ```
#[derive(Debug)]
pub struct App {
    registry: Registry,
    workflows: Workflows,
}

impl Default for App {
    fn default() -> Self {
        App::new()
    }
}

impl App {
    /// A program with the steps of this repository, and no workflow yet.
    pub fn new() -> App {
        App {
            registry: flow_workflows::registry::registry(),
            workflows: Workflows::default(),
        }
    }

    /// Adds a workflow. The first is started when none is named. A name that is taken already, or an argument that `flow
    /// start` has, is said by [`App::main`], naming both sides.
    #[must_use]
    pub fn workflow<W: Workflow>(mut self, workflow: W) -> App {
        self.workflows = self.workflows.with(workflow);
        self
    }

    /// Adds steps: `app.steps(|registry| registry.with::<MyStep>())`. A kind that is taken already is said by
    /// [`App::main`], naming both types, before anything is read or done.
    #[must_use]
    pub fn steps(mut self, add: impl FnOnce(Registry) -> Registry) -> App {
        self.registry = add(self.registry);
        self
    }

    /// Does what the command line asks for. The exit code is the one of `flow`'s table.
    #[must_use]
    pub fn main(self) -> ExitCode {
        if let Some(diagnostic) = self.problem() {
            view::note(&diagnostic.render());
            return diagnostic.exit.into();
        }
        let words: Vec<_> = std::env::args_os().collect();
        let cli = match args::parse(&self.workflows, &words) {
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
        let session = Session::new(Arc::new(self.registry), self.workflows, cli.global);
        let exit = runtime
            .block_on(command::run(&session, cli.command))
            .unwrap_or_else(|diagnostic| {
                view::note(&diagnostic.render());
                diagnostic.exit
            });
        // Jobs on remote hosts and blocking reads must not keep a stopped process alive.
        runtime.shutdown_timeout(std::time::Duration::from_secs(2));
        view::as_written(exit).into()
    }
}

impl App {
    /// Why this program cannot be used.
    fn problem(&self) -> Option<Diagnostic> {
        let workflows = || {
            let why = args::problem(&self.workflows)?;
            Some(Diagnostic::usage(format!("this program cannot be used: {why}")).hint(
                "change what its main() adds, where it is implemented; a name that stands in stored runs is never changed",
            ))
        };
        self.registry.clash().map(clashing).or_else(workflows)
    }
}

/// Two types of one kind: a run that has such a step would be driven by whichever was meant last.
fn clashing(clash: &Clash) -> Diagnostic {
    Diagnostic::usage(format!("this program cannot be used: {clash}")).hint(format!(
        "give {} a KIND of its own, where it is implemented; one that stands in stored runs is never renamed",
        clash.second
    ))
}

#[cfg(test)]
mod tests {
    use flow_engine::step::Cx;
    use flow_engine::step::{Step, StepError};
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Health {}

    #[async_trait::async_trait]
    impl Step for Health {
        const KIND: &'static str = "http.health";
        type Output = ();

        fn summary(&self) -> String {
            "asks elsewhere".into()
        }

        async fn run(&self, _: &Cx) -> Result<(), StepError> {
            Ok(())
        }
    }

    #[test]
    fn a_kind_that_is_taken_is_a_diagnostic_that_names_both_types() {
        assert_eq!(App::new().registry.clash(), None);
        let app = App::new().steps(Registry::with::<Health>);
        let said = clashing(app.registry.clash().expect("a clash"));
        assert_eq!(said.exit, Exit::Usage);
        insta::assert_snapshot!(said.render(), @r"
        error: this program cannot be used: two steps have the kind `http.health`: flow_steps::health::Health and flow_cli::app::tests::Health

        Nothing was changed.
          give flow_cli::app::tests::Health a KIND of its own, where it is implemented; one that stands in stored runs is never renamed
        ");
    }
}
