//! A workflow is a value: its name, what it asks on the command line, what it reads in `flow.toml`, and its plan.
//!
//! ```
//! # use flow_engine::plan::OnFailure;
//! # use flow_engine::planner::Planner;
//! # use flow_workflows::project::Project;
//! # use flow_workflows::workflow::{PlanError, Workflow};
//! # use flow_steps::identity::Identity;
//! struct Look;
//!
//! #[derive(clap::Args)]
//! struct Input {
//!     /// The environment to look at
//!     #[arg(long, default_value = "prod")]
//!     at: String,
//! }
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     machine: Option<String>,
//! }
//!
//! impl Workflow for Look {
//!     const NAME: &'static str = "look";
//!     const PROTOCOL: &'static str = "1";
//!     const ABOUT: &'static str = "Looks whether an environment is the machine it is said to be";
//!     type Input = Input;
//!     type Config = Config;
//!
//!     fn environment(&self, _: &Project, _: &Config, input: &Input) -> Result<String, PlanError> {
//!         Ok(input.at.clone())
//!     }
//!
//!     fn plan(&self, _: &Project, config: &Config, input: Input, p: &mut Planner) -> Result<(), PlanError> {
//!         p.phase("look", "Look", OnFailure::Park, |p| {
//!             let hosts = [(input.at, config.machine.clone())].into();
//!             p.step("look/machine", Identity { hosts, distinct: false });
//!         });
//!         Ok(())
//!     }
//! }
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::{ArgMatches, Command};
use flow_engine::plan::Plan;
use flow_engine::planner::Planner;
use serde::de::DeserializeOwned;

use crate::config::{ConfigError, closest};
use crate::project::Project;
use crate::setup::SetupError;

/// Facts of a plan, by name.
pub type Facts = BTreeMap<String, String>;

/// What a program can start. See the module.
pub trait Workflow: Send + Sync + 'static {
    /// What is typed after `flow start` and stored in plans: `a-z`, `0-9` and `-`. Never renamed.
    const NAME: &'static str;
    /// Its section of `flow.toml`. Workflows that are configured alike share one.
    const SECTION: &'static str = Self::NAME;
    /// The version of what it follows. Stored in plans, for people; raise it when the steps mean something else.
    const PROTOCOL: &'static str;
    /// One line for `flow start --help`.
    const ABOUT: &'static str;
    /// Its own arguments of `flow start` and `flow plan`.
    type Input: clap::Args;
    /// Its section. One that is absent is read as an empty one. Mark it `deny_unknown_fields`: a misspelt key must be an
    /// error.
    type Config: DeserializeOwned;

    /// The environment that the run changes at its end. The files' names must not decide it: nobody may start two runs that
    /// change the same environment.
    ///
    /// # Errors
    /// [`PlanError`], when the input names none that exists.
    fn environment(
        &self,
        project: &Project,
        config: &Self::Config,
        input: &Self::Input,
    ) -> Result<String, PlanError>;

    /// Plans. Reads files only; what hosts say is for steps.
    ///
    /// # Errors
    /// [`PlanError`]; nothing is started then.
    fn plan(
        &self,
        project: &Project,
        config: &Self::Config,
        input: Self::Input,
        p: &mut Planner,
    ) -> Result<(), PlanError>;

    /// The input of a plan, from the facts it recorded. `None` where they do not tell: then nobody is told what today's
    /// configuration would plan otherwise, and a plan that is lost cannot be computed again.
    fn input_of(&self, facts: &Facts) -> Option<Self::Input> {
        let _ = facts;
        None
    }
}

/// Why a workflow made no plan. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// What was asked for or configured cannot be planned.
    #[error("{message}")]
    Refused {
        /// What is wrong, one sentence, naming the argument or the key.
        message: String,
        /// What to do or type instead.
        fix: String,
    },
    /// The project's files cannot be used.
    #[error(transparent)]
    Setup(#[from] Box<SetupError>),
}

impl PlanError {
    /// Says no, in one sentence, with what to do or type instead.
    pub fn refused(message: impl Into<String>, fix: impl Into<String>) -> PlanError {
        PlanError::Refused {
            message: message.into(),
            fix: fix.into(),
        }
    }
}

impl From<SetupError> for PlanError {
    fn from(error: SetupError) -> Self {
        PlanError::Setup(Box::new(error))
    }
}

/// A [`Workflow`] whose types are forgotten.
pub trait AnyWorkflow: Send + Sync {
    /// As [`Workflow::NAME`] says.
    fn name(&self) -> &'static str;
    /// As [`Workflow::SECTION`] says.
    fn section(&self) -> &'static str;
    /// The type that it is, with its crate and modules.
    fn type_name(&self) -> &'static str;
    /// As [`Workflow::ABOUT`] says.
    fn about(&self) -> &'static str;
    /// The command with the workflow's own arguments added.
    fn arguments(&self, command: Command) -> Command;
    /// Whether its section can be read.
    ///
    /// # Errors
    /// [`ConfigError`], naming the place.
    fn check(&self, project: &Project) -> Result<(), ConfigError>;
    /// The plan for what was typed.
    ///
    /// # Errors
    /// [`SetupError`]; nothing was changed.
    fn plan(&self, project: &Project, typed: &ArgMatches) -> Result<Plan, SetupError>;
    /// The plan that today's files give for the input of another plan; `None` where its facts do not tell the input.
    ///
    /// # Errors
    /// [`SetupError`]; nothing was changed.
    fn plan_again(&self, project: &Project, facts: &Facts) -> Result<Option<Plan>, SetupError>;
}

impl<W: Workflow> AnyWorkflow for W {
    fn name(&self) -> &'static str {
        W::NAME
    }

    fn section(&self) -> &'static str {
        W::SECTION
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<W>()
    }

    fn about(&self) -> &'static str {
        W::ABOUT
    }

    fn arguments(&self, command: Command) -> Command {
        <W::Input as clap::Args>::augment_args(command)
    }

    fn check(&self, project: &Project) -> Result<(), ConfigError> {
        project.section::<W::Config>(W::SECTION).map(drop)
    }

    fn plan(&self, project: &Project, typed: &ArgMatches) -> Result<Plan, SetupError> {
        let input = <W::Input as clap::FromArgMatches>::from_arg_matches(typed);
        let input = input.map_err(|e| SetupError::Input(e.to_string()))?;
        planned(self, project, input)
    }

    fn plan_again(&self, project: &Project, facts: &Facts) -> Result<Option<Plan>, SetupError> {
        let input = self.input_of(facts);
        input.map(|input| planned(self, project, input)).transpose()
    }
}

fn planned<W: Workflow>(
    workflow: &W,
    project: &Project,
    input: W::Input,
) -> Result<Plan, SetupError> {
    let refused = |error| match error {
        PlanError::Setup(error) => *error,
        PlanError::Refused { message, fix } => SetupError::Refused {
            workflow: W::NAME.to_owned(),
            message,
            fix,
        },
    };
    let config: W::Config = project.section(W::SECTION)?;
    let environment = workflow.environment(project, &config, &input);
    let environment = environment.map_err(refused)?;
    let planned_by = concat!("flow ", env!("CARGO_PKG_VERSION"));
    let mut planner = Planner::new(W::NAME, W::PROTOCOL, &environment, planned_by);
    let made = workflow.plan(project, &config, input, &mut planner);
    made.map_err(refused)?;
    Ok(planner.finish()?)
}

/// The workflows of a program, in the order in which they were added. The first is started when none is named.
#[derive(Clone, Default)]
pub struct Workflows(Vec<Arc<dyn AnyWorkflow>>);

impl std::fmt::Debug for Workflows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Workflows {
    /// Adds a workflow to the end.
    #[must_use]
    pub fn with<W: Workflow>(mut self, workflow: W) -> Workflows {
        self.0.push(Arc::new(workflow));
        self
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &dyn AnyWorkflow> {
        self.0.iter().map(|workflow| &**workflow)
    }

    /// Their names, in the same order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|workflow| workflow.name())
    }

    /// The sections they read, each once.
    pub fn sections(&self) -> Vec<&'static str> {
        let mut sections = Vec::new();
        for workflow in self.all() {
            if !sections.contains(&workflow.section()) {
                sections.push(workflow.section());
            }
        }
        sections
    }

    /// The workflow of that name.
    ///
    /// # Errors
    /// [`SetupError::NoWorkflow`], naming all there are and the one that may be meant.
    pub fn named(&self, name: &str) -> Result<&dyn AnyWorkflow, SetupError> {
        let found = self.all().find(|workflow| workflow.name() == name);
        found.ok_or_else(|| SetupError::NoWorkflow {
            name: name.escape_default().to_string(),
            known: self.names().map(str::to_owned).collect(),
            meant: closest(name, self.names()).map(str::to_owned),
        })
    }
}
