//! Production never comes first: the real binary on journals in which a commit passed some phases and not others.
//! No machine is reached here, which is the point: the gate says no before anything is looked at.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use flow_engine::clock::SystemClock;
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;

use left::{Look, commit, configure, err, flow, leave_run, out};

#[path = "support/left.rs"]
mod left;

/// The commit that is to be promoted.
fn head(dir: &Path) -> String {
    let mut git = Command::new("git");
    let said = git.args(["rev-parse", "HEAD"]).current_dir(dir).output();
    String::from_utf8_lossy(&said.expect("git starts").stdout)
        .trim()
        .to_owned()
}

/// A finished run of this commit that had these phases, all passed.
fn passed(dir: &Path, id: &str, commit: &str, phases: &[&str]) {
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    planner.fact("commit", commit);
    for phase in phases {
        planner.phase(phase, phase, OnFailure::Park, |p| {
            p.step(&format!("{phase}/look"), Look(true));
        });
    }
    leave_run(dir, id, planner, Arc::new(SystemClock));
}

#[test]
fn a_commit_that_did_not_pass_staging_is_not_promoted_and_what_would_satisfy_is_said() {
    let dir = tempfile::tempdir().expect("a folder");
    configure(dir.path());
    commit(dir.path());
    let commit = head(dir.path());
    passed(dir.path(), "r-test-only", &commit, &["test"]);
    passed(dir.path(), "r-another", &"a".repeat(40), &["test", "stage"]);
    let start = ["start", "promote", "--yes", "--no-wait", "--plain"];
    let said = flow(dir.path(), &start);
    assert_eq!(said.status.code(), Some(3), "{}", err(&said));
    let said = out(&said) + &err(&said);
    for words in [
        "phase `stage` has not passed",
        &commit[..12],
        "let phase `stage` pass in this run, or in an earlier one",
        "production was not changed",
    ] {
        assert!(said.contains(words), "no `{words}` in: {said}");
    }
}
