//! Looking at a work tree on a host.

use flow_engine::step::StepError;

use crate::means::host::{Command, Exit, Host, HostExt as _};
use crate::means::reach;

pub(crate) mod commit;

/// A work tree. Every call names it as safe: it may belong to another user than the one who logs in.
pub(crate) struct Git<'a> {
    host: &'a dyn Host,
    dir: &'a str,
}

impl<'a> Git<'a> {
    pub(crate) fn new(host: &'a dyn Host, dir: &'a str) -> Result<Self, StepError> {
        Ok(Git {
            host,
            dir: reach::absolute(dir)?,
        })
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        Command::new("git")
            .args([
                "-c",
                &format!("safe.directory={}", self.dir),
                "-C",
                self.dir,
            ])
            .args(args.iter().copied())
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("LC_ALL", "C")
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Result<String, StepError> {
        reach::run(self.host, &self.command(args)).await
    }

    /// Whether a command that answers by its status says yes.
    pub(crate) async fn says(&self, args: &[&str]) -> Result<bool, StepError> {
        let command = self.command(args);
        let output = self
            .host
            .output(&command)
            .await
            .map_err(|e| reach::error(&e))?;
        match output.exit {
            Exit::Code(0) => Ok(true),
            Exit::Code(1) => Ok(false),
            other => Err(StepError::fail(format!(
                "`git {}` in {} {}: {}",
                args.first().copied().unwrap_or_default(),
                self.dir,
                other.in_words(),
                String::from_utf8_lossy(&output.stderr).trim()
            ))),
        }
    }

    pub(crate) async fn head(&self) -> Result<String, StepError> {
        let commit = self
            .run(&["rev-parse", "--verify", "HEAD^{commit}"])
            .await?;
        if reach::is_commit(&commit) {
            Ok(commit)
        } else {
            Err(StepError::fail(format!(
                "`git rev-parse HEAD` in {} gave no commit",
                self.dir
            )))
        }
    }

    pub(crate) async fn branch(&self) -> Result<Option<String>, StepError> {
        if self.says(&["symbolic-ref", "--quiet", "HEAD"]).await? {
            Ok(Some(self.run(&["symbolic-ref", "HEAD"]).await?))
        } else {
            Ok(None)
        }
    }

    /// Changed tracked files, and untracked ones that are not ignored.
    pub(crate) async fn status(&self) -> Result<(Vec<String>, Vec<String>), StepError> {
        let args = [
            "status",
            "--porcelain=v1",
            "-z",
            "--no-renames",
            "--untracked-files=normal",
        ];
        let output = self
            .host
            .output(&self.command(&args))
            .await
            .map_err(|e| reach::error(&e))?;
        if !output.exit.success() {
            return Err(StepError::fail(format!(
                "`git status` in {} {}: {}",
                self.dir,
                output.exit.in_words(),
                String::from_utf8_lossy(&output.stderr).trim()
            )));
        }
        Ok(parse_status(&String::from_utf8_lossy(&output.stdout)))
    }

    pub(crate) async fn has(&self, commit: &str) -> Result<bool, StepError> {
        let object = format!("{commit}^{{commit}}");
        let command = self.command(&["cat-file", "-e", &object]);
        let output = self
            .host
            .output(&command)
            .await
            .map_err(|e| reach::error(&e))?;
        Ok(output.exit.success())
    }

    /// The version in `package.json` of a commit.
    pub(crate) async fn version(&self, commit: &str) -> Result<Option<String>, StepError> {
        let command = self.command(&["show", &format!("{commit}:package.json")]);
        let output = self
            .host
            .output(&command)
            .await
            .map_err(|e| reach::error(&e))?;
        if !output.exit.success() {
            return Ok(None);
        }
        let json: Option<serde_json::Value> = serde_json::from_slice(&output.stdout).ok();
        let version = json
            .as_ref()
            .and_then(|j| j.get("version"))
            .and_then(|v| v.as_str());
        Ok(version.map(str::to_owned))
    }
}

/// The commit that a work tree on a host is at.
pub(crate) async fn head(host: &dyn Host, dir: &str) -> Result<String, StepError> {
    Git::new(host, dir)?.head().await
}

fn parse_status(text: &str) -> (Vec<String>, Vec<String>) {
    let mut changed = Vec::new();
    let mut untracked = Vec::new();
    for entry in text.split('\0').filter(|e| e.len() > 3) {
        let (state, file) = entry.split_at(3);
        if state == "?? " {
            untracked.push(file.to_owned());
        } else {
            changed.push(file.to_owned());
        }
    }
    (changed, untracked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_and_line_breaks_are_taken_as_they_are() {
        let (changed, untracked) = parse_status(" M a b\0?? c\nd\0D  e\0");
        assert_eq!(changed, ["a b", "e"]);
        assert_eq!(untracked, ["c\nd"]);
    }
}
