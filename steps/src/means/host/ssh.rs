//! A machine behind ssh.
//!
//! One connection per machine, owned by one thread, carries any number of processes. It is opened when first needed,
//! closed when idle, and opened again after a cut.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, oneshot};

use self::channel::{NotStarted, Request, What};
use self::connect::Dialer;
use self::greeting::{Heard, Word};
use self::link::Link;
use super::local::CHUNKS;
use super::{Command, Host, HostError, Process, Stdin, quote};

mod auth;
mod certificate;
mod channel;
mod config;
mod connect;
mod greeting;
mod keyfile;
mod known;
mod link;
mod proxy;
mod revoked;
mod settings;
mod sink;
mod tokens;

/// How to reach one machine. Everything else (address, user, keys, jump hosts) is what `ssh <alias>` would use.
#[derive(Debug, Clone)]
pub struct SshConfig {
    /// The name the release configuration gives the machine, such as `prod`.
    pub name: String,
    /// What one would type after `ssh`. Must not start with `-`.
    pub alias: String,
    /// An ssh configuration file in place of `~/.ssh/config`.
    pub config_file: Option<PathBuf>,
    /// The longest a connection may take, from name look-up to accepted key.
    pub connect_timeout: Duration,
    /// How often a silent connection is asked for a sign of life; after three times this without one it counts as
    /// lost. At least 2 s (a limit of libssh2).
    pub keepalive: Duration,
}

impl SshConfig {
    /// A machine with 20 s to connect, and lost after 45 s of silence.
    pub fn new(name: impl Into<String>, alias: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            alias: alias.into(),
            config_file: None,
            connect_timeout: Duration::from_secs(20),
            keepalive: Duration::from_secs(15),
        }
    }
}

/// A machine behind ssh: one connection, opened when first needed, closed after a minute without use, opened again
/// after a cut. Any number of processes share it; beyond what the machine allows (sshd's `MaxSessions`) they wait.
///
/// Host keys and their certificates are checked strictly whatever the configuration says, and none is ever added. Keys and
/// certificates of key files and of the agent are the only way in. A setting of the ssh configuration that changes who is
/// reached, who is believed or what is run, and that is not honoured here, is refused (`docs/design/0018`).
pub struct SshHost {
    config: SshConfig,
    /// `-l user`, `-p port` of one hop of a `ProxyJump`.
    extra: Vec<String>,
    /// The hop before this one, when it is part of a list.
    via: Option<Arc<SshHost>>,
    depth: u8,
    link: Mutex<Option<Arc<Link>>>,
    heard: Heard,
}

impl SshHost {
    /// A machine that is connected to when first used.
    pub fn new(config: SshConfig) -> Self {
        Self {
            config,
            extra: Vec::new(),
            via: None,
            depth: 0,
            link: Mutex::new(None),
            heard: Heard::default(),
        }
    }

    /// One hop on the way to another machine.
    fn hop(config: SshConfig, extra: Vec<String>, via: Option<Arc<Self>>, depth: u8) -> Self {
        Self {
            config,
            extra,
            via,
            depth,
            link: Mutex::new(None),
            heard: Heard::default(),
        }
    }

    async fn link(&self) -> Result<Arc<Link>, HostError> {
        let mut slot = self.link.lock().await;
        if let Some(link) = slot.as_ref().filter(|link| link.alive()) {
            return Ok(Arc::clone(link));
        }
        let dialer = Dialer {
            config: self.config.clone(),
            extra: self.extra.clone(),
            via: self.via.clone(),
            depth: self.depth,
            runtime: Handle::current(),
        };
        let opened = tokio::time::timeout(self.config.connect_timeout, Link::open(dialer)).await;
        let link = Arc::new(opened.unwrap_or_else(|_| {
            Err(HostError::Unreachable {
                host: self.config.name.clone(),
                why: format!(
                    "no connection within {} s",
                    self.config.connect_timeout.as_secs()
                ),
            })
        })?);
        *slot = Some(Arc::clone(&link));
        Ok(link)
    }

    /// Starts `what`, on a fresh connection when the present one turns out to be dead before anything was asked of it.
    async fn start(&self, job: &Job<'_>) -> Result<Process, HostError> {
        for attempt in 0.. {
            let link = self.link().await?;
            let (request, process, started, feed) = job.request(&self.config.name, &self.heard);
            link.send(request);
            let left = job.deadline.saturating_sub(job.begun.elapsed()) + Duration::from_secs(1);
            match tokio::time::timeout(left, started).await {
                Ok(Ok(Ok(()))) => {
                    if let Some((from, to)) = feed {
                        tokio::spawn(forward(from, to, link));
                    }
                    return Ok(process);
                }
                Ok(Ok(Err(NotStarted::LinkDied))) if attempt == 0 => link.bury(),
                Ok(Ok(Err(NotStarted::LinkDied))) => {
                    return Err(HostError::Unreachable {
                        host: self.config.name.clone(),
                        why: "the connection broke before anything was started, twice".into(),
                    });
                }
                Ok(Ok(Err(NotStarted::Refused(why)))) => {
                    return Err(HostError::Spawn {
                        host: self.config.name.clone(),
                        program: job.program.to_owned(),
                        why,
                    });
                }
                Ok(Err(_)) => {
                    return Err(HostError::Lost {
                        host: self.config.name.clone(),
                        program: job.program.to_owned(),
                    });
                }
                Err(_) => {
                    return Err(HostError::Deadline {
                        host: self.config.name.clone(),
                        program: job.program.to_owned(),
                        seconds: job.deadline.as_secs(),
                    });
                }
            }
        }
        unreachable!("the second attempt returns")
    }

    /// A connection from this machine to another, as a pair of byte streams.
    async fn tunnel(&self, host: &str, port: u16) -> Result<Process, HostError> {
        self.start(&Job {
            what: What::Tcp(host.to_owned(), port),
            program: "a connection to the next host",
            input: Bytes::new(),
            piped: true,
            deadline: self.config.connect_timeout,
            begun: Instant::now(),
        })
        .await
    }
}

#[async_trait]
impl Host for SshHost {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn greeting(&self) -> Option<&str> {
        self.heard.get().map(String::as_str)
    }

    async fn spawn(&self, command: &Command) -> Result<Process, HostError> {
        let line = quote::line(command).map_err(|why| HostError::Spawn {
            host: self.config.name.clone(),
            program: command.program.clone(),
            why: why.to_string(),
        })?;
        let word = Word::new().map_err(|e| HostError::Config {
            host: self.config.name.clone(),
            why: format!("this machine gives no randomness: {e}"),
        })?;
        let mut input = line.prelude;
        if let Stdin::Bytes(bytes) = &command.stdin {
            input.extend_from_slice(bytes);
        }
        self.start(&Job {
            what: What::Exec(line.text, word),
            program: &command.program,
            input: input.into(),
            piped: command.stdin == Stdin::Piped,
            deadline: command.deadline,
            begun: Instant::now(),
        })
        .await
    }
}

impl std::fmt::Debug for SshHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshHost")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What one call of `spawn` or `tunnel` asks for; turned into a request once per attempt.
struct Job<'a> {
    what: What,
    program: &'a str,
    input: Bytes,
    piped: bool,
    deadline: Duration,
    begun: Instant,
}

type Feed = Option<(mpsc::Receiver<Bytes>, mpsc::Sender<Bytes>)>;
type Started = oneshot::Receiver<Result<(), NotStarted>>;

impl Job<'_> {
    fn request(&self, host: &str, heard: &Heard) -> (Request, Process, Started, Feed) {
        let (stdout_tx, stdout) = mpsc::channel(CHUNKS);
        let (stderr_tx, stderr) = mpsc::channel(CHUNKS);
        let (exit_tx, exit) = oneshot::channel();
        let (started_tx, started) = oneshot::channel();
        let (mut stdin, mut source, mut feed) = (None, None, None);
        if self.piped {
            let (outer_tx, outer) = mpsc::channel(CHUNKS);
            let (inner_tx, inner) = mpsc::channel(1);
            (stdin, source, feed) = (Some(outer_tx), Some(inner), Some((outer, inner_tx)));
        }
        // A tunnel lives as long as the connection that runs through it.
        let until = matches!(self.what, What::Exec(..)).then(|| self.begun + self.deadline);
        let request = Request {
            what: self.what.clone(),
            host: host.to_owned(),
            program: self.program.to_owned(),
            heard: Arc::clone(heard),
            input: self.input.clone(),
            source,
            stdout: stdout_tx,
            stderr: stderr_tx,
            exit: exit_tx,
            started: started_tx,
            until,
            seconds: self.deadline.as_secs(),
        };
        (
            request,
            Process {
                stdin,
                stdout,
                stderr,
                exit,
            },
            started,
            feed,
        )
    }
}

/// Hands the caller's bytes to the thread of the connection, which sleeps in `poll` and has to be woken for them.
async fn forward(mut from: mpsc::Receiver<Bytes>, to: mpsc::Sender<Bytes>, link: Arc<Link>) {
    while let Some(bytes) = from.recv().await {
        if to.send(bytes).await.is_err() {
            return;
        }
        link.wake();
    }
    drop(to);
    link.wake();
}

#[cfg(test)]
mod tests;
