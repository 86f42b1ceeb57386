//! What one command works on: the steps this program has, the configuration, the state folder and the journal, each
//! opened when it is first needed and then kept.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use flow_engine::clock::{self, Clock, Timestamp};
use flow_engine::journal::Journal;
use flow_engine::registry::Registry;
use flow_engine::step::Resources;
use flow_workflows::config::{Config, ConfigError};
use flow_workflows::project::Project;
use flow_workflows::setup::Setup;
use flow_workflows::workflow::Workflows;

use crate::args::{Global, Wait};
use crate::diagnostic::Diagnostic;
use crate::drive::{Drive, Parts};
use crate::people::Judge;
use crate::state::State;
use crate::store::Store;

/// See the module. The configuration is read at most once; a command that does not ask for it also works where it is broken.
pub(crate) struct Session {
    registry: Arc<Registry>,
    workflows: Workflows,
    global: Global,
    clock: Arc<dyn Clock>,
    state: OnceLock<State>,
    project: OnceLock<Project>,
}

impl Session {
    /// A session of a program that has these steps and workflows, for what the command line says.
    pub(crate) fn new(registry: Arc<Registry>, workflows: Workflows, global: Global) -> Session {
        Session {
            registry,
            workflows,
            global,
            clock: clock::system(),
            state: OnceLock::new(),
            project: OnceLock::new(),
        }
    }

    /// The steps of the program.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The workflows of the program.
    pub(crate) fn workflows(&self) -> &Workflows {
        &self.workflows
    }

    /// The current moment.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What time it is for everything that this command begins.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Whether only plain lines are wanted on a terminal.
    pub(crate) fn plain(&self) -> bool {
        self.global.plain
    }

    /// The configuration file that was named on the command line or in the environment, if one was.
    pub(crate) fn named_config(&self) -> Option<&PathBuf> {
        self.global.config.as_ref()
    }

    /// The configuration file: the one that was named, else the nearest `flow.toml` upwards.
    pub(crate) fn config_path(&self) -> Result<PathBuf, ConfigError> {
        if let Some(path) = &self.global.config {
            return Ok(path.clone());
        }
        let here = std::env::current_dir().map_err(|e| ConfigError::Unreadable {
            path: ".".into(),
            why: e.to_string(),
        })?;
        Config::find(&here)
    }

    /// The state folder that the command line asks for, by default `.flow` beside the configuration, which need not be
    /// readable for that: a broken `flow.toml` must not keep anybody from `flow status` or `flow rollback --help`.
    pub(crate) fn state(&self) -> Result<&State, Diagnostic> {
        if let Some(state) = self.state.get() {
            return Ok(state);
        }
        let dir = match &self.global.state {
            Some(dir) => dir.clone(),
            None => State::beside(&self.config_path()?),
        };
        let state = State::at(&dir)?;
        Ok(self.state.get_or_init(|| state))
    }

    /// The configuration and the files it names. Every section of a workflow of this program is judged.
    pub(crate) fn project(&self) -> Result<&Project, Diagnostic> {
        if let Some(project) = self.project.get() {
            return Ok(project);
        }
        let project = Project::load(&self.config_path()?, &self.workflows.sections())?;
        for workflow in self.workflows.all() {
            workflow.check(&project)?;
        }
        Ok(self.project.get_or_init(|| project))
    }

    /// What the section `[release]` says, with the roster, the policy and the repository that belong to it.
    pub(crate) fn setup(&self) -> Result<&Setup, Diagnostic> {
        Ok(self.project()?.release()?)
    }

    /// The journal, to store an answer or an order in, or to go on with it.
    pub(crate) async fn open(&self) -> Result<Store, Diagnostic> {
        Store::open(self.state()?).await
    }

    /// The journal, to look at: nothing is written.
    pub(crate) async fn look(&self) -> Result<Store, Diagnostic> {
        Store::look(self.state()?).await
    }

    /// The journal, to drive. One that this process has open already stays open, so that nobody else comes between what
    /// was read from it and what is done now; any other is let go of and opened anew.
    pub(crate) async fn own(&self, store: Store) -> Result<Arc<dyn Journal>, Diagnostic> {
        let state = self.state()?;
        match store {
            Store::Held(journal) => {
                Store::may_drive(state)?;
                Ok(journal)
            }
            other => {
                drop(other);
                Store::own(state).await
            }
        }
    }

    /// Has answers judged by the steps that ask, with what the project has.
    pub(crate) fn judge(&self) -> Result<Judge, Diagnostic> {
        Ok(Judge {
            registry: Arc::clone(&self.registry),
            resources: self.project()?.resources(),
            clock: Arc::clone(&self.clock),
        })
    }

    /// The same without the project, where its configuration cannot be read: what people tried is answered all the same. A step
    /// that needs something of the project to judge says so, and nothing is stored.
    pub(crate) fn judge_at_least(&self) -> Judge {
        self.judge().unwrap_or_else(|_unread| Judge {
            registry: Arc::clone(&self.registry),
            resources: Resources::default(),
            clock: Arc::clone(&self.clock),
        })
    }

    /// What driving needs from the project.
    pub(crate) fn parts(&self, journal: &Arc<dyn Journal>) -> Result<Parts, Diagnostic> {
        let registry = Arc::clone(&self.registry);
        Ok(Parts::of(
            registry,
            self.project()?,
            journal,
            self.state()?,
            Arc::clone(&self.clock),
        )?)
    }

    /// What drives a run of a journal that this process holds.
    pub(crate) fn drive(
        &self,
        journal: Arc<dyn Journal>,
        parts: Parts,
        wait: Wait,
    ) -> Result<Drive, Diagnostic> {
        Ok(Drive::new(
            self.state()?,
            journal,
            parts,
            wait,
            self.plain(),
        ))
    }
}
