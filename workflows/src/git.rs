//! Looking things up in the local repository. Read-only; nothing is fetched.

use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A local git checkout.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    dir: PathBuf,
}

/// What git said instead of an answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("git: {0}")]
pub struct GitError(pub String);

impl Repository {
    /// The checkout in this folder.
    pub(crate) fn at(dir: &Path) -> Repository {
        Repository {
            dir: dir.to_owned(),
        }
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The full name of the commit a revision stands for.
    ///
    /// # Errors
    /// [`GitError`] when there is none, in git's words.
    pub(crate) fn commit(&self, rev: &str) -> Result<String, GitError> {
        if rev.starts_with('-') || rev.chars().any(char::is_control) {
            return Err(GitError(format!(
                "`{}` is no revision",
                rev.escape_default()
            )));
        }
        let commit = self.ask(&[
            "rev-parse",
            "--verify",
            "--end-of-options",
            &format!("{rev}^{{commit}}"),
        ])?;
        let hex = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
        if hex {
            Ok(commit)
        } else {
            Err(GitError(format!("`{rev}` is no commit")))
        }
    }

    /// The names of the migrations (folders with a `migration.sql`) that a commit has below `folder`, sorted.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) fn migrations(&self, commit: &str, folder: &str) -> Result<Vec<String>, GitError> {
        let folder = folder.trim_matches('/');
        let listed = self.ask(&[
            "ls-tree",
            "-r",
            "--name-only",
            "-z",
            commit,
            "--",
            &format!("{folder}/"),
        ])?;
        let name = |path: &str| -> Option<String> {
            let inside = path.strip_prefix(folder)?.strip_prefix('/')?;
            Some(
                inside
                    .strip_suffix("/migration.sql")
                    .filter(|n| !n.contains('/'))?
                    .to_owned(),
            )
        };
        let mut names: Vec<String> = listed.split('\0').filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    /// The first line of a commit's message.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) fn subject(&self, commit: &str) -> Result<String, GitError> {
        self.ask(&["log", "-1", "--format=%s", commit])
    }

    /// The newest commits of all branches and tags, newest first, `count` at the most.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) fn newest(&self, count: usize) -> Result<Vec<String>, GitError> {
        let count = format!("--max-count={count}");
        let said = self.ask(&["rev-list", "--all", "--date-order", &count])?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    /// The folders in which git keeps what it knows: of the repository, and of this work tree where that has one of its own.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) fn own_folders(&self) -> Result<Vec<PathBuf>, GitError> {
        let said = self.ask(&["rev-parse", "--git-common-dir", "--git-dir"])?;
        let mut folders: Vec<PathBuf> = said.lines().map(|line| self.dir.join(line)).collect();
        folders.dedup();
        Ok(folders)
    }

    /// The folder of the work tree, without links in its path.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) fn top(&self) -> Result<PathBuf, GitError> {
        let top = self.ask(&["rev-parse", "--show-toplevel"])?;
        std::fs::canonicalize(&top).map_err(|e| GitError(format!("{top}: {e}")))
    }

    /// The bytes of a file in a commit, at most `max`; nothing when there is no regular file at that place.
    ///
    /// # Errors
    /// [`GitError`].
    pub(crate) fn blob(
        &self,
        commit: &str,
        path: &str,
        max: usize,
    ) -> Result<Option<Vec<u8>>, GitError> {
        let entry = self.ask(&["ls-tree", "-l", "-z", "--full-tree", commit, "--", path])?;
        let entry = entry.split('\0').find_map(|row| {
            let (what, name) = row.split_once('\t')?;
            (name == path).then(|| what.split_whitespace().collect::<Vec<_>>())
        });
        let Some(["100644" | "100755", "blob", id, size]) = entry.as_deref() else {
            return Ok(None);
        };
        if size.parse::<usize>().is_ok_and(|size| size <= max) {
            // By this spelling git compares the bytes with the name before it gives them out.
            let checked = format!("{id}^{{blob}}");
            self.bytes(&["cat-file", "blob", &checked]).map(Some)
        } else {
            Err(GitError(format!("{path} has more than {max} bytes")))
        }
    }

    fn ask(&self, args: &[&str]) -> Result<String, GitError> {
        let bytes = self.bytes(args)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    fn bytes(&self, args: &[&str]) -> Result<Vec<u8>, GitError> {
        let mut git = flow_lint::git::command();
        git.arg("-C")
            .arg(&self.dir)
            .args(args)
            .stdin(Stdio::null())
            .env("LC_ALL", "C");
        let output = git
            .output()
            .map_err(|e| GitError(format!("it cannot be run: {e}")))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said
            .lines()
            .find(|l| !l.trim().is_empty())
            .unwrap_or("it failed without a word");
        Err(GitError(line.chars().take(300).collect()))
    }
}
