use std::sync::Arc;

use flow_engine::clock::Timestamp;
use flow_engine::driver::Stop;
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::run::Run;

use super::*;
use crate::exit::Exit;
use crate::logs::Keeper;
use crate::state::State;
use crate::testing::{self, NOON};

async fn run(fails: bool) -> (Arc<MemoryJournal>, Arc<Run>, Stop) {
    let journal = Arc::new(MemoryJournal::default());
    let (run, stop) = testing::driven(&journal, vec![], fails).await;
    (journal, run, stop)
}

/// The process that drove it is gone.
fn gone() -> Driver {
    Driver::Gone(crate::driver::Process {
        pid: 7,
        host: "box".into(),
    })
}

const LATER: Timestamp = Timestamp(NOON.0 + 180_000);

#[tokio::test]
async fn a_waiting_run_shows_for_whom_it_waits_and_what_a_rollback_would_undo() {
    let (_, run, _) = run(false).await;
    insta::assert_snapshot!(text::status(&run, &gone(), LATER), @r"
    release of 0123456789ab to prod   run r-test
    started 3 min ago by anna from box: a test
    plan 615eea647390, protocol test-1

    It waits for qa; nobody drives it: process 7 on box is gone; 2 of 4 steps done, last change 3 min ago.
    production: changed by this run

    ✔ prep       Preparation                                  1 of 1
    ▶ prod       Production                                   1 of 3
        ? prod/ask                     waiting, 3 min
            waits for qa: does it work?
            flow answer r-test prod/ask --choice …

    A rollback now would undo 1 step, newest first:
      prod/change                  changes `prod` back

    2 of 2 notices are not delivered:
      the run was started (not yet)
      `prod/ask` asks (not yet)
    contact lead: lead@example.org

    next:
      flow answer r-test prod/ask --choice …        does it work? One of: yes, no
    ");
}

#[tokio::test]
async fn a_parked_run_shows_why_and_what_to_type() {
    let (_, run, stop) = run(true).await;
    let diagnostic = crate::drive::parked(&run, Exit::of_stop(&run, &stop));
    insta::assert_snapshot!(diagnostic.render(), @r"
    error: step `prep/look` failed: there is nothing to see
      caused by: connection refused

    Run r-test is parked: 0 of 4 steps done, nothing is running, production was not changed; nothing has to be undone.
      open your eyes
      contact.lead: lead@example.org
      flow retry r-test                             try this step again, once its cause is gone
      flow cancel r-test --reason …                 stop here; nothing has to be undone
    ");
    insta::assert_snapshot!(text::status(&run, &gone(), LATER), @r"
    release of 0123456789ab to prod   run r-test
    started 3 min ago by anna from box: a test
    plan 809364051690, protocol test-1

    It is parked; 0 of 4 steps done, last change 3 min ago.
    production: not touched by this run

    ✘ prep       Preparation                                  0 of 1
        ✘ prep/look                    failed, 3 min
    · prod       Production                                   0 of 3

    step `prep/look` failed: there is nothing to see
      caused by: connection refused
      open your eyes

    There is nothing to undo now.

    2 of 2 notices are not delivered:
      the run was started (not yet)
      the run is parked (not yet)
    contact lead: lead@example.org

    next:
      flow retry r-test                             try this step again, once its cause is gone
      flow cancel r-test --reason …                 stop here; nothing has to be undone
    ");
}

#[test]
fn a_plan_shows_every_step_who_answers_and_what_undoes_it() {
    let plan = testing::plan(false);
    insta::assert_snapshot!(plan::text(&plan), @r"
    release of 0123456789ab to prod   protocol test-1, 4 steps
    plan 615eea647390f9333fdb71c08e7529aee8fc23df8156beb2ec5f1eb52261dd82

    prep: Preparation (a failure stops the run; production is not touched)
      prep/look                    looks at `test`

    prod: Production (a failure undoes everything, newest first)
      prod/change                  changes `prod`
                                   undo: changes `prod` back
      prod/ask                     asks whether it works
                                   answered by qa
      prod/again                   changes `prod`
                                   undo: changes `prod` back

    contact.lead: lead@example.org
    ");
    insta::assert_snapshot!(plan::mermaid(&plan), @r#"
    flowchart TD
      subgraph p0["Preparation"]
        s0["prep/look<br/>looks at `test`"]
      end
      subgraph p1["Production"]
        s1["prod/change<br/>changes `prod`"]
        s2(["prod/ask<br/>asks whether it works"])
        s3["prod/again<br/>changes `prod`"]
      end
      s0 --> s1
      s1 --> s2
      s2 --> s3
      s1 -. "undo: changes `prod` back" .-> s1
      s3 -. "undo: changes `prod` back" .-> s3
    "#);
}

#[tokio::test]
async fn an_export_has_every_record_and_is_the_same_every_time() {
    let (journal, run, _) = run(false).await;
    let export = || async {
        let entries = Run::entries(&*journal, &run.id).await.expect("reads");
        serde_json::to_string_pretty(&export::Export::of(&run, &entries)).expect("JSON")
    };
    let (first, second) = (export().await, export().await);
    assert_eq!(first, second);
    let json: serde_json::Value = serde_json::from_str(&first).expect("JSON");
    let records = json["records"].as_array().expect("records");
    assert_eq!(records.len() as u64, run.next_seq);
    assert_eq!(json["steps"].as_array().map(Vec::len), Some(4));
    assert_eq!(json["steps"][3]["state"], "not reached");
    let mut previous = flow_engine::journal::GENESIS;
    for record in records {
        let body = hex::decode(record["body"].as_str().expect("text")).expect("hex");
        let number = |name: &str| record[name].as_u64().expect("a number");
        previous =
            flow_engine::journal::chain(&previous, &run.id, number("seq"), number("epoch"), &body);
        assert_eq!(
            record["hash"],
            previous.to_string(),
            "record {}",
            number("seq")
        );
    }
}

#[tokio::test]
async fn a_report_names_the_steps_that_did_not_run() {
    let (journal, run, _) = run(true).await;
    let entries = Run::entries(&*journal, &run.id).await.expect("reads");
    let report = export::markdown(&run, &entries);
    assert!(
        report.contains("| prod/again | changes `prod` | not reached |"),
        "{report}"
    );
    assert!(
        report.contains("prep/look failed: there is nothing to see"),
        "{report}"
    );
}

#[tokio::test]
async fn output_of_a_step_is_kept_in_a_file_of_its_own_that_only_its_owner_reads() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = State {
        dir: dir.path().to_owned(),
    };
    let journal = Arc::new(MemoryJournal::default());
    let (idle, _) = testing::driven(&Arc::new(MemoryJournal::default()), vec![], false).await;
    let keeper = Arc::new(Keeper::new(state.clone()));
    keeper.begin(&idle);
    let (run, _) = testing::driven(&journal, vec![keeper], false).await;
    let path = state.log(&run.id, "prep/look");
    assert!(path.ends_with("logs/r-test/prep~look.log"));
    assert_eq!(
        std::fs::read_to_string(&path).expect("kept"),
        "looked around\n"
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&path).expect("kept").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn ages_read_like_speech() {
    let ages = [0, 119, 120, 7199, 7200, 7500, 200_000].map(|s| age(Duration::from_secs(s)));
    assert_eq!(
        ages,
        [
            "0 s",
            "119 s",
            "2 min",
            "119 min",
            "2 h",
            "2 h 5 min",
            "2 d"
        ]
    );
}

#[tokio::test]
async fn a_failure_that_was_put_right_is_not_shown_and_one_that_is_tried_again_gives_no_order() {
    let (_, run, _) = run(true).await;
    let mut run = Run::clone(&run);
    run.life = flow_engine::run::Life::Forward;
    run.steps[0].status = Status::RetryAt(LATER);
    let text = text::status(&run, &gone(), LATER);
    assert!(text.contains("last failure: `prep/look`"), "{text}");
    assert!(
        !text.contains("open your eyes"),
        "nothing is to be done about it: {text}"
    );
    run.steps[0].status = Status::Done;
    let text = text::status(&run, &gone(), LATER);
    assert!(!text.contains("there is nothing to see"), "{text}");
}

#[tokio::test]
async fn what_another_process_drives_nobody_is_sent_to_resume() {
    let (_, run, _) = run(false).await;
    let mut run = Run::clone(&run);
    run.steps[2].wait = None;
    let process = || crate::driver::Process {
        pid: 7,
        host: "box".into(),
    };
    let alive = text::status(&run, &Driver::Alive(process()), LATER);
    assert!(
        alive.contains("It is under way, driven by process 7 on box;"),
        "{alive}"
    );
    assert!(!alive.contains("flow resume"), "{alive}");
    let stopped = text::status(&run, &Driver::Stopped(process()), LATER);
    assert!(stopped.contains("is stopped: nothing goes on"), "{stopped}");
    assert!(
        stopped.contains("flow resume r-test --take-over"),
        "{stopped}"
    );
    let gone = text::status(&run, &gone(), LATER);
    assert!(
        gone.contains("It is INTERRUPTED; nobody drives it"),
        "{gone}"
    );
    assert!(gone.contains("flow resume r-test "), "{gone}");
}

#[tokio::test]
async fn status_names_the_keys_that_a_release_adds_and_takes_out() {
    use flow_engine::step::Step as _;
    use flow_steps::means::reports::people::KeysFound;
    use flow_steps::people::Keys;
    let (_, run, _) = run(false).await;
    let mut run = Run::clone(&run);
    let found = KeysFound {
        sha256: "ab".repeat(32),
        commit: "c0ffee".repeat(6),
        added: vec!["qa Mallory SHA256:new".into()],
        removed: vec!["qa Anna SHA256:old".into()],
        ..KeysFound::default()
    };
    Arc::make_mut(&mut run.plan).nodes[0].kind = Keys::KIND.into();
    run.steps[0].output = serde_json::to_string(&found).ok();
    let shown = text::status(&run, &gone(), LATER);
    assert!(
        shown.contains(
            "keys: roster abababababab of c0ffeec0ffee, 1 added and 1 taken out since production's\n\
             KEY ADDED: qa Mallory SHA256:new\nKEY TAKEN OUT: qa Anna SHA256:old\n"
        ),
        "{shown}"
    );
    let shown = serde_json::to_value(json::Status::of(&run, &gone(), LATER)).expect("JSON");
    assert_eq!(shown["keys"]["added"][0], "qa Mallory SHA256:new");
    run.steps[0].output = serde_json::to_string(&KeysFound::default()).ok();
    let shown = text::status(&run, &gone(), LATER);
    assert!(!shown.contains("keys:"), "nothing to be told: {shown}");
}

#[tokio::test]
async fn a_status_names_code_that_was_not_type_checked_and_steps_that_were_skipped() {
    let (_, run, _) = run(false).await;
    let mut run = Run::clone(&run);
    run.steps[0].output = Some(r#"{"not_typed":"there is no node_modules"}"#.into());
    run.steps[1].skipped = Some("on leave".into());
    let text = text::status(&run, &gone(), LATER);
    for line in [
        "THE CODE WAS NOT TYPE-CHECKED: there is no node_modules",
        "skipped prod/change: on leave",
    ] {
        assert!(text.contains(line), "{text}");
    }
}
