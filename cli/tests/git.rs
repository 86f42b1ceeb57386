//! git is asked about the project's repository, whatever the caller's environment or the clone says beside its commits.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use left::{commit, configure, err, out};

#[path = "support/left.rs"]
mod left;

/// `flow` where every variable of git points to the other repository.
fn pointed(at: &Path, other: &Path, args: &[&str]) -> Output {
    let inside = other.join(".git");
    Command::new(env!("CARGO_BIN_EXE_flow"))
        .args(["--state", ".flow"])
        .args(args)
        .current_dir(at)
        .env("GIT_DIR", &inside)
        .env("GIT_WORK_TREE", other)
        .env("GIT_INDEX_FILE", inside.join("index"))
        .env("GIT_OBJECT_DIRECTORY", inside.join("objects"))
        .env("GIT_NAMESPACE", "other")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "core.worktree")
        .env("GIT_CONFIG_VALUE_0", other)
        .stdin(Stdio::null())
        .output()
        .expect("flow starts")
}

fn project(subject: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a folder");
    configure(dir.path());
    commit(dir.path());
    let git = |args: &[&str]| {
        let me = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let mut git = Command::new("git");
        let done = git.args(me).args(args).current_dir(dir.path()).output();
        let done = done.expect("git starts");
        assert!(done.status.success(), "git {args:?}: {}", err(&done));
        out(&done).trim().to_owned()
    };
    git(&["commit", "-q", "--amend", "-m", subject]);
    let head = git(&["rev-parse", "HEAD"]);
    (dir, head)
}

#[test]
fn an_inherited_variable_of_git_points_no_command_to_another_repository() {
    let (own, head) = project("ours");
    let (other, foreign) = project("theirs");
    let plan = pointed(own.path(), other.path(), &["plan"]);
    assert!(plan.status.success(), "{}", err(&plan));
    let shown = out(&plan);
    assert!(shown.contains(&head[..12]), "{shown}");
    assert!(!shown.contains(&foreign[..12]), "{shown}");
    let lint = ["lint", "m", "--since", &head];
    let lint = pointed(own.path(), other.path(), &lint);
    assert_eq!(lint.status.code(), Some(0), "{}", err(&lint));
}
