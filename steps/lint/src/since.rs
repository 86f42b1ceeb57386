//! `--since REV`: what the work tree has that the revision has not.

use crate::baseline::Baseline;
use crate::git;
use crate::migration::history::Fault;
use crate::migration::{self, Level, RuleId};
use crate::source::Source;

/// Why a work tree cannot be compared with a revision.
#[derive(Debug, thiserror::Error)]
pub enum SinceError {
    /// It begins with `-` and would be an option of git.
    #[error("`{0}` is no revision")]
    NoRevision(String),
    /// git does not run.
    #[error("git cannot be run to compare with `{revision}`")]
    NoGit {
        /// As it was named.
        revision: String,
        /// What the operating system said when `git` was to start.
        source: std::io::Error,
    },
    /// git refuses: most often the revision or the history behind it is not here.
    #[error("git cannot compare with `{revision}`: {said}")]
    Refused {
        /// As it was named.
        revision: String,
        /// What git wrote to its error output.
        said: String,
    },
}

/// Compares the folder with the commit at which the work tree left the revision's line.
pub fn compare(source: &Source, revision: &str) -> Result<Baseline, SinceError> {
    if revision.starts_with('-') {
        return Err(SinceError::NoRevision(revision.to_owned()));
    }
    let git = |args: &[&str]| ask(source, revision, args);
    // A migration that arrived on the other line meanwhile was not removed here.
    let base = git(&["merge-base", revision, "HEAD"])?;
    let base = base.trim();
    let mut compared = Baseline::default();
    let fault = |migration, message| Fault {
        migration,
        message,
        level: Level::Error,
        fix: migration::explain(RuleId::EditedMigration).fix.to_owned(),
    };
    let listed = git(&[
        "diff",
        "--name-status",
        "--no-renames",
        "--relative",
        "-z",
        base,
        "--",
        ".",
    ])?;
    let mut fields = listed.split('\0');
    while let (Some(state), Some(path)) = (fields.next(), fields.next()) {
        let Some(name) = migration_of(path) else {
            continue;
        };
        match state {
            "A" => {
                compared.new.insert(name);
            }
            "D" => compared.faults.push(fault(
                name,
                format!("this migration was there at {revision} and is removed: databases that applied it have it still"),
            )),
            _ => compared.faults.push(fault(
                name,
                format!("this migration was there at {revision} and is changed: databases that applied it keep the old effect"),
            )),
        }
    }
    let untracked = git(&[
        "ls-files",
        "--others",
        "--exclude-standard",
        "-z",
        "--",
        ".",
    ])?;
    compared
        .new
        .extend(untracked.split('\0').filter_map(migration_of));
    let there = source.names();
    compared.new.retain(|name| there.contains(name));
    Ok(compared)
}

/// The migration a file is; other files beside it are none of ours.
fn migration_of(path: &str) -> Option<String> {
    let file = std::path::Path::new(path);
    let sql = file
        .extension()
        .is_some_and(|ext| ext.eq_ignore_ascii_case("sql"));
    match path.split_once('/') {
        Some((name, "migration.sql")) => Some(name.to_owned()),
        None if sql => Some(path.to_owned()),
        _ => None,
    }
}

fn ask(source: &Source, revision: &str, args: &[&str]) -> Result<String, SinceError> {
    let revision = revision.to_owned();
    let output = git::command()
        .arg("-C")
        .arg(&source.folder)
        .args(args)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .output();
    match output {
        Err(source) => Err(SinceError::NoGit { revision, source }),
        Ok(output) if !output.status.success() => Err(SinceError::Refused {
            revision,
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
        Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
    }
}
