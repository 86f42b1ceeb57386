use flow_engine::driver::Stop;
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::record::{ParkReason, Verdict};

use super::super::fixture::{answer, engine, signal, start};
use super::*;
use crate::means::checklist::{Item, ItemRefusal};

fn smoke(deadline_minutes: Option<u64>) -> Checklist {
    let items = [
        ("login", "Login with a real user account", true),
        (
            "customer",
            "Load an existing customer (verify data intact)",
            true,
        ),
        ("extra", "Nice to have", false),
    ];
    let items = items.map(|(key, text, required)| Item {
        key: key.into(),
        text: text.into(),
        required,
    });
    Checklist {
        title: "Smoke test".into(),
        items: items.into(),
        who: "qa".into(),
        deadline_minutes,
    }
}

fn plan(list: Checklist) -> Plan {
    let mut planner = Planner::new("release", "1.0.0", "prod", "test");
    planner.phase("prod", "Production", OnFailure::Park, |p| {
        p.step("prod/smoke", list);
    });
    planner.finish().expect("a plan")
}

fn says(id: &str, item: &str, result: &str, note: &str) -> Signal {
    let body = serde_json::json!({"item": item, "result": result, "note": note, "by": "a tester"});
    signal("prod/smoke", id, body.to_string())
}

#[tokio::test]
async fn a_checklist_waits_names_what_is_open_and_ends_when_all_required_items_are_answered() {
    let engine = engine(None);
    let (run, stop) = start(&engine, "r-1", plan(smoke(None))).await;
    assert_eq!(stop, Stop::WaitingForPeople);
    let wait = run.steps[0].wait.as_ref().expect("waits");
    assert_eq!(
        (wait.who.as_str(), wait.what.as_str()),
        ("qa", "Smoke test: login, customer")
    );
    let command = crate::means::commands::of_wait(&run, 0, wait);
    assert_eq!(command, "flow check r-1 prod/smoke");

    let (run, stop) = answer(
        &engine,
        &run,
        vec![
            says("1", "login", "pass", ""),
            signal("prod/smoke", "x", "{".into()),
        ],
    )
    .await;
    assert_eq!(stop, Stop::WaitingForPeople);
    assert_eq!(
        run.steps[0].wait.as_ref().expect("waits").what,
        "Smoke test: customer"
    );

    let (run, stop) = answer(
        &engine,
        &run,
        vec![says("2", "customer", "na", "no customer changed")],
    )
    .await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    let result: ChecklistResult =
        serde_json::from_str(run.output("prod/smoke").expect("an output")).expect("reads");
    assert_eq!(result.in_a_line(), "Smoke test: 1 of 3 pass, by a tester");
    assert_eq!(result.unanswered, ["extra"]);
    assert_eq!(result.results["login"].sent_by, "starter from here");
}

#[tokio::test]
async fn a_failed_item_fails_the_step_with_its_note_and_a_later_answer_replaces_it() {
    let engine = engine(None);
    let (run, _) = start(&engine, "r-2", plan(smoke(None))).await;
    let (run, stop) = answer(
        &engine,
        &run,
        vec![says("1", "login", "fail", "white page")],
    )
    .await;
    assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 0 }));
    let failure = &run.steps[0].failure.as_ref().expect("failed").1;
    assert!(
        failure
            .message
            .contains("`login` failed (Login with a real user account), says a tester: white page")
    );

    let mut run = (*run).clone();
    let order = flow_engine::signal::Order::Retry;
    let later = vec![
        says("2", "login", "pass", ""),
        says("3", "customer", "pass", ""),
    ];
    for signal in later {
        flow_engine::run::append_signal(&*engine.journal, &mut run, signal)
            .await
            .expect("stored");
    }
    let now = flow_engine::clock::Timestamp(0);
    flow_engine::run::append_order(
        &*engine.journal,
        &mut run,
        order,
        super::super::fixture::by("x"),
        "fixed",
        now,
    )
    .await
    .expect("stored");
    let (_, stop) = answer(&engine, &run, Vec::new()).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
}

#[tokio::test]
async fn a_deadline_that_passed_parks_the_run_naming_what_is_open_and_a_retry_gives_that_long_again()
 {
    let engine = engine(None);
    let (run, stop) = start(&engine, "r-3", plan(smoke(Some(0)))).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Unreached { step: 0 }));
    let failure = &run.steps[0].failure.as_ref().expect("failed").1;
    assert!(
        failure.message.contains("login, customer until "),
        "{failure}"
    );
}

#[tokio::test]
async fn a_crash_does_not_move_the_deadline() {
    let engine = engine(None);
    let (run, _) = start(&engine, "r-4", plan(smoke(Some(60)))).await;
    let first = run.steps[0]
        .wait
        .as_ref()
        .and_then(|w| w.until)
        .expect("a deadline");
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (run, _) = answer(&engine, &run, vec![says("1", "login", "pass", "")]).await;
    assert_eq!(
        run.steps[0].wait.as_ref().and_then(|w| w.until),
        Some(first)
    );
}

#[test]
fn answers_that_cannot_count_are_refused_with_the_reason() {
    let list = smoke(None);
    let say = |item: &str, result: &str, note: &str, by: &str| {
        let body = serde_json::json!({"item": item, "result": result, "note": note, "by": by});
        list.read(&body.to_string())
    };
    assert!(say("login", "pass", "", "me").is_ok());
    assert!(say("extra", "na", "", "me").is_ok());
    assert!(matches!(
        say("nothing", "pass", "", "me"),
        Err(ItemRefusal::NoItem { .. })
    ));
    assert!(matches!(
        say("login", "na", " ", "me"),
        Err(ItemRefusal::NoNote(_))
    ));
    assert!(matches!(
        say("extra", "fail", "", "me"),
        Err(ItemRefusal::NoNote(_))
    ));
    assert!(matches!(
        say("login", "pass", "\u{1b}[2J", "me"),
        Err(ItemRefusal::Text(_))
    ));
    assert!(matches!(
        say("login", "pass", "", " "),
        Err(ItemRefusal::Text(_))
    ));
    assert!(matches!(
        say("login", "maybe", "", "me"),
        Err(ItemRefusal::Unreadable(_))
    ));
}

#[tokio::test]
async fn an_answer_given_before_the_checklist_was_begun_does_not_count() {
    let engine = engine(None);
    let (run, _) = start(&engine, "r-5", plan(smoke(None))).await;
    let started = run.steps[0].started.expect("begun");
    let early = Signal {
        at: Timestamp(started.0 - 1),
        ..says("1", "login", "pass", "")
    };
    let now = Signal {
        at: started,
        ..says("2", "customer", "pass", "")
    };
    let (_, ignored) = smoke(None).tally([&early, &now].into_iter(), Some(started));
    assert!(ignored[0].contains("before the checklist was begun"));
    let (run, stop) = answer(&engine, &run, vec![early, now]).await;
    assert_eq!(stop, Stop::WaitingForPeople);
    let open = &run.steps[0].wait.as_ref().expect("waits").what;
    assert_eq!(open, "Smoke test: login");
}

#[tokio::test]
async fn a_checklist_of_which_nothing_applies_is_refused() {
    let engine = engine(None);
    let (run, _) = start(&engine, "r-6", plan(smoke(None))).await;
    let none = vec![
        says("1", "login", "na", "no login"),
        says("2", "customer", "na", "no customer"),
    ];
    let (run, stop) = answer(&engine, &run, none).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Refused { step: 0 }));
    let failure = &run.steps[0].failure.as_ref().expect("refused").1;
    assert!(failure.message.contains("nothing was tried"), "{failure}");
}
