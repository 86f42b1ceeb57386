//! The real binary on a journal that an earlier `flow` left behind.

use std::path::Path;
use std::sync::Arc;

use flow_engine::clock::SystemClock;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::journal::{Append, Journal as _};
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;

#[path = "support/left.rs"]
mod left;

use left::{Look, commit, configure, err, flow, leave, leave_run, out};

#[test]
fn runs_are_listed_shown_and_exported_without_a_configuration() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    leave(dir.path(), "r-two", false);

    let list = flow(dir.path(), &["list", "--json"]);
    let runs: serde_json::Value = serde_json::from_slice(&list.stdout).expect("JSON");
    assert_eq!(runs[0]["run"], "r-two", "newest first");
    assert_eq!(runs[0]["state"], "parked");
    assert_eq!(runs[1]["state"], "completed");
    let parked = out(&flow(dir.path(), &["list", "--is", "parked"]));
    assert!(
        parked.contains("r-two") && !parked.contains("r-one"),
        "{parked}"
    );

    let status = out(&flow(dir.path(), &["status", "r-t"]));
    assert!(
        status.contains("step `prep/look` failed: it is dark\n  make light"),
        "{status}"
    );
    assert!(status.contains("flow retry r-two"), "{status}");

    let (first, second) = (
        flow(dir.path(), &["export", "r-one"]),
        flow(dir.path(), &["export", "r-one"]),
    );
    assert_eq!(first.status.code(), Some(0), "{}", err(&first));
    assert_eq!(first.stdout, second.stdout);
    let all: serde_json::Value =
        serde_json::from_slice(&flow(dir.path(), &["export", "--all"]).stdout).expect("JSON");
    assert_eq!(all.as_array().map(Vec::len), Some(2));
    assert!(
        out(&flow(dir.path(), &["export", "latest", "--format", "md"])).contains("# Run r-two")
    );

    let verified = flow(dir.path(), &["journal", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", err(&verified));
    assert!(
        out(&verified).contains("of 2 runs verified"),
        "{}",
        out(&verified)
    );
}

#[test]
fn an_export_never_overwrites_a_file() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    assert_eq!(
        flow(dir.path(), &["export", "r-one", "-o", "e.json"])
            .status
            .code(),
        Some(0)
    );
    let before = std::fs::read(dir.path().join("e.json")).expect("reads");
    assert_eq!(
        flow(dir.path(), &["export", "r-one", "-o", "e.json"])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(
        std::fs::read(dir.path().join("e.json")).expect("reads"),
        before
    );
}

#[test]
fn a_run_that_is_not_there_or_not_clearly_named_exits_with_2() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    leave(dir.path(), "r-two", true);
    for (named, said) in [
        ("r-zzz", "there is no run `r-zzz`"),
        ("r-", "may be any of r-one, r-two"),
    ] {
        let output = flow(dir.path(), &["status", named]);
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains(said), "{}", err(&output));
    }
}

#[test]
fn an_order_that_makes_no_sense_now_is_refused_with_3_and_leaves_no_record() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    let before = flow(dir.path(), &["export", "r-one"]).stdout;
    for order in [
        &["retry", "r-one"][..],
        &["cancel", "r-one", "--reason", "x"],
        &["skip", "r-one", "prep/look", "--reason", "x"],
    ] {
        let output = flow(dir.path(), order);
        assert_eq!(output.status.code(), Some(3), "{order:?}: {}", err(&output));
    }
    assert_eq!(flow(dir.path(), &["export", "r-one"]).stdout, before);
}

#[test]
fn an_older_completed_run_is_not_rolled_back() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    leave(dir.path(), "r-two", true);
    let order = ["rollback", "r-one", "--reason", "x", "--yes"];
    let output = flow(dir.path(), &order);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        err(&output).contains("run r-one is not the latest of prod"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_rollback_needs_a_yes_where_nobody_can_be_asked() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    let output = flow(dir.path(), &["rollback", "r-one", "--reason", "x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("--yes"), "{}", err(&output));
}

#[test]
fn a_journal_in_use_can_be_looked_at_and_an_order_names_the_holder_and_exits_with_7() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    let path = dir.path().join(".flow/journal");
    let (_held, _) = SledJournal::open(&path, &OpenOptions::default()).expect("opens");
    let list = flow(dir.path(), &["list"]);
    assert_eq!(list.status.code(), Some(0), "{}", err(&list));
    assert!(out(&list).contains("r-one"), "{}", out(&list));
    let order = ["rollback", "r-one", "--reason", "x", "--yes"];
    let output = flow(dir.path(), &order);
    assert_eq!(output.status.code(), Some(7));
    let pid = format!("pid {}", std::process::id());
    assert!(err(&output).contains(&pid), "{}", err(&output));
}

/// Appends a record that no `flow` can read to a run.
fn damage(dir: &Path, id: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("starts");
    let journal = SledJournal::open(&dir.join(".flow/journal"), &OpenOptions::default());
    let (journal, _) = journal.expect("opens");
    runtime.block_on(async {
        let id = id.parse().expect("an id");
        let head = journal.head(&id).await.expect("reads").expect("a run");
        let append = Append {
            run: id,
            first_seq: head.seq + 1,
            epoch: head.epoch,
            bodies: vec![b"no record".to_vec()],
        };
        journal.append(append).await.expect("appends");
    });
}

#[test]
fn a_damaged_run_is_listed_as_such_and_stands_in_the_way_of_no_other() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-bad", true);
    leave(dir.path(), "r-good", true);
    damage(dir.path(), "r-bad");

    let list = flow(dir.path(), &["list"]);
    assert_eq!(list.status.code(), Some(0), "{}", err(&list));
    let lines = out(&list);
    let line = |id: &str| lines.lines().find(|l| l.starts_with(id)).expect("listed");
    assert!(line("r-bad").contains("damaged"), "{lines}");
    assert!(line("r-bad").contains("flow journal verify"), "{lines}");
    assert!(line("r-good").contains("completed"), "{lines}");
    let json = flow(dir.path(), &["list", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(json[0]["state"], "damaged");
    assert_eq!(json[0]["environment"], "prod");

    for args in [&["status", "r-good"][..], &["status"], &["logs", "r-good"]] {
        let said = flow(dir.path(), args);
        assert_eq!(said.status.code(), Some(0), "{args:?}: {}", err(&said));
    }
    let order = ["rollback", "r-good", "--reason", "x", "--yes", "--no-drive"];
    let said = flow(dir.path(), &order);
    assert_eq!(said.status.code(), Some(0), "{}", err(&said));
    let guess = flow(dir.path(), &["cancel", "latest", "--reason", "x"]);
    assert_eq!(guess.status.code(), Some(2), "{}", err(&guess));
    assert!(err(&guess).contains("r-bad is damaged and may be the latest"));
}

#[test]
fn a_damaged_run_that_may_have_changed_production_refuses_a_new_one_and_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-bad", true);
    damage(dir.path(), "r-bad");
    configure(dir.path());
    commit(dir.path());
    let start = flow(dir.path(), &["start", "--yes"]);
    assert_eq!(start.status.code(), Some(2), "{}", err(&start));
    for words in [
        "run r-bad is damaged",
        "Nothing was started",
        "flow journal verify",
    ] {
        assert!(err(&start).contains(words), "no `{words}`: {}", err(&start));
    }
}

#[test]
fn starting_again_with_the_same_key_shows_the_run_and_starts_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    configure(dir.path());
    let before = flow(dir.path(), &["export", "--all"]).stdout;
    let again = flow(dir.path(), &["start", "--id", "key-of-r-one"]);
    assert_eq!(again.status.code(), Some(0), "{}", err(&again));
    assert!(out(&again).contains("run r-one"), "{}", out(&again));
    assert_eq!(flow(dir.path(), &["export", "--all"]).stdout, before);
}

#[test]
fn a_second_run_for_a_machine_that_another_one_has_in_its_hands_is_refused_with_7_and_names_the_first()
 {
    let dir = tempfile::tempdir().expect("a folder");
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    planner.fact("commit", "0123456789abcdef");
    planner.phase("stage", "Staging", OnFailure::Park, |p| {
        p.step("stage/deploy", Look(false));
    });
    leave_run(dir.path(), "r-one", planner, Arc::new(SystemClock));
    configure(dir.path());
    commit(dir.path());
    let second = flow(dir.path(), &["start"]);
    assert_eq!(second.status.code(), Some(7), "{}", err(&second));
    for words in ["flow resume r-one", "has stage in its hands"] {
        assert!(err(&second).contains(words), "{}", err(&second));
    }
    let plan = flow(dir.path(), &["plan"]);
    assert_eq!(plan.status.code(), Some(0), "{}", err(&plan));
    assert!(out(&plan).contains("prod/deploy"), "{}", out(&plan));
}
