//! Processes of the comparison: each ends with it, at the latest.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Result;
use crate::syncs;

/// What to start and how.
pub(crate) struct Spec {
    program: PathBuf,
    args: Vec<OsString>,
    dir: PathBuf,
    user: Option<(u32, u32)>,
    end: Signal,
    trace: Option<PathBuf>,
}

impl Spec {
    /// A program with `dir` as its working directory; its standard error goes to `dir/log`.
    pub(crate) fn new(program: &Path, dir: &Path) -> Self {
        Self {
            program: program.to_owned(),
            args: Vec::new(),
            dir: dir.to_owned(),
            user: None,
            end: Signal::TERM,
            trace: None,
        }
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = OsString>) -> Self {
        self.args.extend(args);
        self
    }

    /// Runs it as this user and group.
    pub(crate) fn user(mut self, user: Option<(u32, u32)>) -> Self {
        self.user = user;
        self
    }

    /// The signal that asks it to end.
    pub(crate) fn ended_by(mut self, signal: Signal) -> Self {
        self.end = signal;
        self
    }

    /// Runs it under `strace`, which writes its syncs to this file.
    pub(crate) fn traced(mut self, trace: Option<&Path>) -> Self {
        self.trace = trace.map(Path::to_owned);
        self
    }

    /// The command. `setpriv` makes the kernel end it when this process ends, however it ends; `strace -D` keeps the
    /// traced program, not `strace`, as the child.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        let end = if self.end == Signal::INT {
            "INT"
        } else {
            "TERM"
        };
        command.args(["--pdeathsig", end]);
        if let Some((uid, gid)) = self.user {
            command.arg(format!("--reuid={uid}"));
            command.arg(format!("--regid={gid}"));
            command.arg("--clear-groups");
        }
        command.arg("--");
        if let Some(trace) = &self.trace {
            command.args(["strace", "-D", "-f", "-q", "-ttt", "--seccomp-bpf", "-e"]);
            command.arg(format!("trace={}", syncs::CALLS.join(",")));
            command.arg("-o").arg(trace);
        }
        command
            .arg(&self.program)
            .args(&self.args)
            .current_dir(&self.dir);
        command
    }

    /// Starts the program.
    pub(crate) fn spawn(self) -> Result<Child> {
        let log = self.dir.join("log");
        let stderr = OpenOptions::new().create(true).append(true).open(&log)?;
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|e| format!("{} does not start: {e}", self.program.display()))?;
        let (lines, received) = channel();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        std::thread::spawn(move || {
            while let Some(Ok(line)) = stdout.next() {
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Child {
            stdin: child.stdin.take(),
            inner: child,
            lines: received,
            end: self.end,
            trace: self.trace,
            log,
        })
    }
}

/// A started process; ended when dropped.
pub(crate) struct Child {
    inner: std::process::Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    end: Signal,
    trace: Option<PathBuf>,
    log: PathBuf,
}

impl Child {
    /// The next line it writes.
    fn line(&self, limit: Duration) -> Result<String> {
        self.lines.recv_timeout(limit).map_err(|_| {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(5).collect();
            format!("no answer within {limit:?}; its last words, newest first: {tail:?}").into()
        })
    }

    /// Waits until it has written this line; others before it are passed over.
    pub(crate) fn expect_line(&mut self, expected: &str, limit: Duration) -> Result<()> {
        let start = Instant::now();
        while self.line(limit.saturating_sub(start.elapsed()))? != expected {}
        Ok(())
    }

    /// Gives a worker its work, and waits for the seconds it took.
    pub(crate) fn ask(&mut self, runs: u64, steps: u64, limit: Duration) -> Result<Duration> {
        let stdin = self.stdin.as_mut().ok_or("it has been stopped")?;
        writeln!(stdin, "{runs} {steps}")?;
        Ok(Duration::from_secs_f64(self.line(limit)?.trim().parse()?))
    }

    /// Whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> Result<bool> {
        Ok(self.inner.try_wait()?.is_some())
    }

    /// Asks it to end, waits, and has its trace complete.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.end()?;
        if let Some(trace) = self.trace.take() {
            syncs::wait_for_end(&trace, self.inner.id())?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if self.ended()? {
            return Ok(());
        }
        drop(self.stdin.take());
        let id = i32::try_from(self.inner.id()).ok().and_then(Pid::from_raw);
        kill_process(id.ok_or("a process id")?, self.end)?;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            if self.ended()? {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.inner.kill()?;
        self.inner.wait()?;
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The kernel ends it with this process in any case.
        let _ = self.end();
    }
}

/// Runs a program to its end; what it wrote.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!(
            "{}: {}: {said}",
            command.get_program().display(),
            output.status
        )
        .into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
