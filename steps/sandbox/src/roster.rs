//! A file of a work tree, committed to a branch of its own.

use std::path::Path;

use crate::error::SandboxError;
use crate::origin::git;
use crate::process::{run, run_with};

/// Commits one file of a work tree as the only one of a branch, whatever is checked out. Run again, the branch is made
/// anew.
///
/// # Errors
/// git's own words.
pub fn commit_alone(work_tree: &Path, file: &str, branch: &str) -> Result<(), SandboxError> {
    let here = || {
        let mut git = git();
        git.arg("-C").arg(work_tree);
        let me = ["user.name=sandbox", "user.email=sandbox@example.org"];
        git.args(me.into_iter().flat_map(|name| ["-c", name]));
        git
    };
    let doing = "committing a file to a branch of its own";
    let blob = run(doing, here().args(["hash-object", "-w", "--", file]))?;
    let entry = format!("100644 blob {}\t{file}\n", blob.trim());
    let tree = run_with(doing, here().arg("mktree"), entry.as_bytes())?;
    let commit = run(doing, here().args(["commit-tree", "-m", file, tree.trim()]))?;
    let name = format!("refs/heads/{branch}");
    run(doing, here().args(["update-ref", &name, commit.trim()])).map(drop)
}
