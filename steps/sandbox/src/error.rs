//! Why a sandbox could not do what was asked.

use std::path::PathBuf;

/// Why a sandbox could not do what was asked.
///
/// After an error of [`crate::Sandbox::up`] whatever had been started is stopped again.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Programs this needs are not installed. Nothing was started.
    #[error("the sandbox needs {} on this machine; `make deps` installs what is missing", .0.join(", "))]
    Missing(Vec<String>),
    /// The wanted kind of isolation does not work here. Nothing was started.
    #[error("{0}")]
    Isolation(String),
    /// Another live process uses this folder as its sandbox.
    #[error(
        "the sandbox in {0} is in use by another process; end that one or choose another folder"
    )]
    Busy(PathBuf),
    /// The folder cannot hold a sandbox.
    #[error("{dir} cannot hold a sandbox: {why}")]
    Folder {
        /// The folder that was given.
        dir: PathBuf,
        /// In words, with the remedy.
        why: String,
    },
    /// A program ended badly.
    #[error("{what} failed ({status}): {stderr}")]
    Command {
        /// What was being done.
        what: String,
        /// Its exit status in words.
        status: String,
        /// The end of what it wrote to its error output.
        stderr: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {seconds} s")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A file or process could not be handled.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// There is no host, commit or person of this name.
    #[error("the sandbox has no {kind} named `{name}`")]
    Unknown {
        /// What was looked for, such as `host`.
        kind: &'static str,
        /// The name that was given.
        name: String,
    },
}

/// Names what was being done when an operating-system call failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, SandboxError>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, SandboxError> {
        self.map_err(|source| SandboxError::Io {
            what: what(),
            source,
        })
    }
}
