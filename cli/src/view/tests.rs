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

const LATER: Timestamp = Timestamp(NOON.0 + 180_000);

#[tokio::test]
async fn a_waiting_run_shows_for_whom_it_waits_and_what_a_rollback_would_undo() {
    let (_, run, _) = run(false).await;
    insta::assert_snapshot!(text::status(&run, LATER), @r"
    release of 0123456789ab to prod   run r-test
    started 3 min ago by anna from box: a test
    plan d45b33395431, protocol test-1

    It is under way; 2 of 4 steps done, last change 3 min ago.

    ✔ prep       Preparation                                  1 of 1
    ▶ prod       Production                                   1 of 3
        ? prod/ask                     waiting, 3 min
            waits for qa: does it work?
            flow check r-test prod/ask

    A rollback now would undo 1 step, newest first:
      prod/change                  changes `prod` back

    2 of 2 notices are not delivered:
      the run was started (not yet)
      `prod/ask` asks (not yet)
    contact lead: lead@example.org

    next:
      flow check r-test prod/ask                    does it work?
    ");
}

#[tokio::test]
async fn a_parked_run_shows_why_and_what_to_type() {
    let (_, run, stop) = run(true).await;
    let diagnostic = crate::drive::parked(&run, Exit::of_stop(&stop));
    insta::assert_snapshot!(diagnostic.render(), @r"
    error: step `prep/look` failed: there is nothing to see
      caused by: connection refused

    Run r-test is parked: 0 of 4 steps done, nothing is running, production was not changed; nothing has to be undone.
      open your eyes
      contact.lead: lead@example.org
      flow retry r-test                             try this step again
      flow cancel r-test --reason …                 stop here; nothing has to be undone
    ");
    insta::assert_snapshot!(text::status(&run, LATER), @r"
    release of 0123456789ab to prod   run r-test
    started 3 min ago by anna from box: a test
    plan 37c9417d1726, protocol test-1

    It is parked; 0 of 4 steps done, last change 3 min ago.

    ✘ prep       Preparation                                  0 of 1
        ✘ prep/look                    failed, 3 min
    · prod       Production                                   0 of 3

    step `prep/look` failed: there is nothing to see
      caused by: connection refused
      open your eyes

    A rollback now would have nothing to undo.

    2 of 2 notices are not delivered:
      the run was started (not yet)
      the run is parked (not yet)
    contact lead: lead@example.org

    next:
      flow retry r-test                             try this step again
      flow cancel r-test --reason …                 stop here; nothing has to be undone
    ");
}

#[test]
fn a_plan_shows_every_step_who_answers_and_what_undoes_it() {
    let plan = testing::plan(false);
    insta::assert_snapshot!(plan::text(&plan), @r"
    release of 0123456789ab to prod   protocol test-1, 4 steps
    plan d45b3339543133736deecf4a7739b0f7ebe65e0831c2c9d12ff7cf777b91d3c3

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
        let body = crate::control::unhex(record["body"].as_str().expect("text")).expect("hex");
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
