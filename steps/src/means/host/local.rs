//! This machine as a host: for tests, for a release whose target is where `flow` runs, and for tools such as `git`.

use std::process::Stdio;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{Command, Exit, Host, HostError, Process, Stdin, quote};

/// The size of one piece of output, and how many of them wait for a slow reader.
pub(super) const CHUNK: usize = 64 * 1024;
/// How many chunks of [`CHUNK`] bytes wait for a slow reader at most.
pub(super) const CHUNKS: usize = 16;

/// This machine. Processes run in a group of their own and the whole group is killed at the deadline. As over ssh, what this
/// process inherited points no git elsewhere.
#[derive(Debug, Clone)]
pub struct Local {
    name: String,
}

impl Local {
    /// This machine under the name the configuration gives it.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

#[async_trait]
impl Host for Local {
    fn name(&self) -> &str {
        &self.name
    }

    /// A program that does not exist is [`HostError::Spawn`] here; over ssh it is status 127 of the login shell.
    async fn spawn(&self, command: &Command) -> Result<Process, HostError> {
        let program = command.program.clone();
        let refused = |why: String| HostError::Spawn {
            host: self.name.clone(),
            program: program.clone(),
            why,
        };
        quote::check(command).map_err(|e| refused(e.to_string()))?;
        let mut child = prepare(command)
            .spawn()
            .map_err(|e| refused(e.to_string()))?;
        let (stdout_tx, stdout) = mpsc::channel(CHUNKS);
        let (stderr_tx, stderr) = mpsc::channel(CHUNKS);
        let (exit_tx, exit) = oneshot::channel();
        let stdin = feed(child.stdin.take(), &command.stdin);
        let readers = [
            child
                .stdout
                .take()
                .map(|pipe| tokio::spawn(read(pipe, stdout_tx))),
            child
                .stderr
                .take()
                .map(|pipe| tokio::spawn(read(pipe, stderr_tx))),
        ];
        let late = HostError::Deadline {
            host: self.name.clone(),
            program: program.clone(),
            seconds: command.deadline.as_secs(),
        };
        let lost = HostError::Lost {
            host: self.name.clone(),
            program,
        };
        let until = Instant::now() + command.deadline;
        tokio::spawn(async move {
            let watch = Watch { until, late, lost };
            watch
                .run(child, exit_tx, readers.into_iter().flatten().collect())
                .await;
        });
        Ok(Process {
            stdin,
            stdout,
            stderr,
            exit,
        })
    }
}

fn prepare(command: &Command) -> tokio::process::Command {
    let mut it = tokio::process::Command::new(&command.program);
    flow_lint::git::forget(it.as_std_mut());
    it.args(&command.args)
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .envs(
            command
                .secret_env
                .iter()
                .map(|(name, value)| (name, &value.0)),
        )
        .stdin(if command.stdin == Stdin::Null {
            Stdio::null()
        } else {
            Stdio::piped()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(dir) = &command.cwd {
        it.current_dir(dir);
    }
    it
}

fn feed(pipe: Option<ChildStdin>, stdin: &Stdin) -> Option<mpsc::Sender<Bytes>> {
    let mut pipe = pipe?;
    match stdin.clone() {
        Stdin::Null => None,
        Stdin::Bytes(bytes) => {
            // A process that reads only the beginning closes the pipe: its exit status tells, not this error.
            tokio::spawn(async move { pipe.write_all(&bytes).await });
            None
        }
        Stdin::Piped => {
            let (tx, mut rx) = mpsc::channel::<Bytes>(CHUNKS);
            tokio::spawn(async move {
                while let Some(bytes) = rx.recv().await {
                    if pipe.write_all(&bytes).await.is_err() {
                        break;
                    }
                }
            });
            Some(tx)
        }
    }
}

async fn read(mut pipe: impl AsyncRead + Unpin, to: mpsc::Sender<Bytes>) {
    loop {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        match pipe.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            // Nobody listens any more: read on, so that the process does not block or die of a closed pipe.
            Ok(_) => drop(to.send(buffer.freeze()).await),
        }
    }
}

struct Watch {
    until: Instant,
    late: HostError,
    lost: HostError,
}

impl Watch {
    async fn run(
        self,
        mut child: Child,
        mut exit: oneshot::Sender<Result<Exit, HostError>>,
        readers: Vec<tokio::task::JoinHandle<()>>,
    ) {
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        let aborts: Vec<_> = readers
            .iter()
            .map(tokio::task::JoinHandle::abort_handle)
            .collect();
        let whole = async {
            let status = child.wait().await;
            for reader in readers {
                // As over ssh, a process has ended when its output has: a daemon it left may still write to it.
                drop(reader.await);
            }
            status
        };
        let end = tokio::select! {
            status = whole => status.map(ended).map_err(|_| self.lost),
            () = tokio::time::sleep_until(self.until) => Err(self.late),
            // Whoever started it has dropped the process: nobody can read its outcome any more.
            () = exit.closed() => Err(self.lost),
        };
        if end.is_err() {
            stop(group, &mut child).await;
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
        // Nobody waiting for the outcome is fine.
        drop(exit.send(end));
    }
}

async fn stop(group: Option<Pid>, child: &mut Child) {
    if let Some(group) = group {
        // Gone already is as good as killed.
        let _gone = kill_process_group(group, Signal::KILL);
    }
    drop(child.wait().await);
}

fn ended(status: std::process::ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal_name(signal.unwrap_or_default())),
    }
}

/// The name without `SIG`, as ssh sends it.
fn signal_name(number: i32) -> String {
    let names = [
        (1, "HUP"),
        (2, "INT"),
        (3, "QUIT"),
        (4, "ILL"),
        (6, "ABRT"),
        (7, "BUS"),
        (8, "FPE"),
        (9, "KILL"),
        (10, "USR1"),
        (11, "SEGV"),
        (12, "USR2"),
        (13, "PIPE"),
        (14, "ALRM"),
        (15, "TERM"),
    ];
    names
        .iter()
        .find(|(n, _)| *n == number)
        .map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests;
