//! A `ProxyCommand`: a process whose standard input and output are the connection.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// The most that is kept of what it wrote to its standard error, in bytes; the end counts.
const SAID_MAX: usize = 2048;
/// How long it may take to end after its connection has, and after `HUP`.
const GRACE: Duration = Duration::from_secs(1);

/// The running command. Dropped, it is sent `HUP`, as ssh does, and killed after a second.
pub(super) struct Proxy {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    /// Starts a line of shell in a process group of its own, and gives this end of its input and output.
    pub(super) fn start(line: &str) -> std::io::Result<(OwnedFd, Self)> {
        let (ours, theirs) = UnixStream::pair()?;
        let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
        let mut child = Command::new(shell.unwrap_or_else(|| "/bin/sh".into()))
            .arg("-c")
            .arg(format!("exec {line}"))
            .stdin(OwnedFd::from(theirs.try_clone()?))
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let said = Arc::new(Mutex::new(Vec::new()));
        if let Some(errors) = child.stderr.take() {
            let kept = Arc::clone(&said);
            // Ends with the command and whatever it leaves behind.
            std::thread::Builder::new()
                .name("ssh proxy".into())
                .spawn(move || keep(errors, &kept))?;
        }
        Ok((ours.into(), Self { child, said }))
    }

    /// How it ended, if it has, and what it said last: for the error.
    pub(super) fn words(&mut self) -> String {
        // What it said on its way out may still be in the pipe.
        let until = Instant::now() + Duration::from_millis(200);
        let mut ended = None;
        while ended.is_none() && Instant::now() < until {
            ended = self.child.try_wait().ok().flatten();
            std::thread::sleep(Duration::from_millis(20));
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said = String::from_utf8_lossy(&said);
        let said: Vec<&str> = said.lines().map(str::trim).collect();
        let how = ended.map_or_else(String::new, |status| format!(" ended ({status})"));
        match said.join(" ").trim() {
            "" => format!("its ProxyCommand{how}"),
            said => format!("its ProxyCommand{how} said: {said}"),
        }
    }

    fn ended_within(&mut self, grace: Duration) -> bool {
        let until = Instant::now() + grace;
        loop {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        for signal in [Signal::HUP, Signal::KILL] {
            if let Some(group) = group {
                // Gone already is fine.
                let _gone = kill_process_group(group, signal);
            }
            if self.ended_within(GRACE) {
                return;
            }
        }
    }
}

fn keep(mut errors: impl std::io::Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(n @ 1..) = errors.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..n]);
        let over = kept.len().saturating_sub(SAID_MAX);
        kept.drain(..over);
    }
}
