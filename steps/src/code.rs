//! The code on a host: kept before a release, put back after a failed one.

use std::time::Duration;

use async_trait::async_trait;
use flow_engine::plan::Effect;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::host::Host;
use crate::means::notes::has_begun;
use crate::means::reports::code::Snapshot;
use crate::means::{kinds, reach};

mod revert;

use crate::means::git::Git;

/// How long bundling or fetching a whole history may take. A repository of 1 GB took two minutes.
const BUNDLE_WITHIN: Duration = Duration::from_mins(15);

/// Keeps the code that is deployed now, as a git bundle; undone, puts that commit back.
///
/// Refuses a work tree with changed tracked files: a revert would destroy them. Untracked files are listed; a revert
/// leaves them alone. Run twice: the bundle is made anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeSnapshot {
    /// The host, by its configured name.
    pub host: String,
    /// The work tree on the host, absolute.
    pub dir: String,
    /// Where bundles are kept on the host, absolute; made when missing, for its owner only.
    pub backups: String,
    /// Untracked files and folders (as `git status` names them) that are expected and not worth a line.
    pub untracked: Vec<String>,
    /// The key of the deploying step: while it never started, the undo leaves the code alone.
    pub revert_if_started: String,
    /// The command, run in the work tree whenever a commit is put back, that makes installed packages, build output and
    /// generated clients fit it again.
    pub install: Option<Vec<String>>,
}

#[async_trait]
impl Step for CodeSnapshot {
    const KIND: &'static str = kinds::CODE;
    type Output = Snapshot;

    fn summary(&self) -> String {
        format!(
            "bundle the code in `{}:{}` into {}",
            self.host, self.dir, self.backups
        )
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("put that commit back".into())
    }

    fn policy(&self) -> Policy {
        Policy::within(3600)
    }

    async fn run(&self, cx: &Cx) -> Result<Snapshot, StepError> {
        let host = reach::host(cx, &self.host)?;
        let git = Git::new(&*host, &self.dir)?;
        let commit = git.head().await?;
        let branch = git.branch().await?;
        let untracked = self.clean(cx, &git).await?;
        for file in &untracked {
            cx.log(format!("untracked, and kept by a revert: {file}"));
        }
        let (bundle, sha256, bytes) = self.bundle(cx, &*host, &commit).await?;
        Ok(Snapshot {
            version: git.version(&commit).await?,
            commit,
            branch,
            bundle,
            sha256,
            bytes,
            untracked,
        })
    }

    async fn undo(&self, cx: &Cx, done: Option<Snapshot>) -> Result<String, StepError> {
        if !has_begun(cx.run(), &self.revert_if_started) {
            return Ok("the deploy never began: code left alone".into());
        }
        let before = done.ok_or_else(|| {
            StepError::fail(format!(
                "which commit `{}:{}` was at before the deploy was never recorded",
                self.host, self.dir
            ))
            .hint(format!(
                "reset it by hand to the commit that ran before, then give this undo up: flow skip {} {} --reason …",
                cx.run_id(),
                cx.key()
            ))
        })?;
        revert::revert(cx, self, &before).await
    }
}

impl CodeSnapshot {
    /// Refuses changed tracked files; answers the untracked ones that are not expected.
    async fn clean(&self, cx: &Cx, git: &Git<'_>) -> Result<Vec<String>, StepError> {
        let (changed, untracked) = git.status().await?;
        if !changed.is_empty() {
            let shown: Vec<&str> = changed.iter().take(10).map(String::as_str).collect();
            return Err(StepError::refuse(format!(
                "{} tracked files in `{}:{}` differ from their commit, and a rollback would destroy that: {}",
                changed.len(),
                self.host,
                self.dir,
                shown.join(", ")
            ))
            .hint(format!("look: git -C {} status; then commit, stash or restore them there", self.dir))
            .hint(format!("then: flow retry {}", cx.run_id())));
        }
        let expected = |f: &String| {
            self.untracked
                .iter()
                .any(|u| u.trim_end_matches('/') == f.trim_end_matches('/'))
        };
        Ok(untracked
            .into_iter()
            .filter(|f| !expected(f))
            .take(100)
            .collect())
    }

    /// Writes the bundle under its final name only when it is whole: bundled, verified by git, synced, renamed.
    async fn bundle(
        &self,
        cx: &Cx,
        host: &dyn Host,
        commit: &str,
    ) -> Result<(String, String, u64), StepError> {
        let backups = reach::absolute(&self.backups)?;
        let file = format!(
            "{}/code-{}-{}.bundle",
            backups.trim_end_matches('/'),
            cx.run_id(),
            &commit[..12]
        );
        let script = r#"
set -eu
umask 077
mkdir -p -- "$2"
part="$3.part"
git -c safe.directory="$1" -C "$1" bundle create --quiet "$part" HEAD >&2
git -c safe.directory="$1" -C "$1" bundle verify --quiet "$part" >&2
sync -- "$part" 2>/dev/null || sync
mv -f -- "$part" "$3"
sync -- "$2" 2>/dev/null || sync
sum=$(sha256sum < "$3")
echo "${sum%% *} $(wc -c < "$3")""#;
        let command = crate::means::host::Command::script(script)
            .args(["sh", &self.dir, backups, &file])
            .deadline(BUNDLE_WITHIN);
        let answer = reach::run(host, &command).await?;
        let mut words = answer.split_whitespace();
        match (words.next(), words.next().and_then(|n| n.parse().ok())) {
            (Some(sha256), Some(bytes)) if sha256.len() == 64 => {
                Ok((file, sha256.to_owned(), bytes))
            }
            _ => Err(StepError::fail(format!("the host gave no sum for {file}"))),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
