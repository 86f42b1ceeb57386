//! `flow` as processes: one that drives, and short ones in other terminals.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest a command that does not drive may take.
const COMMAND_LIMIT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(5);

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// The same, once it is sure that it ended so.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Said {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    /// Fails unless standard error says all of this.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Said {
        for word in words {
            assert!(self.err.contains(word), "no `{word}` in: {}", self.err);
        }
        self
    }
}

/// `flow` in this folder, without anybody at the keyboard.
pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow"));
    command
        .args(args)
        .current_dir(folder)
        .env_remove("FLOW_STATE")
        .env_remove("FLOW_CONFIG")
        .env_remove("FLOW_LOG")
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end, which is bounded.
pub(crate) fn run(mut command: Command) -> Said {
    let (out, err) = (temporary(), temporary());
    let again = |file: &File| Stdio::from(file.try_clone().expect("a file can be shared"));
    command.stdout(again(&out)).stderr(again(&err));
    let mut child = command.spawn().expect("it starts");
    let ended = wait(&mut child, COMMAND_LIMIT);
    if ended.is_none() {
        end(&mut child);
    }
    let (out, err) = (text(out), text(err));
    let code = ended.unwrap_or_else(|| panic!("{command:?} did not end: {out}\n{err}"));
    Said { code, out, err }
}

fn temporary() -> File {
    tempfile::tempfile().expect("a temporary file")
}

fn text(mut file: File) -> String {
    use std::io::{Read as _, Seek as _};
    file.rewind().expect("a file can be read again");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("reads");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn wait(child: &mut Child, limit: Duration) -> Option<i32> {
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("a child can be asked") {
            return Some(status.code().unwrap_or(-1));
        }
        if Instant::now() > until {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

fn end(child: &mut Child) {
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child ends");
}

/// A `flow` that drives a run. Killed when it is dropped.
pub(crate) struct Driver {
    child: Child,
    log: PathBuf,
    from: usize,
}

impl Driver {
    /// Starts it; what it says is added to `log`.
    pub(crate) fn start(folder: &Path, log: &Path, args: &[&str]) -> Driver {
        let said = OpenOptions::new().append(true).create(true).open(log);
        let said = said.expect("the log can be written");
        let from = std::fs::read(log).expect("reads").len();
        let child = command(folder, args)
            .stdout(said.try_clone().expect("a file can be shared"))
            .stderr(said)
            .spawn()
            .expect("flow starts");
        Driver {
            child,
            log: log.to_owned(),
            from,
        }
    }

    /// What this process said so far.
    pub(crate) fn said(&self) -> String {
        let bytes = std::fs::read(&self.log).expect("reads");
        String::from_utf8_lossy(&bytes[self.from..]).into_owned()
    }

    /// Its exit code, when it has ended; -1 after a signal.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        wait(&mut self.child, Duration::ZERO)
    }

    /// `kill -9`. True when it was still running.
    pub(crate) fn kill(mut self) -> bool {
        let running = self.ended().is_none();
        if running {
            end(&mut self.child);
        }
        running
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.ended().is_none() {
            end(&mut self.child);
        }
    }
}
