//! Production never comes first: the real binary on journals in which a commit passed some phases and not others.
//! No machine is reached here, which is the point: the gate says no before anything is looked at.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use flow_engine::clock::{Clock, SystemClock};
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;

use left::{Ago, Look, commit, configure, err, flow, leave_run, out};

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
    passed_at(dir, id, commit, phases, Arc::new(SystemClock));
}

fn passed_at(dir: &Path, id: &str, commit: &str, phases: &[&str], clock: Arc<dyn Clock>) {
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    planner.fact("commit", commit);
    for phase in phases {
        planner.phase(phase, phase, OnFailure::Park, |p| {
            p.step(&format!("{phase}/look"), Look(true));
        });
    }
    leave_run(dir, id, planner, clock);
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

#[test]
fn staging_that_was_passed_in_a_run_that_is_sealed_by_now_counts() {
    let dir = tempfile::tempdir().expect("a folder");
    configure(dir.path());
    commit(dir.path());
    let commit = head(dir.path());
    let phases = ["test", "stage"];
    passed_at(dir.path(), "r-staged", &commit, &phases, Arc::new(Ago(3)));
    let later = "a".repeat(40);
    passed_at(dir.path(), "r-later", &later, &phases, Arc::new(Ago(2)));
    let seal = flow(
        dir.path(),
        &["journal", "seal", "--older-than", "0s", "--json"],
    );
    assert!(out(&seal).contains("\"sealed\": 1"), "{}", out(&seal));
    let start = ["start", "promote", "--yes", "--no-wait", "--plain"];
    let said = flow(dir.path(), &start);
    assert_ne!(said.status.code(), Some(3), "{}", err(&said));
    let status = flow(dir.path(), &["status", "--json"]).stdout;
    let status: serde_json::Value = serde_json::from_slice(&status).expect("JSON");
    let gate = &status["steps_detail"][0];
    assert_eq!(gate["key"], "gate/earlier-run");
    assert_eq!(gate["state"], "done", "{gate:#}");
    let named = gate["output"].to_string();
    assert!(
        named.contains("r-staged") && !named.contains("r-later"),
        "{named}"
    );
    // What stops it is the next step, which looks for the machines: there are none.
    let why = status["why_parked"].to_string();
    assert!(why.contains("gate/machines"), "{why}");
}
