//! The two versions of the code, each in a folder of its own for as long as it is looked at.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flow_engine::step::{Cx, StepError};

use crate::means::git::{commit, head};
use crate::means::host::{HostExt as _, Local};
use crate::means::reach;
use flow_lint::code::schema::Schema;

/// The most files of a commit that are looked at.
const MOST_FILES: usize = 50_000;

/// The files of a commit. They are removed with it.
pub(super) struct Checkout {
    pub(super) commit: String,
    /// What is code of another repository, and not here.
    pub(super) submodules: Vec<String>,
    folder: tempfile::TempDir,
}

impl Checkout {
    pub(super) async fn of(repo: &str, commit: &str) -> Result<Checkout, StepError> {
        let private = tempfile::Builder::new()
            .prefix("flow-code-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        let folder =
            private.map_err(|e| StepError::fail("no folder for a copy of the code").because(&e))?;
        let submodules = commit::unpack(repo, commit, &folder.path().to_string_lossy()).await?;
        Ok(Checkout {
            submodules,
            commit: commit.to_owned(),
            folder,
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Every regular file, relative to the root and in order; links are not followed.
    ///
    /// Fails when there are more than [`MOST_FILES`]: a part of them would pass for all.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, StepError> {
        let io =
            |e: std::io::Error| StepError::fail("a copy of the code cannot be read").because(&e);
        let (mut open, mut files) = (vec![PathBuf::new()], Vec::new());
        while let Some(folder) = open.pop() {
            for item in std::fs::read_dir(self.path().join(&folder)).map_err(io)? {
                let item = item.map_err(io)?;
                let (path, kind) = (folder.join(item.file_name()), item.file_type().map_err(io)?);
                if kind.is_dir() && item.file_name() != "node_modules" {
                    open.push(path);
                } else if kind.is_file() {
                    files.push(path);
                }
            }
            if files.len() > MOST_FILES {
                return Err(StepError::fail(format!(
                    "commit {} has more than {MOST_FILES} files; that many cannot be looked at",
                    self.commit
                )));
            }
        }
        files.sort();
        Ok(files)
    }
}

/// The commit that runs now, which must be known here too.
pub(super) async fn deployed(
    cx: &Cx,
    repo: &str,
    host: &str,
    dir: &str,
) -> Result<String, StepError> {
    let there = reach::host(cx, host)?;
    let commit = head(&*there, dir).await?;
    let here = Local::new("this machine");
    let named = format!("{commit}^{{commit}}");
    let known = commit::git(repo, &["cat-file", "-e", &named])?;
    let known = here.output(&known).await.map_err(|e| reach::error(&e))?;
    if known.exit.success() {
        return Ok(commit);
    }
    Err(StepError::fail(format!(
        "`{host}` runs commit {commit}, which {repo} does not have, so it cannot be checked against the new schema"
    ))
    .hint(format!("fetch it there (git -C {repo} fetch), then retry")))
}

/// A commit's `schema.prisma`, as text; nothing when the commit has none there.
pub(super) async fn schema_text(
    repo: &str,
    commit: &str,
    path: &str,
) -> Result<Option<String>, StepError> {
    let here = Local::new("this machine");
    let path = path.trim_matches('/');
    let listed = commit::git(repo, &["ls-tree", "-z", "--full-tree", commit, "--", path])?;
    if reach::run(&here, &listed).await?.is_empty() {
        return Ok(None);
    }
    let blob = commit::git(repo, &["cat-file", "blob", &format!("{commit}:{path}")])?;
    let blob = here.output(&blob).await.map_err(|e| reach::error(&e))?;
    if !blob.exit.success() {
        return Err(StepError::fail(format!(
            "{path} of {commit} cannot be read from {repo}"
        )));
    }
    let text = String::from_utf8(blob.stdout);
    let text = text.map_err(|_| StepError::fail(format!("{path} of {commit} is not UTF-8")))?;
    Ok(Some(text))
}

pub(super) fn schema(text: &str, commit: &str, path: &str) -> Result<Schema, StepError> {
    Schema::read(text).map_err(|e| {
        StepError::fail(format!("{path} of {}: {e}", &commit[..12]))
            .hint("`npx prisma validate` says the same, or more")
    })
}
