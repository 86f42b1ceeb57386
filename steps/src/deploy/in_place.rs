//! Which commit is in place on a host.

use async_trait::async_trait;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::host::{Command, Host, HostError, HostExt as _};
use crate::means::reach;

/// The commit that was released is still in place: what people looked at is what goes on to production.
///
/// While this run holds the lease of the host the question is asked only under it: whoever took the lease meanwhile may
/// have deployed something else. Reads only; twice is once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InPlace {
    /// The host, by its configured name.
    pub host: String,
    /// The folder of the application, absolute.
    pub cwd: String,
    /// The full commit that must be there.
    pub commit: String,
    /// As in [`Deploy`](super::Deploy).
    pub verify: Option<Vec<String>>,
}

impl InPlace {
    /// What is wrong with the commit that is in place now, in words; nothing when it is the right one.
    pub(super) async fn wrong(&self, host: &dyn Host) -> Result<Option<String>, StepError> {
        let command = match &self.verify {
            Some(words) => reach::command(words, &[])?.cwd(&self.cwd),
            None => head(&self.cwd),
        };
        match host.run(&command).await {
            Ok(found) if found == self.commit => Ok(None),
            Ok(found) => Ok(Some(format!(
                "HEAD is {}, not {}",
                found.chars().take(80).collect::<String>(),
                self.commit
            ))),
            Err(e @ (HostError::Failed { .. } | HostError::Spawn { .. })) => {
                let why = if self.verify.is_some() {
                    "the command that tells which commit is in place failed".to_owned()
                } else {
                    format!(
                        "{} is no git checkout: name a command that prints the commit in place (`verify`)",
                        self.cwd
                    )
                };
                Ok(Some(format!("what is in place is not known; {why}: {e}")))
            }
            Err(e) => Err(reach::error(&e)),
        }
    }
}

/// Asks for the commit in place. The checkout may belong to another user than the one who logs in.
pub(super) fn head(cwd: &str) -> Command {
    Command::new("git")
        .args(["-c", &format!("safe.directory={cwd}"), "-C", cwd])
        .args(["rev-parse", "--verify", "HEAD^{commit}"])
}

#[async_trait]
impl Step for InPlace {
    const KIND: &'static str = "deploy.in-place";
    type Output = String;

    fn summary(&self) -> String {
        let commit: String = self.commit.chars().take(12).collect();
        format!("{commit} is still in place on `{}`", self.host)
    }

    async fn run(&self, cx: &Cx) -> Result<String, StepError> {
        let host = reach::host(cx, &self.host)?;
        match self.wrong(&*host).await? {
            None => Ok(self.commit.clone()),
            Some(wrong) => Err(StepError::fail(format!(
                "on `{}` {wrong}: somebody deployed there while it was being verified, so this commit was not",
                self.host
            ))
            .hint(format!(
                "find out who, then begin again: flow cancel {} --reason …, flow start",
                cx.run_id()
            ))),
        }
    }
}
