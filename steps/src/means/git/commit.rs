//! The migrations as a commit has them, whatever the work tree looks like.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use flow_engine::step::StepError;

use crate::means::host::{Command, HostExt as _, Local, Output};
use crate::means::reach;
use flow_lint::git::SETTINGS;
use flow_lint::migration::{MAX_FILE, Migration, from_pairs};

/// git in a repository on this machine, with [`SETTINGS`]; what this process inherited is [taken away](crate::means::host::Local).
pub(crate) fn git(repo: &str, args: &[&str]) -> Result<Command, StepError> {
    let repo = reach::absolute(repo)?;
    let git = Command::new("git")
        .args([
            "-c",
            &format!("safe.directory={repo}"),
            "-C",
            repo,
            "--literal-pathspecs",
        ])
        .args(args.iter().copied());
    Ok(SETTINGS
        .iter()
        .fold(git, |git, (name, value)| git.env(*name, *value)))
}

/// Every `<folder>/<name>/migration.sql` of a commit.
///
/// Fails when the commit or the folder is not there, on links, and on what is no text.
pub(crate) async fn read(
    repo: &str,
    commit: &str,
    folder: &str,
) -> Result<Vec<Migration>, StepError> {
    let here = Local::new("this machine");
    let folder = folder.trim_matches('/');
    let tree = git(
        repo,
        &[
            "ls-tree",
            "-r",
            "-z",
            "-l",
            "--full-tree",
            commit,
            "--",
            &format!("{folder}/"),
        ],
    )?;
    let output = here.output(&tree).await.map_err(|e| reach::error(&e))?;
    if !output.exit.success() {
        return Err(StepError::fail(format!(
            "commit {commit} cannot be read in {repo}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))
        .hint("fetch it there, then retry"));
    }
    let listing = String::from_utf8(output.stdout)
        .map_err(|_| StepError::fail(format!("{folder} holds a name that is no UTF-8")))?;
    refuse_empty_folders(&listing, folder)?;
    let mut pairs = Vec::new();
    for entry in parse(&listing, folder)? {
        // By this spelling git compares the bytes with the name before it gives them out.
        let checked = format!("{}^{{blob}}", entry.object);
        let blob = git(repo, &["cat-file", "blob", &checked])?;
        let blob = here.output(&blob).await.map_err(|e| reach::error(&e))?;
        if !blob.exit.success() {
            return Err(StepError::fail(format!(
                "{}/migration.sql cannot be read from {repo}",
                entry.name
            )));
        }
        let sql = String::from_utf8(blob.stdout)
            .map_err(|_| StepError::fail(format!("{}/migration.sql is not UTF-8", entry.name)))?;
        pairs.push((entry.name.to_owned(), sql));
    }
    if pairs.is_empty() {
        return Err(
            StepError::fail(format!("commit {commit} has no migration in {folder}"))
                .hint("correct the path of the migrations in the configuration"),
        );
    }
    from_pairs(pairs).map_err(|e| StepError::fail(e.to_string()))
}

/// One file of a commit. Fails when it is not there, is a folder, is too large or is no text.
pub(crate) async fn file(repo: &str, commit: &str, path: &str) -> Result<String, StepError> {
    let here = Local::new("this machine");
    let wrong = |why: &str| StepError::fail(format!("{path} of commit {commit} {why}"));
    let blob = git(repo, &["cat-file", "blob", &format!("{commit}:{path}")])?;
    let blob = here.output(&blob).await.map_err(|e| reach::error(&e))?;
    if !blob.exit.success() {
        return Err(wrong(
            "cannot be read; correct its path in the configuration",
        ));
    }
    if u64::try_from(blob.stdout.len()).is_ok_and(|size| size > MAX_FILE) {
        return Err(wrong("is too large"));
    }
    String::from_utf8(blob.stdout).map_err(|_| wrong("is not UTF-8"))
}

/// Every folder in the migrations is one for Prisma, whatever its name: without its file `migrate deploy` ends with P3015.
fn refuse_empty_folders(listing: &str, folder: &str) -> Result<(), StepError> {
    let inside = listing.split('\0').filter_map(|line| {
        let (_, path) = line.split_once('\t')?;
        path.strip_prefix(folder)?
            .strip_prefix('/')?
            .split_once('/')
    });
    let (mut all, mut whole) = (BTreeSet::new(), BTreeSet::new());
    for (name, rest) in inside {
        all.insert(name);
        if rest == "migration.sql" {
            whole.insert(name);
        }
    }
    let empty: Vec<&str> = all.difference(&whole).copied().collect();
    // A folder without a single one holds no migrations at all; that is said elsewhere.
    if empty.is_empty() || whole.is_empty() {
        return Ok(());
    }
    let named = empty.iter().take(5).copied().collect::<Vec<_>>().join(", ");
    Err(StepError::fail(format!(
        "{} in {folder} without a migration.sql: {named}. `migrate deploy` refuses the whole folder (P3015)",
        match empty.len() {
            1 => "a folder".to_owned(),
            n => format!("{n} folders"),
        }
    ))
    .hint(format!(
        "delete it, or move it out of {folder}, and commit that: git rm -r '{folder}/{}'",
        empty.first().unwrap_or(&"NAME")
    )))
}

struct Entry<'a> {
    name: &'a str,
    object: &'a str,
}

fn parse<'a>(listing: &'a str, folder: &str) -> Result<Vec<Entry<'a>>, StepError> {
    let mut entries = Vec::new();
    for line in listing.split('\0').filter(|l| !l.is_empty()) {
        let odd = || {
            StepError::fail(format!(
                "`git ls-tree` gave a line that is none: {}",
                line.escape_debug()
            ))
        };
        let (head, path) = line.split_once('\t').ok_or_else(odd)?;
        let inside = path
            .strip_prefix(folder)
            .and_then(|p| p.strip_prefix('/'))
            .ok_or_else(odd)?;
        let Some((name, "migration.sql")) = inside.split_once('/') else {
            continue;
        };
        let mut words = head.split_ascii_whitespace();
        let (mode, kind, object, size) = (words.next(), words.next(), words.next(), words.next());
        if !matches!(mode, Some("100644" | "100755")) || kind != Some("blob") {
            return Err(StepError::fail(format!(
                "{path} is no regular file; put the migration itself there"
            )));
        }
        let size: u64 = size.and_then(|s| s.parse().ok()).ok_or_else(odd)?;
        if size > MAX_FILE {
            return Err(StepError::fail(format!(
                "{path} is larger than {MAX_FILE} bytes; split the migration"
            )));
        }
        entries.push(Entry {
            name,
            object: object.ok_or_else(odd)?,
        });
    }
    Ok(entries)
}

/// How long the project's own check may take.
const SCRIPT_WITHIN: Duration = Duration::from_mins(10);

/// Puts the files of a commit into a folder that is there, as a checkout has them. Not by `git archive`: the commit's own
/// `.gitattributes` can leave files out of an archive, and what is left out is not looked at.
///
/// Returns the paths of submodules, which are empty folders there.
pub(crate) async fn unpack(repo: &str, commit: &str, into: &str) -> Result<Vec<String>, StepError> {
    let here = Local::new("this machine");
    let index = format!("{into}/.flow.index");
    let tree = ["--work-tree", into];
    for args in [
        &["read-tree", commit][..],
        &["checkout-index", "--all", "--force", "--quiet"],
    ] {
        let command = git(repo, &[&tree[..], args].concat())?;
        let command = command.env("GIT_INDEX_FILE", &index);
        reach::run(&here, &command.deadline(SCRIPT_WITHIN)).await?;
    }
    std::fs::remove_file(&index)
        .map_err(|e| StepError::fail(format!("{index} cannot be removed")).because(&e))?;
    let listing = git(repo, &["ls-tree", "-r", "-z", "--full-tree", commit])?;
    let listing = here.output(&listing).await.map_err(|e| reach::error(&e))?;
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    let mut submodules = Vec::new();
    for line in listing.split('\0').filter(|line| !line.is_empty()) {
        let (head, path) = line.split_once('\t').unwrap_or(("", line));
        let there = std::fs::symlink_metadata(format!("{into}/{path}")).is_ok();
        if head.starts_with("160000 ") {
            submodules.push(path.to_owned());
        } else if !there {
            return Err(StepError::fail(format!(
                "{path} of commit {commit} did not get into the copy that is checked"
            )));
        }
    }
    Ok(submodules)
}

/// Runs a command in a copy of the commit: the work tree may be at another one. The folder is of a name that nobody can
/// prepare, closed to others, and removed however this ends, also when nobody waits for it any more.
pub(crate) async fn run_in_copy(
    repo: &str,
    commit: &str,
    script: &[String],
) -> Result<Output, StepError> {
    let here = Local::new("this machine");
    let copy = tempfile::Builder::new()
        .prefix("flow-check-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .map_err(|e| StepError::fail("no folder for a copy of the code").because(&e))?;
    let text = copy.path().to_string_lossy().into_owned();
    unpack(repo, commit, &text).await?;
    let command = reach::command(script, &[])?
        .cwd(&text)
        .deadline(SCRIPT_WITHIN);
    here.output(&command)
        .await
        .map_err(|e| StepError::fail(e.to_string()))
}
