//! Production never comes first: the real binary on journals in which a commit passed some phases and not others.
//! No machine is reached here, which is the point: the gate says no before anything is looked at.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use flow_engine::clock::{Clock, SystemClock};
use flow_engine::codec;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::journal::{Append, Journal as _};
use flow_engine::plan::Plan;
use flow_engine::record::{Entry, Payload, Record, Verdict};
use flow_engine::run::Run;
use flow_engine::signal::{Actor, Order};
use flow_workflows::setup::Setup;

use left::{Ago, commit, configure, err, flow, out};

#[path = "support/left.rs"]
mod left;

/// A commit without changes, after the one that is to be promoted or before it.
fn another(dir: &Path) -> String {
    let me = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    let mut git = Command::new("git");
    git.args(me)
        .args(["commit", "-q", "--allow-empty", "-m", "another"]);
    assert!(git.current_dir(dir).status().expect("git starts").success());
    head(dir)
}

fn head(dir: &Path) -> String {
    let mut git = Command::new("git");
    let said = git.args(["rev-parse", "HEAD"]).current_dir(dir).output();
    String::from_utf8_lossy(&said.expect("git starts").stdout)
        .trim()
        .to_owned()
}

fn by() -> Actor {
    Actor {
        name: "anna".into(),
        from: "box".into(),
    }
}

/// What is on record when every step up to the end of a phase is done and the run is to be cancelled.
fn done_up_to(plan: &Plan, last: &str) -> Vec<Record> {
    let end = plan
        .nodes
        .iter()
        .rposition(|n| plan.phase_of(n).key == last);
    let steps = 0..=u32::try_from(end.expect("the phase is there")).expect("few");
    let done = steps.flat_map(|step| {
        let output = Payload::Inline(b"null".to_vec());
        [
            Record::Started { step, attempt: 1 },
            Record::Done { step, output },
        ]
    });
    let ordered = Record::Ordered {
        order: Order::Cancel,
        by: by(),
        reason: "production tomorrow".into(),
    };
    done.chain([ordered]).collect()
}

/// The records of a release that was cancelled once a phase had passed: by the plan that `flow start` makes of this commit.
fn records(setup: &Setup, id: &str, commit: &str, last: &str, clock: &dyn Clock) -> Vec<Entry> {
    let plan = setup.plan("release", commit).expect("plans");
    let created = Record::Created {
        plan: Payload::Inline(plan.to_json()),
        by: by(),
        reason: "a test".into(),
        request: None,
    };
    let entry = |record| Entry {
        at: clock.now(),
        record,
    };
    let mut entries = vec![entry(created)];
    let mut run = Run::create(&id.parse().expect("an id"), 0, &entries[0]).expect("creates");
    let mut add = |run: &mut Run, record| {
        let entry = entry(record);
        run.apply(0, &entry).expect("follows");
        entries.push(entry);
    };
    for record in done_up_to(&plan, last) {
        add(&mut run, record);
    }
    if run.unwinding().is_none() {
        let why = "cancelled".into();
        add(&mut run, Record::Unwinding { why });
    }
    while let Some(step) = run.undo_order().first().copied() {
        add(&mut run, Record::UndoStarted { step, attempt: 1 });
        let report = "undone".into();
        add(&mut run, Record::Undone { step, report });
    }
    let verdict = Verdict::Cancelled;
    add(&mut run, Record::Finished { verdict });
    entries
}

/// Leaves that run in the journal.
fn passed(dir: &Path, id: &str, commit: &str, last: &str, clock: &Arc<dyn Clock>) {
    let setup = Setup::load(&dir.join("flow.toml")).expect("loads");
    let entries = records(&setup, id, commit, last, &**clock);
    let state = dir.join(".flow");
    std::fs::create_dir_all(&state).expect("creates");
    std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("sets");
    let (journal, _) =
        SledJournal::open(&state.join("journal"), &OpenOptions::default()).expect("opens");
    let runtime = tokio::runtime::Runtime::new().expect("starts");
    runtime.block_on(async {
        let mut bodies = Vec::new();
        for mut entry in entries {
            if let Some(payload @ Payload::Inline(_)) = entry.record.payload_mut()
                && payload.text().len() > Payload::INLINE_MAX
            {
                let bytes = payload.inline().expect("inline").to_vec();
                *payload = Payload::Object(journal.put(&bytes).await.expect("put"));
            }
            bodies.push(codec::encode(&entry).expect("encodes"));
        }
        let append = Append {
            run: id.parse().expect("an id"),
            first_seq: 0,
            epoch: 0,
            bodies,
        };
        journal.append(append).await.expect("appends");
    });
}

#[test]
fn a_commit_that_did_not_pass_staging_is_not_promoted_and_what_would_satisfy_is_said() {
    let dir = tempfile::tempdir().expect("a folder");
    configure(dir.path());
    commit(dir.path());
    let now: Arc<dyn Clock> = Arc::new(SystemClock);
    passed(dir.path(), "r-another", &head(dir.path()), "stage", &now);
    let commit = another(dir.path());
    passed(dir.path(), "r-test-only", &commit, "test", &now);
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
    let ago = |days| -> Arc<dyn Clock> { Arc::new(Ago(days)) };
    let later = head(dir.path());
    passed(dir.path(), "r-later", &later, "stage", &ago(1));
    let commit = another(dir.path());
    passed(dir.path(), "r-staged", &commit, "stage", &ago(2));
    let seal = flow(
        dir.path(),
        &["journal", "seal", "--older-than", "0s", "--json"],
    );
    assert!(out(&seal).contains("\"sealed\": 2"), "{}", out(&seal));
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
