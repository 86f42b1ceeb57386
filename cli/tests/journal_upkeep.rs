//! `flow journal` on runs that an earlier `flow` left behind.

use std::path::Path;
use std::sync::Arc;

use flow_engine::journal::sled::{OpenOptions, SledJournal};

#[path = "support/left.rs"]
mod left;

use left::{Ago, err, flow, leave_at, leave_cancelled, out};

/// Three completed runs of 400, 300 and 200 days ago, the older two sealed.
fn sealed(dir: &Path) {
    for (id, days) in [("r-one", 400), ("r-two", 300), ("r-three", 200)] {
        leave_at(dir, id, true, Arc::new(Ago(days)));
    }
    let seal = flow(dir, &["journal", "seal", "--json"]);
    assert_eq!(seal.status.code(), Some(0), "{}", err(&seal));
    let done: serde_json::Value = serde_json::from_slice(&seal.stdout).expect("JSON");
    assert_eq!(
        done["sealed"], 2,
        "the latest can still be rolled back: {done}"
    );
}

#[test]
fn sealed_runs_are_listed_shown_exported_and_verified_as_before() {
    let dir = tempfile::tempdir().expect("a folder");
    sealed(dir.path());
    let list = flow(dir.path(), &["list", "--json"]);
    let runs: serde_json::Value = serde_json::from_slice(&list.stdout).expect("JSON");
    let names: Vec<_> = (0..3)
        .map(|i| (&runs[i]["run"], &runs[i]["kept"]))
        .collect();
    assert_eq!(
        format!("{names:?}").matches("sealed").count(),
        2,
        "{names:?}"
    );
    assert_eq!(runs[0]["run"], "r-three", "newest first");
    assert_eq!(runs[2]["state"], "completed");
    let status = out(&flow(dir.path(), &["status", "r-one"]));
    assert!(status.contains("It is completed; 1 of 1"), "{status}");
    for command in [
        &["export", "r-one"][..],
        &["export", "--all"],
        &["logs", "r-one"],
    ] {
        let done = flow(dir.path(), command);
        assert_eq!(done.status.code(), Some(0), "{command:?} {}", err(&done));
    }
    let verify = out(&flow(dir.path(), &["journal", "verify"]));
    assert!(verify.contains("of 3 runs verified"), "{verify}");
    let again = out(&flow(dir.path(), &["journal", "seal"]));
    assert!(again.contains("nothing to seal"), "{again}");
    let counted = out(&flow(dir.path(), &["journal", "stats"]));
    assert!(counted.contains("sealed     2 runs"), "{counted}");
}

#[test]
fn the_latest_run_may_be_a_sealed_one_and_is_a_live_one_when_that_is_newer() {
    let dir = tempfile::tempdir().expect("a folder");
    let latest = || {
        let status = flow(dir.path(), &["status", "latest", "--json"]);
        assert_eq!(status.status.code(), Some(0), "{}", err(&status));
        let json: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
        json["run"].as_str().expect("a name").to_owned()
    };
    leave_at(dir.path(), "r-stays", true, Arc::new(Ago(9)));
    leave_cancelled(dir.path(), "r-ended", Arc::new(Ago(8)));
    assert_eq!(latest(), "r-ended");
    let seal = flow(dir.path(), &["journal", "seal", "--older-than", "0s"]);
    assert!(out(&seal).contains("1 runs"), "{}", out(&seal));
    let list = flow(dir.path(), &["list", "--json"]).stdout;
    let list: serde_json::Value = serde_json::from_slice(&list).expect("JSON");
    assert_eq!(
        (&list[0]["run"], &list[0]["kept"]),
        (&"r-ended".into(), &"sealed".into())
    );
    assert_eq!(latest(), "r-ended", "sealed and newer than the live one");
    leave_at(dir.path(), "r-after", true, Arc::new(Ago(7)));
    assert_eq!(latest(), "r-after", "live and newer than the sealed one");
}

#[test]
fn a_sealed_run_is_rolled_back_only_after_it_was_brought_back() {
    let dir = tempfile::tempdir().expect("a folder");
    sealed(dir.path());
    let order = ["rollback", "r-two", "--reason", "x", "--yes"];
    let refused = flow(dir.path(), &order);
    assert_eq!(refused.status.code(), Some(3), "{}", err(&refused));
    assert!(
        err(&refused).contains("r-three came after it"),
        "{}",
        err(&refused)
    );
    let unseal = flow(dir.path(), &["journal", "unseal", "r-two"]);
    assert_eq!(unseal.status.code(), Some(0), "{}", err(&unseal));
    let stats = out(&flow(dir.path(), &["journal", "stats"]));
    assert!(stats.contains("live       2 runs"), "{stats}");
    assert!(stats.contains("sealed     1 runs"), "{stats}");
}

#[test]
fn pruning_names_first_removes_with_yes_and_leaves_a_line_in_the_list() {
    let dir = tempfile::tempdir().expect("a folder");
    sealed(dir.path());
    let prune = ["journal", "prune", "--older-than", "350d", "--keep", "0"];
    let named = out(&flow(dir.path(), &prune));
    assert!(
        named.contains("1 runs would be pruned") && named.contains("r-one"),
        "{named}"
    );
    assert_eq!(
        flow(dir.path(), &["export", "r-one"]).status.code(),
        Some(0)
    );
    let mut all = prune.to_vec();
    all[3] = "0s";
    all.push("--yes");
    let done = out(&flow(dir.path(), &all));
    assert!(done.contains("2 runs pruned"), "never the latest: {done}");
    let list = out(&flow(dir.path(), &["list"]));
    assert_eq!(list.matches("(pruned)").count(), 2, "{list}");
    let gone = flow(dir.path(), &["export", "r-one"]);
    assert_eq!(gone.status.code(), Some(2));
    assert!(err(&gone).contains("were pruned"), "{}", err(&gone));
    let verify = flow(dir.path(), &["journal", "verify"]);
    assert_eq!(verify.status.code(), Some(0), "{}", out(&verify));
    let again = out(&flow(dir.path(), &all));
    assert!(again.contains("nothing to prune"), "{again}");
}

#[test]
fn repair_brings_back_a_lost_catalog_and_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    sealed(dir.path());
    let archive = dir.path().join(".flow/journal/archive");
    for name in ["catalog", "catalog.copy"] {
        std::fs::write(archive.join(name), "nonsense").expect("writes");
    }
    let refused = flow(dir.path(), &["list"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        err(&refused).contains("flow journal repair"),
        "{}",
        err(&refused)
    );
    let repair = out(&flow(dir.path(), &["journal", "repair"]));
    assert!(repair.contains("2 runs"), "{repair}");
    assert!(archive.join("catalog.damaged-1").exists());
    assert_eq!(
        flow(dir.path(), &["export", "r-one"]).status.code(),
        Some(0)
    );
    let again = out(&flow(dir.path(), &["journal", "repair"]));
    assert!(again.contains("nothing to repair"), "{again}");
}

#[test]
fn upkeep_while_another_process_has_the_journal_exits_with_7() {
    let dir = tempfile::tempdir().expect("a folder");
    sealed(dir.path());
    let path = dir.path().join(".flow/journal");
    let (_held, _) = SledJournal::open(&path, &OpenOptions::default()).expect("opens");
    for command in ["seal", "compact", "stats", "repair"] {
        let output = flow(dir.path(), &["journal", command]);
        assert_eq!(output.status.code(), Some(7), "{command}: {}", err(&output));
    }
}
