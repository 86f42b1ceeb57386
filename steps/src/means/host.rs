//! Running things on a machine: this one, or one behind ssh.
//!
//! A [`Host`] starts single processes and streams bytes to and from them; nothing here goes through a shell pipe,
//! because a pipe hides the exit status of everything but its last member. Work that must outlive the connection is
//! not a plain process but a [remote job](job).

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

mod command;
mod ext;
pub mod job;
mod local;
pub mod quote;
mod registry;
mod ssh;
#[cfg(test)]
pub(crate) mod testing;

pub use command::DEADLINE;
pub(crate) use ext::last_words;
pub use ext::{HostExt, Identity};
pub use local::Local;
pub use registry::Hosts;
pub use ssh::{SshConfig, SshHost};

/// A machine that can run a process.
///
/// Implementations are multiplexed: any number of processes may run at once over one connection.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// The name the configuration gives this machine, such as `prod`.
    fn name(&self) -> &str;

    /// What the login shell was heard to print of its own before it ran anything, as one line of at most 2 KiB. It is in
    /// no answer. Nothing when it was quiet so far, and where there is no login shell.
    fn greeting(&self) -> Option<&str> {
        None
    }

    /// Starts one process without a terminal.
    ///
    /// # Errors
    /// [`HostError`] when the process was certainly not started, except [`HostError::Lost`] and
    /// [`HostError::Deadline`], after which it may have been.
    async fn spawn(&self, command: &Command) -> Result<Process, HostError>;
}

/// One process to start: a program and its arguments, never a line of shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program, looked up in the remote `PATH`.
    pub program: String,
    /// Its arguments, quoted by the transport.
    pub args: Vec<String>,
    /// Variables set for this process only. Their values are visible in the process list while it starts; a password
    /// belongs in [`Command::secret_env`].
    pub env: Vec<(String, String)>,
    /// Variables whose values never appear in a process list, a log or an error: over ssh they travel on standard
    /// input, ahead of whatever the process itself reads.
    pub secret_env: Vec<(String, Secret)>,
    /// The folder to start in.
    pub cwd: Option<String>,
    /// What the process reads.
    pub stdin: Stdin,
    /// The longest this process may take, from start to exit. Own deadline: libssh2 never declares a dead peer dead.
    pub deadline: Duration,
}

/// A value that must not be seen: its `Debug` form is three dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(crate) String);

impl Secret {
    /// Keeps a value out of `Debug` output. Where it may appear in what a program prints, [`Cx::keep_secret`] masks it too.
    ///
    /// [`Cx::keep_secret`]: flow_engine::step::Cx::keep_secret
    pub fn new(value: impl Into<String>) -> Secret {
        Secret(value.into())
    }

    /// The value, for the one who hands it over or masks it in output.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What a process reads on its standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing: end of file at once.
    Null,
    /// These bytes, then end of file.
    Bytes(Bytes),
    /// Whatever is sent to [`Process::stdin`]; end of file when the sender is dropped.
    Piped,
}

/// A process that was started.
#[derive(Debug)]
pub struct Process {
    /// Present when the command asked for [`Stdin::Piped`]. Bounded: a slow reader slows the sender.
    pub stdin: Option<mpsc::Sender<Bytes>>,
    /// Output in order. Closed at end of file. Bounded: a slow reader slows the process, never this program's memory.
    pub stdout: mpsc::Receiver<Bytes>,
    /// Errors, likewise. Must be read as well (or dropped), or the process may block on it.
    pub stderr: mpsc::Receiver<Bytes>,
    /// How it ended; see [`Process::wait`]. Comes after both streams have ended. Dropping it gives the process up: it
    /// is killed on this machine, and cut off from its streams over ssh.
    pub exit: oneshot::Receiver<Result<Exit, HostError>>,
}

/// How a process ended, as told by the machine it ran on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It returned this status.
    Code(i32),
    /// It was ended by this signal, such as `KILL`.
    Signal(String),
}

/// The whole of a short process's output.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Standard output, at most [`OUTPUT_MAX`] bytes.
    pub stdout: Vec<u8>,
    /// Standard error, at most [`OUTPUT_MAX`] bytes.
    pub stderr: Vec<u8>,
}

/// The most [`HostExt::output`] keeps of either stream; more is an error, never a silent cut.
pub const OUTPUT_MAX: usize = 16 * 1024 * 1024;

/// What a host found in place of the lease of the run that sent a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lapse {
    /// Another run holds it.
    Other(String),
    /// It is gone.
    Nobody,
    /// A newer process of the same run holds it, with this epoch.
    Newer(u64),
    /// Its file, in this folder, cannot be read.
    Unreadable(String),
    /// The machine is another one, with this id.
    Machine(String),
}

impl Lapse {
    fn in_words(&self, host: &str) -> String {
        match self {
            Self::Other(run) => format!(
                "the lease of `{host}` was taken by run {run}: this run may not touch it any more"
            ),
            Self::Nobody => format!(
                "the lease of `{host}` was taken from this run and nobody holds it: this run may not touch it any more"
            ),
            Self::Newer(epoch) => format!(
                "a newer process (epoch {epoch}) drives this run and holds the lease of `{host}`: this one may not touch it any more"
            ),
            Self::Unreadable(dir) => format!(
                "the lease of `{host}`, the file `held` in {dir}, cannot be read: whose it is, is not known"
            ),
            Self::Machine(found) => format!(
                "`{host}` leads to another machine (id {found}) than the one on which the lease was taken"
            ),
        }
    }
}

/// Why a machine could not do what was asked, and what is known of the world afterwards.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HostError {
    /// No connection. Nothing was started.
    #[error("host `{host}` cannot be reached: {why}")]
    Unreachable {
        /// The host's name.
        host: String,
        /// In words, with address and port.
        why: String,
    },
    /// The machine's key is not the one on record. Nothing was started.
    #[error("host `{host}` showed a key that is not the one in {file}: {why}")]
    HostKey {
        /// The host's name.
        host: String,
        /// The known-hosts file that was asked.
        file: String,
        /// In words: unknown, changed, revoked.
        why: String,
    },
    /// No key or agent identity was accepted. Nothing was started.
    #[error("host `{host}` accepted none of the keys for user `{user}`: {why}")]
    Auth {
        /// The host's name.
        host: String,
        /// The remote user.
        user: String,
        /// What was tried.
        why: String,
    },
    /// The configuration of this host cannot be used.
    #[error("host `{host}`: {why}")]
    Config {
        /// The host's name.
        host: String,
        /// What was wrong, in words.
        why: String,
    },
    /// The connection broke after the process was started: what became of it is unknown.
    #[error(
        "the connection to host `{host}` was cut while `{program}` ran; its outcome is unknown"
    )]
    Lost {
        /// The host's name.
        host: String,
        /// The program that was running.
        program: String,
    },
    /// The process did not end within its deadline; it may still run.
    #[error("`{program}` on host `{host}` did not end within {seconds} s; it may still run")]
    Deadline {
        /// The host's name.
        host: String,
        /// The program that was called, without its arguments.
        program: String,
        /// How long it was given, in seconds.
        seconds: u64,
    },
    /// The process wrote more than [`OUTPUT_MAX`].
    #[error("`{program}` on host `{host}` wrote more than {OUTPUT_MAX} bytes")]
    TooMuch {
        /// The host's name.
        host: String,
        /// The program that was called, without its arguments.
        program: String,
    },
    /// The program ended with a status or signal that was not success.
    #[error("`{program}` on host `{host}` {how}: {stderr}")]
    Failed {
        /// The host's name.
        host: String,
        /// The program that was called, without its arguments.
        program: String,
        /// Such as `exited with 3` or `was ended by signal KILL`.
        how: String,
        /// The end of its error output.
        stderr: String,
    },
    /// The lease of the environment is not this run's (any more). The command was not started.
    #[error("{}; `{program}` was not started", lapse.in_words(host))]
    NotLeased {
        /// The host's name.
        host: String,
        /// The program that was called, without its arguments.
        program: String,
        /// The run that may not touch the host any more.
        run: String,
        /// What was found instead.
        lapse: Lapse,
    },
    /// The process could not be started at all.
    #[error("`{program}` could not be started on host `{host}`: {why}")]
    Spawn {
        /// The host's name.
        host: String,
        /// The program that was called, without its arguments.
        program: String,
        /// What was wrong, in words.
        why: String,
    },
}
