//! `--since REV`: what the work tree has that the revision has not.

use flow_lint::migration::history::Fault;
use flow_lint::migration::{self, Level, RuleId};

use super::Compared;
use super::source::Source;
use crate::diagnostic::Diagnostic;

/// Compares the folder with the commit at which the work tree left the revision's line.
pub(super) fn compare(source: &Source, revision: &str) -> Result<Compared, Diagnostic> {
    if revision.starts_with('-') {
        return Err(Diagnostic::usage(format!("`{revision}` is no revision")));
    }
    let git = |args: &[&str]| git(source, revision, args);
    // A migration that arrived on the other line meanwhile was not removed here.
    let base = git(&["merge-base", revision, "HEAD"])?;
    let base = base.trim();
    let mut compared = Compared::default();
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

fn git(source: &Source, revision: &str, args: &[&str]) -> Result<String, Diagnostic> {
    let failed = |why: &str| {
        let what = format!("git cannot compare with `{revision}`: {}", why.trim());
        Diagnostic::usage(what).hint("in CI the history must be there: fetch-depth: 0")
    };
    let output = flow_lint::git::command()
        .arg("-C")
        .arg(&source.folder)
        .args(args)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .output();
    let output = output.map_err(|e| failed(&e.to_string()))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
