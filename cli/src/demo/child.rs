//! Commands as people would type them, run as processes of their own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use super::failed;
use crate::diagnostic::Diagnostic;
use crate::view;

/// The longest a command that does not drive may take.
const LIMIT: Duration = Duration::from_mins(1);

/// The terminals of the demo.
#[derive(Debug, Clone)]
pub(super) struct Terminals {
    exe: PathBuf,
    project: PathBuf,
}

/// What a command that ended had to say.
#[derive(Debug)]
pub(super) struct Said {
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
    pub(super) async fn quietly(&self, args: &[&str]) -> Result<Said, Diagnostic> {
        let output = tokio::time::timeout(LIMIT, self.command(args).output()).await;
        let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
        let output = output
            .unwrap_or(Err(late))
            .map_err(|e| failed("a command of the demo", &e))?;
        Ok(Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a command to its end as somebody in another terminal.
    pub(super) async fn somebody(&self, who: &str, args: &[&str]) -> Result<Said, Diagnostic> {
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
    pub(super) fn drive(&self, args: &[&str]) -> Result<Child, Diagnostic> {
        view::out(&format!("\n$ flow {}\n", line(args)));
        let mut child = self
            .command(args)
            .spawn()
            .map_err(|e| failed("flow cannot be started", &e))?;
        for stream in [
            child
                .stdout
                .take()
                .map(|s| Box::new(s) as Box<dyn AsyncRead + Send + Unpin>),
            child
                .stderr
                .take()
                .map(|s| Box::new(s) as Box<dyn AsyncRead + Send + Unpin>),
        ]
        .into_iter()
        .flatten()
        {
            tokio::spawn(async move {
                let mut lines = BufReader::new(stream).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    view::out(&format!("  {}\n", view::clean(&line)));
                }
            });
        }
        Ok(child)
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
