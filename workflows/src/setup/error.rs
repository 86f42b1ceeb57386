//! Why a project or a plan cannot be had.

use flow_engine::planner::PlanError;

use crate::config::ConfigError;
use crate::git::GitError;
use crate::guard::NotOurs;
use crate::roster::RosterError;

/// Why no plan was made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The commit is not there.
    #[error("there is no commit `{rev}` in {repository}")]
    NoCommit {
        /// What was asked for.
        rev: String,
        /// The repository that was asked.
        repository: String,
        /// Why, in git's words.
        source: GitError,
    },
    /// The repository cannot be read.
    #[error("the repository cannot be read")]
    Repository(#[from] GitError),
    /// There is no workflow of that name.
    #[error("there is no workflow `{name}`{}; there are: {}", .meant.as_ref().map(|m| format!(", did you mean `{m}`?")).unwrap_or_default(), .known.join(", "))]
    NoWorkflow {
        /// What was asked for.
        name: String,
        /// The workflows of the program.
        known: Vec<String>,
        /// The one that may be meant.
        meant: Option<String>,
    },
    /// What was typed for a workflow cannot be read.
    #[error("the arguments of the workflow cannot be read: {0}")]
    Input(String),
    /// The workflow itself said no.
    #[error("the workflow `{workflow}` cannot be planned: {message}")]
    Refused {
        /// The name of the workflow.
        workflow: String,
        /// What is wrong.
        message: String,
        /// What to do or type instead.
        fix: String,
    },
    /// The project has no section `[release]`, and what was asked for needs one.
    #[error("{0} has no section [release], and this needs one")]
    NoRelease(String),
    /// A role that must sign has nobody.
    #[error("{file}: the role `{role}` must sign, but nobody holds it")]
    NobodyHolds {
        /// The people file.
        file: String,
        /// The role that nobody holds.
        role: String,
    },
    /// Files of the project that are not there yet.
    #[error("a project has three files: {config} is there; not there: {}", .missing.join(", "))]
    Unfinished {
        /// The `flow.toml` that was found.
        config: String,
        /// The files that are not there, by path: one or both of people and data.
        missing: Vec<String>,
    },
    /// The file could be somebody else's.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    /// There is no roster to plan with.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// Mail cannot be set up.
    #[error("`mail` in flow.toml: {0}")]
    Mail(String),
    /// A mistake in the workflow itself.
    #[error("the workflow is wrong: this is a bug in flow")]
    Plan(#[from] PlanError),
}
