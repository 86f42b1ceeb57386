//! From the files a team wrote to what a driver needs.

use std::path::Path;
use std::sync::Arc;

use flow_engine::outbox::Notifier;
use flow_engine::plan::Plan;
use flow_engine::registry::Registry;
use flow_engine::step::Resources;

use crate::config::{Config, ConfigError};

/// Everything read from `flow.toml` and the files it names.
#[derive(Debug, Clone)]
pub struct Setup {
    /// `flow.toml`.
    pub config: Config,
}

/// Why no plan was made. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SetupError {
    /// A file cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The commit is not there.
    #[error("there is no commit `{rev}` in {repository}: {why}")]
    NoCommit {
        /// What was asked for.
        rev: String,
        /// Where.
        repository: String,
        /// git's words.
        why: String,
    },
    /// There is no workflow of that name.
    #[error("there is no workflow `{0}`; there are: release")]
    NoWorkflow(String),
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl Setup {
    /// Reads `flow.toml` and the files it names.
    ///
    /// # Errors
    /// [`SetupError::Config`].
    pub fn load(path: &Path) -> Result<Setup, SetupError> {
        Ok(Setup {
            config: Config::load(path)?,
        })
    }

    /// The full name of a commit in the local repository.
    ///
    /// # Errors
    /// [`SetupError::NoCommit`].
    pub fn commit(&self, rev: &str) -> Result<String, SetupError> {
        Err(SetupError::Other(format!("not looked up: {rev}")))
    }

    /// Plans a workflow for a commit (40 hexadecimal digits).
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn plan(&self, workflow: &str, commit: &str) -> Result<Plan, SetupError> {
        Err(SetupError::Other(format!(
            "not planned: {workflow} {commit}"
        )))
    }

    /// What steps need: hosts, people.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn resources(&self) -> Result<Resources, SetupError> {
        Ok(Resources::default())
    }

    /// Who tells the team, when mail is configured.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn notifier(&self) -> Result<Option<Arc<dyn Notifier>>, SetupError> {
        Ok(None)
    }
}

/// Every kind of step a workflow of this binary uses.
pub fn registry() -> Registry {
    Registry::default()
}

/// One thing `flow doctor` looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The environment, or `here`.
    pub place: String,
    /// What was looked at.
    pub what: String,
    /// Whether it is as a run needs it.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do, when it is not.
    pub fix: String,
}
