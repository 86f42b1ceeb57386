//! `flow journal` on runs that an earlier `flow` left behind.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use flow_engine::clock::Clock;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;

#[path = "support/left.rs"]
mod left;

use left::{Ago, Look, err, flow, leave_at, leave_cancelled, leave_run, out};

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
    let then: Arc<dyn Clock> = Arc::new(Ago(8));
    leave_cancelled(dir.path(), "r-ended", &then);
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

/// Everything below a folder, with the moment it was last written to.
fn everything(dir: &Path) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
    let mut all = Vec::new();
    for item in std::fs::read_dir(dir).expect("reads") {
        let path = item.expect("reads").path();
        let changed = path.metadata().and_then(|m| m.modified()).expect("reads");
        if path.is_dir() {
            all.extend(everything(&path));
        }
        let content = std::fs::read(&path).unwrap_or_default();
        all.push((path, content, changed));
    }
    all.sort();
    all
}

#[test]
fn a_dry_run_of_a_repair_says_what_would_come_from_where_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    sealed(dir.path());
    let (flow_dir, temporary) = (dir.path().join(".flow"), dir.path().join("tmp"));
    let journal = flow_dir.join("journal");
    std::fs::create_dir(&temporary).expect("creates");
    let dry = |args: &[&str]| {
        let before = everything(&flow_dir);
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow"));
        command.args(["--state", ".flow", "journal", "repair", "--dry-run"]);
        command.args(args).current_dir(dir.path());
        let output = command.env("TMPDIR", &temporary).output().expect("starts");
        assert!(everything(&flow_dir) == before, "it was changed");
        let left = std::fs::read_dir(&temporary).expect("reads").count();
        assert_eq!(left, 0, "the copy is gone");
        output
    };
    let sound = dry(&[]);
    assert_eq!(sound.status.code(), Some(0), "{}", err(&sound));
    assert_eq!(out(&sound), "There is nothing to repair.\n");

    std::fs::remove_dir_all(journal.join("sled")).expect("removes");
    let one = dry(&[]);
    assert_eq!(one.status.code(), Some(0), "{}", err(&one));
    for words in [
        "would be repaired: sled (it is missing)",
        "written anew from the segments",
        "nothing was changed",
    ] {
        assert!(out(&one).contains(words), "no `{words}`: {}", out(&one));
    }
    let archive = journal.join("archive/arc-00000001.arc");
    let whole = std::fs::read(&archive).expect("reads");
    std::fs::write(&archive, &whole[..whole.len() - 100]).expect("writes");
    let json = dry(&["--json"]);
    assert_eq!(json.status.code(), Some(1), "what is lost is a 1");
    let said: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(said["dry_run"], true);
    assert_eq!(said["repaired"].as_array().map(Vec::len), Some(1), "{said}");
    let lost = said["lost"][0].to_string();
    assert!(lost.contains(&*archive.to_string_lossy()), "{lost}");

    std::fs::remove_dir_all(journal.join("wal")).expect("removes");
    assert_eq!(dry(&[]).status.code(), Some(2), "both copies are gone");
    std::fs::remove_dir_all(&journal).expect("removes");
    let (_held, _) = SledJournal::open(&journal, &OpenOptions::default()).expect("opens");
    let busy = flow(dir.path(), &["journal", "repair", "--dry-run"]);
    assert_eq!(busy.status.code(), Some(7), "{}", err(&busy));
}

/// Names of the stored objects.
fn objects(dir: &Path) -> BTreeSet<String> {
    let all = everything(&dir.join(".flow/journal/objects"));
    let files = all.iter().filter(|(path, ..)| path.is_file());
    let name = |path: &Path| {
        path.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    files.map(|(path, ..)| name(path)).collect()
}

/// A completed run whose plan is too large for a record.
fn leave_large(dir: &Path, id: &str, days: u64) {
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    planner.fact("commit", id.repeat(400));
    planner.phase("prep", "Preparation", OnFailure::Park, |p| {
        p.step("prep/look", Look(true));
    });
    leave_run(dir, id, planner, Arc::new(Ago(days)));
}

#[test]
fn pruning_takes_the_objects_that_no_run_needs_and_a_kill_in_between_costs_nothing() {
    let whole = tempfile::tempdir().expect("a folder");
    for (id, days) in [("r-one", 400), ("r-two", 300), ("r-three", 200)] {
        leave_large(whole.path(), id, days);
    }
    assert_eq!(objects(whole.path()).len(), 3);
    let seal = flow(whole.path(), &["journal", "seal"]);
    assert_eq!(seal.status.code(), Some(0), "{}", err(&seal));
    let prune = ["journal", "prune", "--older-than", "350d", "--keep", "0"];
    let named = out(&flow(whole.path(), &prune));
    assert!(
        named.contains("1 stored objects that no run needs"),
        "{named}"
    );
    assert_eq!(objects(whole.path()).len(), 3, "only named");

    let mut yes = prune.to_vec();
    yes.push("--yes");
    let (mut kills, mut before, mut between) = (0, 0, 0);
    for call in 1..200 {
        let dir = tempfile::tempdir().expect("a folder");
        copy(whole.path(), dir.path());
        let Some(killed) = killed_at(call, dir.path(), &yes) else {
            let words = b"strace is missing: nothing was killed\n";
            std::io::stderr().write_all(words).expect("says so");
            break;
        };
        kills += u32::from(killed);
        let list = out(&flow(dir.path(), &["list"]));
        let pruned = list.matches("(pruned)").count();
        let left = objects(dir.path()).len();
        before += u32::from(killed && pruned == 0);
        between += u32::from(killed && pruned == 1 && left == 3);
        assert!(
            pruned == 1 || left == 3,
            "call {call}: an object went first"
        );
        for id in ["r-two", "r-three"] {
            let export = flow(dir.path(), &["export", id]);
            assert_eq!(export.status.code(), Some(0), "{call}: {}", err(&export));
        }
        let again = flow(dir.path(), &yes);
        assert_eq!(again.status.code(), Some(0), "{call}: {}", err(&again));
        assert_eq!(objects(dir.path()).len(), 2, "call {call}");
        if !killed {
            assert!(before > 0 && between > 0, "{kills} {before} {between}");
            break;
        }
    }
    let done = out(&flow(whole.path(), &yes));
    assert!(
        done.contains("1 stored objects that no run needs removed"),
        "{done}"
    );
    let again = out(&flow(whole.path(), &yes));
    assert_eq!(again, "There is nothing to prune.\n");
}

/// Runs `flow` and kills it at its n-th call that names, removes or syncs something; whether it died of that. Nothing
/// when that cannot be done here.
fn killed_at(call: u32, dir: &Path, args: &[&str]) -> Option<bool> {
    const CALLS: &str = "rename,renameat,renameat2,unlink,unlinkat,fsync";
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", &format!("-etrace={CALLS}")]);
    strace.arg(format!("-einject={CALLS}:signal=SIGKILL:when={call}"));
    strace.args([env!("CARGO_BIN_EXE_flow"), "--state", ".flow"]);
    let output = strace.args(args).current_dir(dir).output().ok()?;
    // strace ends as its child did.
    let killed = std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(9);
    assert!(killed || output.status.success(), "{}", err(&output));
    Some(killed)
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .arg("-a")
        .arg(from.join(".flow"))
        .arg(to)
        .status();
    assert!(copied.expect("cp starts").success());
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
