//! What may be asked of an application, beside a page: a port, a command.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::means::host::{Command, Exit, HostExt as _, Hosts, Local};
use crate::means::probes::Check;
use crate::means::probes::unwell::Unwell;

/// One question to an application. A page is stored as it was before there were others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Probe {
    /// A page and what it says.
    Http(Check),
    /// A port that takes connections.
    Port(Port),
    /// A command that ends with 0.
    Command(Run),
}

/// A TCP port that must take connections; nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// A name or an address, as the machine that asks knows it.
    pub address: String,
    /// 1 to 65535.
    pub port: u16,
    /// Ask from this host instead of from here.
    #[serde(default)]
    pub via_host: Option<String>,
    /// The application's own host: asked before a port that does not answer here is believed to be closed. Without it
    /// such a port is only out of reach.
    #[serde(default)]
    pub own_host: Option<String>,
    /// How long one connection may take, in seconds.
    pub timeout_seconds: u64,
}

/// A command that must end with 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The program and its arguments; no shell.
    pub command: Vec<String>,
    /// The host it runs on; without it, this machine.
    #[serde(default)]
    pub via_host: Option<String>,
    /// What it must print, anywhere on its standard output; without it any output is well.
    #[serde(default)]
    pub says: Option<String>,
    /// How long it may take, in seconds.
    pub timeout_seconds: u64,
}

/// What a well application answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status, of a page.
    pub status: Option<u16>,
    /// The page, or what a command printed, as text, at most 256 KiB.
    pub body: String,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// The most that is kept of what a command prints, in bytes.
const OUTPUT_KEPT: usize = 256 * 1024;

/// Tries a port with the shell alone: 0 when it takes a connection, 1 when bash could not, with its reason on standard
/// error; 124 when nobody answered in time.
const TRY_PORT: &str = r#"LC_ALL=C exec timeout "$3" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2""#;

impl From<Check> for Probe {
    fn from(check: Check) -> Self {
        Probe::Http(check)
    }
}

impl Probe {
    /// Asks once.
    ///
    /// # Errors
    /// [`Unwell`], in one line what came instead of a healthy answer.
    pub async fn ask(&self, hosts: &Hosts) -> Result<Reply, Unwell> {
        let begun = Instant::now();
        let body = match self {
            Probe::Http(check) => {
                return check.ask(hosts).await.map(|answer| Reply {
                    status: Some(answer.status),
                    body: answer.body,
                    millis: answer.millis,
                });
            }
            Probe::Port(port) => port.ask(hosts).await.map(|()| String::new())?,
            Probe::Command(run) => run.ask(hosts).await?,
        };
        Ok(Reply {
            status: None,
            body,
            millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// What is asked, in words: an address, a port, a command line.
    pub fn name(&self) -> String {
        match self {
            Probe::Http(check) => check.url.clone(),
            Probe::Port(port) => format!("port {} of {}", port.port, port.address),
            Probe::Command(run) => format!("`{}`", run.command.join(" ")),
        }
    }

    /// The host that asks; nothing when it is asked from here.
    pub fn via_host(&self) -> Option<&str> {
        match self {
            Probe::Http(check) => check.via_host.as_deref(),
            Probe::Port(port) => port.via_host.as_deref(),
            Probe::Command(run) => run.via_host.as_deref(),
        }
    }

    /// How long one answer may take, in seconds.
    pub fn timeout_seconds(&self) -> u64 {
        match self {
            Probe::Http(check) => check.timeout_seconds,
            Probe::Port(port) => port.timeout_seconds,
            Probe::Command(run) => run.timeout_seconds,
        }
    }

    /// How a person asks the same.
    pub(super) fn by_hand(&self) -> String {
        match self {
            Probe::Http(check) => format!("curl -i {}", check.url),
            Probe::Port(port) => format!("nc -vz {} {}", port.address, port.port),
            Probe::Command(run) => run.command.join(" "),
        }
    }
}

impl Port {
    async fn ask(&self, hosts: &Hosts) -> Result<(), Unwell> {
        if let Some(via) = &self.via_host {
            return self.tried_on(hosts, via).await;
        }
        let limit = Duration::from_secs(self.timeout_seconds.max(1));
        let address = (self.address.as_str(), self.port);
        let why = match tokio::time::timeout(limit, tokio::net::TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(e)) => e.to_string(),
            Err(_) => format!("no answer within {} s", limit.as_secs()),
        };
        let Some(own) = &self.own_host else {
            return Err(Unwell::Unreached(why));
        };
        Err(match self.tried_on(hosts, own).await {
            Ok(()) => Unwell::Unreached(format!(
                "open when asked on `{own}` itself, out of reach from here: {why}"
            )),
            Err(Unwell::Sick(sick)) => Unwell::Sick(sick),
            Err(Unwell::Unreached(there)) => {
                Unwell::Unreached(format!("{why}; and `{own}` could not be asked: {there}"))
            }
        })
    }

    /// That a port is closed there is evidence; that the host could not try it is none.
    async fn tried_on(&self, hosts: &Hosts, host: &str) -> Result<(), Unwell> {
        let silent = |e: &dyn std::fmt::Display| Unwell::Unreached(e.to_string());
        let host = hosts.get(host).map_err(|e| silent(&e))?;
        let seconds = self.timeout_seconds.max(1);
        let (port, limit) = (self.port.to_string(), seconds.to_string());
        let command = Command::script(TRY_PORT)
            .args(["sh", &self.address, &port, &limit])
            .deadline(Duration::from_secs(seconds + 15));
        let output = host.output(&command).await.map_err(|e| silent(&e))?;
        let said = last_line(&output.stderr);
        let name = host.name();
        match output.exit {
            Exit::Code(0) => Ok(()),
            Exit::Code(124) => Err(Unwell::Sick(format!(
                "on `{name}`: no answer within {seconds} s"
            ))),
            Exit::Code(1) if said.contains("Connection refused") => {
                Err(Unwell::Sick(format!("on `{name}`: connection refused")))
            }
            _ => Err(Unwell::Unreached(format!("on `{name}`: {said}"))),
        }
    }
}

impl Run {
    async fn ask(&self, hosts: &Hosts) -> Result<String, Unwell> {
        let silent = |e: &dyn std::fmt::Display| Unwell::Unreached(e.to_string());
        let Some((program, args)) = self.command.split_first() else {
            return Err(Unwell::Unreached("the command is empty".into()));
        };
        let seconds = self.timeout_seconds.max(1);
        let command = Command::new("timeout")
            .args([seconds.to_string(), program.clone()])
            .args(args.iter().cloned())
            .deadline(Duration::from_secs(seconds + 15));
        let output = match &self.via_host {
            None => Local::new("this machine").output(&command).await,
            Some(name) => {
                let host = hosts.get(name).map_err(|e| silent(&e))?;
                host.output(&command).await
            }
        };
        let output = output.map_err(|e| silent(&e))?;
        let said = last_line(&output.stderr);
        match output.exit {
            Exit::Code(0) => {}
            Exit::Code(124) => {
                return Err(Unwell::Sick(format!("no answer within {seconds} s")));
            }
            // What `timeout` says of a program that it could not start, or of itself.
            Exit::Code(code @ 125..=127) => {
                return Err(Unwell::Unreached(format!("exited with {code}: {said}")));
            }
            Exit::Code(code) => return Err(Unwell::Sick(format!("exited with {code}: {said}"))),
            Exit::Signal(signal) => {
                return Err(Unwell::Sick(format!("ended by signal {signal}: {said}")));
            }
        }
        let kept = &output.stdout[..output.stdout.len().min(OUTPUT_KEPT)];
        let body = String::from_utf8_lossy(kept).into_owned();
        match &self.says {
            Some(text) if !body.contains(text.as_str()) => Err(Unwell::Sick(format!(
                "no `{text}` in: {}",
                body.trim().chars().take(200).collect::<String>()
            ))),
            _ => Ok(body),
        }
    }
}

/// The last line of what a program said, at most 400 characters.
fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.trim().lines().last().unwrap_or_default();
    line.chars().take(400).collect()
}
