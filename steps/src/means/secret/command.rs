//! A secret that a program prints: `op`, `vault`, `sops`.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::means::secret::{LONGEST, SecretError};

/// The longest such a program may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// One more than the longest value with its line end: more than that is no secret.
const BOUND: u64 = LONGEST as u64 + 3;
/// What a shell would act on. None runs here, so whoever writes it means something else.
const SHELL: &[char] = &[
    '\'', '"', '\\', '$', '`', '|', '&', ';', '<', '>', '\n', '\r', '\0',
];

/// A program that prints one secret, and the folder it runs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretCommand {
    /// The folder it starts in; nothing means that of this process.
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
    /// The program and its arguments. No shell reads them.
    run: Vec<String>,
}

impl SecretCommand {
    /// Reads what stands behind `command:`: words apart by blanks, a JSON list of words, or what [`SecretCommand::name`]
    /// wrote.
    ///
    /// # Errors
    /// [`SecretError::Words`]: no program, a character that only a shell would understand, or a list that is no JSON.
    pub fn parse(text: &str) -> Result<SecretCommand, SecretError> {
        let text = text.trim();
        let not_json = |_| SecretError::Words("is not a JSON list of words".into());
        let command = if text.starts_with('{') {
            serde_json::from_str(text).map_err(not_json)?
        } else if text.starts_with('[') {
            SecretCommand {
                folder: None,
                run: serde_json::from_str(text).map_err(not_json)?,
            }
        } else {
            if let Some(odd) = text.chars().find(|c| SHELL.contains(c)) {
                return Err(SecretError::Words(format!(
                    "has `{}`, but no shell reads it",
                    odd.escape_debug()
                )));
            }
            SecretCommand {
                folder: None,
                run: text.split_whitespace().map(str::to_owned).collect(),
            }
        };
        let nul = command.run.iter().any(|word| word.contains('\0'));
        match command.run.first() {
            Some(program) if !program.is_empty() && !program.starts_with('~') && !nul => {
                Ok(command)
            }
            _ => Err(SecretError::Words("names no program".into())),
        }
    }

    /// The same program, started in that folder unless it has one already.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> SecretCommand {
        let here = folder.to_string_lossy().into_owned();
        if self.folder.is_none() && !here.is_empty() {
            self.folder = Some(here);
        }
        self
    }

    /// The name of the secret, which [`SecretCommand::parse`] reads: `command:{"in":"/srv","run":["op","read","…"]}`.
    pub fn name(&self) -> String {
        let text = serde_json::json!(self);
        format!("command:{text}")
    }

    /// What people are shown of it: the program without its arguments.
    pub(super) fn program(&self) -> &str {
        self.run.first().map_or("", String::as_str)
    }

    /// What the program prints, at most [`BOUND`] bytes of it. Its standard error is read by nobody.
    ///
    /// # Errors
    /// [`SecretError::Command`]: it cannot be started, did not end within `limit`, printed too much, or ended badly. It is
    /// ended, with everything it started in its process group.
    pub(super) fn output(&self, limit: Duration) -> Result<Vec<u8>, SecretError> {
        let failed = |why: String| SecretError::Command {
            program: self.program().to_owned(),
            why,
        };
        let mut child = self.start().map_err(|e| failed(e.to_string()))?;
        let group = Pid::from_child(&child);
        let stdout = child.stdout.take();
        let printed = in_background(move || {
            let mut bytes = Vec::new();
            let stdout = stdout.ok_or_else(|| std::io::Error::other("no output"))?;
            stdout.take(BOUND).read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(bytes)
        });
        let bytes = printed.recv_timeout(limit);
        let is_whole = matches!(&bytes, Ok(Ok(bytes)) if (bytes.len() as u64) < BOUND);
        // Nobody has waited for it yet, so the number still is its own. Its group may have ended by itself.
        let end = || {
            let _gone = kill_process_group(group, Signal::KILL);
        };
        if !is_whole {
            end();
        }
        let ended = in_background(move || child.wait());
        let status = if let Ok(status) = ended.recv_timeout(limit) {
            Some(status.map_err(|e| failed(e.to_string()))?)
        } else {
            end();
            None
        };
        let late = || failed(format!("it did not end within {} s", limit.as_secs()));
        let bytes = bytes.map_err(|_| late())?;
        let bytes = bytes.map_err(|e| failed(e.to_string()))?;
        if !is_whole {
            return Err(failed(format!("it printed more than {LONGEST} bytes")));
        }
        match status {
            None => Err(late()),
            Some(status) if !status.success() => Err(failed(format!(
                "{status}; what it said is not shown here: run it by hand"
            ))),
            Some(_) => Ok(bytes),
        }
    }

    fn start(&self) -> std::io::Result<Child> {
        let mut command = Command::new(self.program());
        command.args(self.run.iter().skip(1));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
    }
}

/// The result of a call that may block, when there is one.
fn in_background<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> mpsc::Receiver<T> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody may wait any more.
        let _unheard = send.send(call());
    });
    receive
}

#[cfg(test)]
mod tests;
