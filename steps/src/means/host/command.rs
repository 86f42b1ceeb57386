//! Building a [`Command`], and waiting for a [`Process`].

use std::time::Duration;

use super::{Command, Exit, HostError, Process, Secret, Stdin};

/// What a command may take when it says nothing else: long enough for a look at a busy host, short enough that the
/// person watching notices a hung one. What takes longer is a [job](super::job).
pub const DEADLINE: Duration = Duration::from_mins(1);

impl Command {
    /// A command with no arguments, nothing on standard input and [`DEADLINE`].
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            secret_env: Vec::new(),
            cwd: None,
            stdin: Stdin::Null,
            deadline: DEADLINE,
        }
    }

    /// A piece of POSIX shell, run by `sh -c`. Values go in as further arguments (`$0`, `$1`, …), never into the text.
    /// The text is visible in the process list; a long or secret one belongs in a [job](super::job).
    pub fn script(text: impl Into<String>) -> Self {
        Self::new("sh").arg("-c").arg(text)
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: Into<String>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable whose value may be seen by anyone who lists processes on that machine.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets a variable whose value must not be seen; see [`Command::secret_env`](struct@Command). The value may hold
    /// anything but NUL and line breaks.
    #[must_use]
    pub fn secret_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.secret_env.push((name.into(), Secret(value.into())));
        self
    }

    /// Sets the folder to start in. A missing one is an error of the process over ssh (status 1 or 2 of the login
    /// shell), and [`HostError::Spawn`] on this machine.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<String>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// Sets what the process reads.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Sets the longest the process may take, from the call of `spawn` to its exit.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

impl Process {
    /// How the process ended. Drops the three streams: an unread output is thrown away, so that the process cannot
    /// block on it.
    ///
    /// Fails with [`HostError::Lost`] when the connection broke first, and [`HostError::Deadline`] when it took too long.
    pub async fn wait(self) -> Result<Exit, HostError> {
        let Self {
            stdin,
            stdout,
            stderr,
            exit,
        } = self;
        drop((stdin, stdout, stderr));
        ended(exit.await)
    }
}

/// A host that is dropped with a process under way never reports: that, too, is an unknown outcome.
pub(super) fn ended(
    answer: Result<Result<Exit, HostError>, tokio::sync::oneshot::error::RecvError>,
) -> Result<Exit, HostError> {
    answer.unwrap_or_else(|_| {
        Err(HostError::Lost {
            host: "(closed)".into(),
            program: "a process".into(),
        })
    })
}

impl Exit {
    /// Whether it is status 0, the only success there is.
    pub fn success(&self) -> bool {
        *self == Self::Code(0)
    }

    /// In words: `exited with 3`, `was ended by signal KILL`.
    pub fn in_words(&self) -> String {
        match self {
            Self::Code(code) => format!("exited with {code}"),
            Self::Signal(name) => format!("was ended by signal {name}"),
        }
    }
}
