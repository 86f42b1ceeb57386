//! Commands as people would type them, run as processes of their own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::failed;
use crate::diagnostic::Diagnostic;
use crate::view;

/// The longest a command that does not drive may take.
const LIMIT: Duration = Duration::from_mins(1);
/// How long the last words of a command that ended are waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The terminals of the demo.
#[derive(Debug, Clone)]
pub(super) struct Terminals {
    exe: PathBuf,
    project: PathBuf,
}

/// What a command that ended had to say.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Terminals {
    pub(super) fn new(project: &Path) -> Result<Terminals, Diagnostic> {
        let exe =
            std::env::current_exe().map_err(|e| failed("this program cannot be found", &e))?;
        Ok(Terminals {
            exe,
            project: project.to_owned(),
        })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.exe);
        command
            .args(args)
            .current_dir(&self.project)
            .env_remove("FLOW_STATE")
            .env_remove("FLOW_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end, without showing it.
    pub(super) async fn quietly(&self, args: &[&str]) -> Result<Ending, Diagnostic> {
        let output = tokio::time::timeout(LIMIT, self.command(args).output()).await;
        let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
        let output = output
            .unwrap_or(Err(late))
            .map_err(|e| failed("a command of the demo", &e))?;
        Ok(Ending {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a command to its end as somebody in another terminal.
    pub(super) async fn somebody(&self, who: &str, args: &[&str]) -> Result<Ending, Diagnostic> {
        view::out(&format!(
            "\n[another terminal, {who}, played by the demo]\n$ flow {}\n",
            line(args)
        ));
        let said = self.quietly(args).await?;
        if said.code != 0 {
            view::out(&said.err);
        }
        Ok(said)
    }

    /// Starts a command that drives; its output is shown as it comes.
    pub(super) fn drive(&self, args: &[&str]) -> Result<Driving, Diagnostic> {
        view::out(&format!("\n$ flow {}\n", line(args)));
        let mut child = self
            .command(args)
            .spawn()
            .map_err(|e| failed("flow cannot be started", &e))?;
        let out = child.stdout.take().map(|stream| tokio::spawn(show(stream)));
        let err = child.stderr.take().map(|stream| tokio::spawn(show(stream)));
        Ok(Driving {
            child,
            shown: out.into_iter().chain(err).collect(),
        })
    }
}

/// A command that drives.
pub(super) struct Driving {
    /// The `flow` that plays a part of the demo.
    pub(super) child: Child,
    shown: Vec<JoinHandle<()>>,
}

impl Driving {
    /// Ends when everything it said is shown: its last words come through the pipe after it has ended. Something that
    /// it left behind may hold the pipe, so this is bounded.
    pub(super) async fn shown(&mut self) {
        for shown in self.shown.drain(..) {
            let _it_goes_on_beside = tokio::time::timeout(LAST_WORDS, shown).await;
        }
    }
}

async fn show(stream: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        view::out(&format!("  {}\n", view::clean(&line)));
    }
}

fn line(args: &[&str]) -> String {
    let quoted = args.iter().map(|arg| {
        if arg.contains(' ') {
            format!("'{arg}'")
        } else {
            (*arg).to_owned()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn everything_a_driver_said_is_shown_when_it_has_ended() {
        let terminals = Terminals {
            exe: "/bin/sh".into(),
            project: "/".into(),
        };
        let many = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done";
        let mut driver = terminals.drive(&["-c", many]).expect("starts");
        let ended = driver.child.wait().await.expect("ends");
        assert!(ended.success());
        let readers: Vec<_> = driver.shown.iter().map(JoinHandle::abort_handle).collect();
        driver.shown().await;
        assert_eq!(readers.len(), 2);
        assert!(readers.iter().all(tokio::task::AbortHandle::is_finished));
    }
}
