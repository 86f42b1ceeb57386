//! Running programs, and finding and ending every process that belongs to a sandbox.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::clock::Deadline;
use crate::error::{Doing, SandboxError};

/// The variable that marks every process of a sandbox: `<sandbox id>.<host>`.
pub(crate) const MARK: &str = "FLOW_SANDBOX_HOST";

/// After a host's name: the file that records the first process of its namespace.
pub(crate) const FIRST: &str = ".first";

/// The longest any single helper program may take; the slowest is a cold `npm ci`.
const LIMIT: Duration = Duration::from_mins(5);

/// Runs a program to its end and returns its standard output; success is exit status 0.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<String, SandboxError> {
    run_with(what, command, b"")
}

/// As [`run`], with something to read.
pub(crate) fn run_with(
    what: &str,
    command: &mut Command,
    input: &[u8],
) -> Result<String, SandboxError> {
    run_within(what, command, input, LIMIT)
}

/// As [`run_with`], with another time limit.
pub(crate) fn run_within(
    what: &str,
    command: &mut Command,
    input: &[u8],
    limit: Duration,
) -> Result<String, SandboxError> {
    let mut child = command
        .stdin(if input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .doing(|| format!("{what}: cannot start {}", command.get_program().display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        let bytes = input.to_vec();
        // A program that ends early closes its end; its exit status tells more than the broken pipe.
        thread::spawn(move || stdin.write_all(&bytes).ok());
    }
    let out = child.stdout.take().map(collect);
    let err = child.stderr.take().map(collect);
    let until = Deadline::after(limit);
    let status = loop {
        if let Some(status) = child.try_wait().doing(|| what.to_owned())? {
            break status;
        }
        if until.is_over() {
            child.kill().ok();
            child.wait().ok();
            return Err(SandboxError::Timeout {
                what: what.to_owned(),
                seconds: limit.as_secs(),
            });
        }
        thread::sleep(Duration::from_millis(3));
    };
    let text = |from: Option<thread::JoinHandle<Vec<u8>>>| {
        String::from_utf8_lossy(
            &from
                .and_then(|reader| reader.join().ok())
                .unwrap_or_default(),
        )
        .into_owned()
    };
    let (out, err) = (text(out), text(err));
    if status.success() {
        return Ok(out);
    }
    let told = if err.trim().is_empty() { &out } else { &err };
    Err(SandboxError::Command {
        what: what.to_owned(),
        status: status.to_string(),
        stderr: end_of(told),
    })
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).ok();
        bytes
    })
}

pub(crate) fn end_of(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// Asks again every 20 ms until the answer is yes.
pub(crate) fn wait_until(
    what: &str,
    limit: Duration,
    mut yes: impl FnMut() -> bool,
) -> Result<(), SandboxError> {
    let until = Deadline::after(limit);
    while !yes() {
        if until.is_over() {
            return Err(SandboxError::Timeout {
                what: what.to_owned(),
                seconds: limit.as_secs(),
            });
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A process that cannot be confused with a later one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// Clock ticks after boot, field 22 of `/proc/<pid>/stat`.
    start: u64,
}

impl Identity {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = Stat::read(pid).filter(|stat| !stat.dead)?;
        Some(Self {
            pid,
            start: stat.start,
        })
    }

    /// Writes one line, so that a later process can end what a crashed one left.
    pub(crate) fn record(self, file: &Path) -> Result<(), SandboxError> {
        fs::write(file, format!("{} {}\n", self.pid, self.start))
            .doing(|| format!("cannot write {}", file.display()))
    }

    pub(crate) fn read(file: &Path) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let (pid, start) = text.trim().split_once(' ')?;
        Some(Self {
            pid: pid.parse().ok()?,
            start: start.parse().ok()?,
        })
    }
}

struct Stat {
    parent: u32,
    start: u64,
    dead: bool,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets may itself hold blanks and brackets.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        Some(Self {
            dead: matches!(fields.first(), Some(&("Z" | "X"))),
            parent: fields.get(1)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }
}

/// Which processes are meant.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// The sandbox's folder.
    pub(crate) dir: PathBuf,
    /// The sandbox's id.
    pub(crate) id: String,
    /// One host, or everything.
    pub(crate) host: Option<String>,
}

impl Scope {
    /// Living processes of this scope: marked in their environment, recorded by pid and start time, `PostgreSQL`
    /// working in the sandbox's folder (it overwrites its environment), and the children of all of these.
    pub(crate) fn members(&self) -> BTreeSet<u32> {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut open: Vec<u32> = self.recorded();
        for pid in all() {
            let Some(stat) = Stat::read(pid).filter(|stat| !stat.dead) else {
                continue;
            };
            children.entry(stat.parent).or_default().push(pid);
            if self.marked(pid) || self.database(pid) {
                open.push(pid);
            }
        }
        let own = std::process::id();
        let mut found = BTreeSet::new();
        while let Some(pid) = open.pop() {
            if pid > 1 && pid != own && found.insert(pid) {
                open.extend(children.get(&pid).into_iter().flatten());
            }
        }
        found
    }

    fn recorded(&self) -> Vec<u32> {
        let Ok(files) = fs::read_dir(self.dir.join("run")) else {
            return Vec::new();
        };
        files
            .flatten()
            .filter(|file| {
                let name = file.file_name();
                let of = name.to_string_lossy();
                let of = of.strip_suffix(FIRST).unwrap_or(&of);
                self.host.as_ref().is_none_or(|host| host == of)
            })
            .filter_map(|file| Identity::read(&file.path()))
            .filter(|known| Identity::of(known.pid) == Some(*known))
            .map(|known| known.pid)
            .collect()
    }

    fn marked(&self, pid: u32) -> bool {
        let Ok(environ) = fs::read(format!("/proc/{pid}/environ")) else {
            return false;
        };
        let mark = format!(
            "{MARK}={}.{}",
            self.id,
            self.host.as_deref().unwrap_or_default()
        );
        environ
            .split(|byte| *byte == 0)
            .any(|entry| match &self.host {
                Some(_) => entry == mark.as_bytes(),
                None => entry.starts_with(mark.as_bytes()),
            })
    }

    fn database(&self, pid: u32) -> bool {
        let inside = match &self.host {
            Some(host) => self.dir.join("hosts").join(host),
            None => self.dir.clone(),
        };
        let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}"));
        link("cwd").is_ok_and(|cwd| cwd.starts_with(inside))
            && link("exe").is_ok_and(|exe| exe.file_name().is_some_and(|name| name == "postgres"))
    }

    /// Sends a signal to every member once.
    pub(crate) fn signal(&self, signal: Signal) {
        for pid in self.members() {
            send(pid, signal);
        }
    }

    /// Ends every member: politely for `patience`, then by force. Bounded; says which would not end.
    pub(crate) fn end(&self, patience: Duration) -> Result<(), SandboxError> {
        if !patience.is_zero() {
            self.signal(Signal::TERM);
            if wait_until("", patience, || self.members().is_empty()).is_ok() {
                return Ok(());
            }
        }
        wait_until(
            "the end of all processes of the sandbox",
            Duration::from_mins(1),
            || {
                // Asked anew each time: what a dying process starts is ended as well.
                self.signal(Signal::KILL);
                self.members().is_empty()
            },
        )
    }

    /// Session processes of a host's sshd, without the listener and without the commands they run.
    pub(crate) fn sessions(&self) -> Vec<u32> {
        let servers: BTreeSet<u32> = self
            .members()
            .into_iter()
            .filter(|pid| sshd(*pid))
            .collect();
        let session =
            |pid: &u32| Stat::read(*pid).is_some_and(|stat| servers.contains(&stat.parent));
        servers.iter().copied().filter(session).collect()
    }
}

/// Newer versions call the program of a session `sshd-session`.
fn sshd(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| {
        exe.file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"sshd"))
    })
}

/// The living children of a process.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let child =
        |pid: &u32| Stat::read(*pid).is_some_and(|stat| !stat.dead && stat.parent == parent);
    all().filter(child).collect()
}

fn all() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

pub(crate) fn send(pid: u32, signal: Signal) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    // It may have ended since it was found, which is what is wanted.
    rustix::process::kill_process(pid, signal).ok();
}
