//! Putting a commit back, exactly: the same branch at the same commit.

use std::time::Duration;

use flow_engine::step::{Cx, StepError};
use serde::{Deserialize, Serialize};

use super::{BUNDLE_WITHIN, CodeSnapshot};
use crate::means::git::Git;
use crate::means::host::{Command, Host};
use crate::means::reach;
use crate::means::reports::code::Snapshot;

/// How long installing packages may take; `npm ci` over a slow network took six minutes.
const INSTALL_WITHIN: Duration = Duration::from_mins(30);

/// What the undo found, kept so that a second life of it still knows.
#[derive(Serialize, Deserialize)]
struct Found {
    from: String,
}

pub(super) async fn revert(
    cx: &Cx,
    step: &CodeSnapshot,
    to: &Snapshot,
) -> Result<String, StepError> {
    let host = reach::host(cx, &step.host)?;
    let git = Git::new(&*host, &step.dir)?;
    if !reach::is_commit(&to.commit) {
        return Err(StepError::fail(format!("`{}` is no commit", to.commit)));
    }
    let from = if let Some(found) = cx.noted::<Found>()? {
        found.from
    } else {
        let from = git.head().await?;
        cx.note(&Found { from: from.clone() }).await?;
        from
    };
    free_index(&*host, &step.dir, cx.run_id().as_str()).await?;
    let mut report = String::new();
    if !git.has(&to.commit).await? {
        fetch(&*host, &git, to).await?;
        report.push_str("commit taken from the bundle; ");
    }
    // The branch that was checked out gets its commit back; one the release switched to keeps what it has.
    match &to.branch {
        Some(branch) => git.run(&["symbolic-ref", "HEAD", branch]).await?,
        None => {
            git.run(&["update-ref", "--no-deref", "HEAD", &to.commit])
                .await?
        }
    };
    git.run(&["reset", "--hard", "--quiet", &to.commit]).await?;
    let now = git.head().await?;
    if now != to.commit {
        return Err(StepError::fail(format!(
            "`{}:{}` is at {now} after the reset, not at {}",
            step.host, step.dir, to.commit
        )));
    }
    let (to_short, from_short) = (&to.commit[..12], &from[..12]);
    report = format!("{report}code at {to_short} (was {from_short})");
    report.push_str(&install(&*host, step, &from, &to.commit).await?);
    Ok(report)
}

/// A release script that was killed leaves git's lock behind, and every later git refuses to work. It is moved aside
/// only when no process has it open, now and two seconds later.
async fn free_index(host: &dyn Host, dir: &str, run: &str) -> Result<(), StepError> {
    let script = r#"
lock="$1/.git/index.lock"
[ -e "$lock" ] || exit 0
for look in 1 2; do
  sleep 2
  [ -e "$lock" ] || exit 0
  for fd in /proc/[0-9]*/fd/*; do
    if [ "$(readlink "$fd" 2>/dev/null)" = "$lock" ]; then
      echo "a process still has $lock open: $fd" >&2
      exit 1
    fi
  done
done
mv -f -- "$lock" "$lock.$2""#;
    reach::run(host, &Command::script(script).args(["sh", dir, run])).await?;
    Ok(())
}

async fn fetch(host: &dyn Host, git: &Git<'_>, to: &Snapshot) -> Result<(), StepError> {
    let sum = Command::script("sha256sum < \"$1\"")
        .args(["sh", &to.bundle])
        .deadline(BUNDLE_WITHIN);
    let sum = reach::run(host, &sum).await?;
    if !sum.starts_with(&to.sha256) {
        return Err(StepError::fail(format!(
            "commit {} is gone from the repository and its bundle {} has changed since it was made",
            to.commit, to.bundle
        )));
    }
    let fetch = git
        .command(&["fetch", "--quiet", &to.bundle, "HEAD"])
        .deadline(BUNDLE_WITHIN);
    reach::run(host, &fetch).await?;
    Ok(())
}

/// Installed packages, build output and generated clients must fit the code that was put back. Git does not know which
/// of them the release touched: they are ignored files, which a reset leaves as they are.
async fn install(
    host: &dyn Host,
    step: &CodeSnapshot,
    from: &str,
    to: &str,
) -> Result<String, StepError> {
    if from == to {
        return Ok(String::new());
    }
    let Some(install) = &step.install else {
        return Ok(
            "; WARNING: build output and generated clients were not rebuilt: configure `install`"
                .into(),
        );
    };
    let command = reach::command(install, &[])?
        .cwd(&step.dir)
        .deadline(INSTALL_WITHIN);
    reach::run(host, &command).await?;
    Ok(format!(
        "; installed and built again ({})",
        install.join(" ")
    ))
}
