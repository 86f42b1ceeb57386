//! Where `schema.prisma` and `prisma.config` lie: in a commit, or beside a folder of migrations.

use std::path::{Path, PathBuf};

use flow_engine::step::StepError;

use super::Sides;
use super::external::{External, FILES};
use crate::host::{HostExt as _, Local};
use crate::migration::MAX_FILE;
use crate::reach;
use crate::schema::source::git;

/// Files of one schema; more is no schema's folder.
const MOST: usize = 500;

fn is_schema(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "prisma")
}

/// The schema that belongs to a folder of migrations in a work tree: `schema.prisma` beside it or one folder above, the
/// files of a folder `schema` there, or the only `.prisma` file. Nothing when there is none.
///
/// # Errors
/// A file that cannot be read, or is too large.
pub fn beside(migrations: &Path) -> std::io::Result<Option<Sides>> {
    let folder = migrations.canonicalize()?;
    for at in folder.ancestors().skip(1).take(2) {
        let files = candidates(at)?;
        if files.is_empty() {
            continue;
        }
        let mut sides = Sides::default();
        for path in files {
            if path.metadata()?.len() > MAX_FILE {
                return Err(std::io::Error::other(format!(
                    "{} is too large",
                    path.display()
                )));
            }
            let text = std::fs::read_to_string(&path)?;
            sides
                .files
                .push((path.to_string_lossy().into_owned(), text));
        }
        sides.external = external_beside(at)?;
        return Ok(Some(sides));
    }
    Ok(None)
}

/// What the nearest `prisma.config` leaves to others: in the folder, or up to two above it.
fn external_beside(at: &Path) -> std::io::Result<External> {
    let folders = at.ancestors().take(3);
    let mut all = folders.flat_map(|folder| FILES.map(|name| folder.join(name)));
    let Some(path) = all.find(|path| path.is_file()) else {
        return Ok(External::default());
    };
    if path.metadata()?.len() > MAX_FILE {
        let path = path.display();
        return Err(std::io::Error::other(format!("{path} is too large")));
    }
    let text = std::fs::read_to_string(&path)?;
    Ok(External::read(&path.to_string_lossy(), &text))
}

fn candidates(at: &Path) -> std::io::Result<Vec<PathBuf>> {
    let single = at.join("schema.prisma");
    if single.is_file() {
        return Ok(vec![single]);
    }
    let several = at.join("schema");
    if several.is_dir() {
        let mut files = Vec::new();
        collect(&several, 4, &mut files)?;
        if !files.is_empty() {
            files.sort();
            return Ok(files);
        }
    }
    let mut own = Vec::new();
    collect(at, 0, &mut own)?;
    Ok(if own.len() == 1 { own } else { Vec::new() })
}

/// Every schema file in a folder, and `depth` folders below it. Links are not followed.
fn collect(at: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(at)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 {
            collect(&entry.path(), depth - 1, files)?;
        } else if kind.is_file() && entry.file_name().to_str().is_some_and(is_schema) {
            files.push(entry.path());
        }
        if files.len() > MOST {
            return Err(std::io::Error::other(format!(
                "{} holds too many files",
                at.display()
            )));
        }
    }
    Ok(())
}

/// The schema of a commit: the file at `path`, or the files of the folder there; where there is neither, those of the folder
/// `schema` beside it. Nothing when the commit has none.
pub(super) async fn of_commit(repo: &str, commit: &str, path: &str) -> Result<Sides, StepError> {
    let path = path.trim_matches('/');
    let folder = path
        .strip_suffix("schema.prisma")
        .map(|parent| format!("{parent}schema"));
    for place in std::iter::once(path).chain(folder.as_deref()) {
        let mut sides = at(repo, commit, place).await?;
        if !sides.files.is_empty() {
            sides.external = external(repo, commit, path).await?;
            return Ok(sides);
        }
    }
    Ok(Sides::default())
}

async fn at(repo: &str, commit: &str, place: &str) -> Result<Sides, StepError> {
    let here = Local::new("this machine");
    let listed = git(
        repo,
        &[
            "ls-tree",
            "-r",
            "-z",
            "--full-tree",
            "--name-only",
            commit,
            "--",
            place,
        ],
    )?;
    let listed = reach::run(&here, &listed).await?;
    let mut names: Vec<&str> = listed.split('\0').filter(|name| is_schema(name)).collect();
    names.sort_unstable();
    if names.len() > MOST {
        return Err(StepError::fail(format!(
            "{place} of {commit} holds more than {MOST} files"
        )));
    }
    let mut sides = Sides::default();
    for name in names {
        let text = blob(repo, commit, name).await?;
        sides.files.push((name.to_owned(), text));
    }
    Ok(sides)
}

/// What the commit's nearest `prisma.config` leaves to others: above the schema, up to the top of the repository.
async fn external(repo: &str, commit: &str, schema: &str) -> Result<External, StepError> {
    let here = Local::new("this machine");
    let folders: Vec<&Path> = Path::new(schema).ancestors().skip(1).collect();
    for folder in folders {
        let names: Vec<String> = FILES
            .iter()
            .map(|name| folder.join(name).to_string_lossy().into_owned())
            .collect();
        let mut args = vec!["ls-tree", "-z", "--full-tree", "--name-only", commit, "--"];
        args.extend(names.iter().map(String::as_str));
        let listed = reach::run(&here, &git(repo, &args)?).await?;
        if let Some(name) = listed.split('\0').find(|name| !name.is_empty()) {
            let text = blob(repo, commit, name).await?;
            return Ok(External::read(name, &text));
        }
    }
    Ok(External::default())
}

/// A file of a commit; fails on one that is too large or no text.
async fn blob(repo: &str, commit: &str, name: &str) -> Result<String, StepError> {
    let here = Local::new("this machine");
    let blob = git(repo, &["cat-file", "blob", &format!("{commit}:{name}")])?;
    let blob = here.output(&blob).await.map_err(|e| reach::error(&e))?;
    let wrong = |why: &str| StepError::fail(format!("{name} of {commit} {why}"));
    if !blob.exit.success() {
        return Err(wrong("cannot be read"));
    }
    if u64::try_from(blob.stdout.len()).is_ok_and(|size| size > MAX_FILE) {
        return Err(wrong("is too large"));
    }
    String::from_utf8(blob.stdout).map_err(|_| wrong("is not UTF-8"))
}
