//! Runs driven by a real engine.

use super::*;
use flow_engine::clock::SystemClock;
use flow_engine::driver::{Engine, NewRun, Stop};
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::outbox::Notifier;
use flow_engine::plan::Effect;
use flow_engine::registry::Registry;
use flow_engine::run::{Delivery, Topic};
use flow_engine::step::{Cx, Step, StepError};

use crate::people::fixture::Report;

#[derive(serde::Serialize, serde::Deserialize)]
struct Breaks;

#[async_trait::async_trait]
impl Step for Breaks {
    const KIND: &'static str = "test.breaks";
    type Output = ();

    fn summary(&self) -> String {
        "breaks".into()
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    async fn run(&self, _cx: &Cx) -> Result<(), StepError> {
        Err(StepError::fail("it broke"))
    }
}

fn engine(journal: Arc<MemoryJournal>, notifier: Option<Arc<dyn Notifier>>) -> Engine {
    Engine {
        journal,
        registry: Arc::new(
            Registry::default()
                .with::<Notify>()
                .with::<Breaks>()
                .with::<Report>(),
        ),
        resources: flow_engine::step::Resources::default(),
        clock: Arc::new(SystemClock),
        observers: flow_engine::event::Observers::default(),
        notifier,
        version: "test".into(),
        wait_for_people: false,
    }
}

async fn drive(driver: flow_engine::driver::Driver) -> (Arc<Run>, Stop) {
    let outcome = tokio::time::timeout(Duration::from_mins(1), driver.drive()).await;
    outcome.expect("in time").expect("the journal works")
}

fn told(run: &Run, wanted: &str) -> usize {
    let is = |t: &Topic| matches!(t, Topic::Step { topic, .. } if topic == wanted);
    run.notices.iter().filter(|n| is(&n.topic)).count()
}

fn plan() -> Plan {
    let mut planner = Planner::new("release", "1.0.0", "prod", "test");
    planner.phase("prod", "Production", OnFailure::Rollback, |p| {
        p.step("prod/notify", window());
        p.step("prod/deploy", Breaks);
    });
    planner.finish().expect("a plan")
}

/// A journal that ends where the process was killed: after these records.
async fn killed_after(records: Vec<Record>) -> (Arc<MemoryJournal>, flow_engine::id::RunId) {
    use flow_engine::journal::{Append, Journal as _};
    let created = Record::Created {
        plan: Payload::Inline(plan().to_json()),
        by: by(),
        reason: "test".into(),
        request: None,
    };
    let all = std::iter::once(created).chain(records);
    let entry = |record| Entry {
        at: Timestamp(0),
        record,
    };
    let bodies = all
        .map(|r| flow_engine::codec::encode(&entry(r)).expect("encodes"))
        .collect();
    let run: flow_engine::id::RunId = "r-mail".parse().expect("an id");
    let journal = Arc::new(MemoryJournal::default());
    let append = Append {
        run: run.clone(),
        first_seq: 0,
        epoch: 0,
        bodies,
    };
    journal.append(append).await.expect("appends");
    (journal, run)
}

#[tokio::test]
async fn a_kill_after_the_notice_was_stored_does_not_announce_or_take_back_twice() {
    let (journal, id) = killed_after(vec![started(0), queued(DEPLOYING)]).await;
    let (driver, _handle) = engine(journal, None).resume(&id).await.expect("resumes");
    let (run, _) = drive(driver).await;
    assert_eq!((told(&run, DEPLOYING), told(&run, ROLLED_BACK)), (1, 1));

    let unwinding = Record::Unwinding { why: "x".into() };
    let undoing = Record::UndoStarted {
        step: 0,
        attempt: 1,
    };
    let (journal, id) = killed_after(vec![
        started(0),
        queued(DEPLOYING),
        unwinding.clone(),
        undoing.clone(),
        queued(ROLLED_BACK),
    ])
    .await;
    let (driver, _handle) = engine(journal, None).resume(&id).await.expect("resumes");
    let (run, stop) = drive(driver).await;
    assert_eq!(
        (stop, told(&run, ROLLED_BACK)),
        (Stop::Finished(Verdict::RolledBack), 1)
    );

    let (journal, id) = killed_after(vec![started(0), unwinding, undoing]).await;
    let (driver, _handle) = engine(journal, None).resume(&id).await.expect("resumes");
    let (run, _) = drive(driver).await;
    assert_eq!(
        told(&run, ROLLED_BACK),
        0,
        "what was never announced is not taken back"
    );
}

#[tokio::test]
async fn a_run_that_is_rolled_back_mails_the_team_each_turn_once_through_a_real_server() {
    let exim = Exim::start();
    let journal = Arc::new(MemoryJournal::default());
    let mailer = mailer(settings(&exim, &["dev@example.org"]), RIGHT);
    let team = TeamMail::new(mailer, Arc::new(people()), Some(journal.clone()));
    let engine = engine(journal, Some(Arc::new(team)));
    let new = NewRun {
        id: "r-mail".parse().expect("an id"),
        plan: plan(),
        by: by(),
        reason: "test".into(),
        request: None,
    };
    let (driver, _handle) = engine.start(new).await.expect("starts");
    let (run, stop) = drive(driver).await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
    assert!(
        run.notices
            .iter()
            .all(|n| matches!(n.delivery, Delivery::Sent(_))),
        "{:?}",
        run.notices
    );
    assert_eq!((told(&run, DEPLOYING), told(&run, ROLLED_BACK)), (1, 1));
    let mails = exim.inbox(run.notices.len());
    for subject in [
        "release started",
        "deploys now",
        "ROLLING BACK",
        "deployment taken back",
        "rolled back: ",
    ] {
        let count = mails
            .iter()
            .filter(|m| m.contains(&format!("Subject: [prod] r-mail {subject}")))
            .count();
        assert_eq!(count, 1, "{subject}");
    }
    assert!(mails.iter().all(|m| m.contains("Journal: record ")));
}

/// The mail that announces a release whose check found so many migrations pending; its commit has three more.
async fn announced(pending: usize) -> String {
    let name = |n: usize| format!("2026020{n}_change_{n}");
    let files: Vec<serde_json::Value> = (0..pending)
        .map(|n| serde_json::json!({"name": name(n), "sha256": "a"}))
        .collect();
    let checked = serde_json::json!({
        "pending": files, "waivers": [], "script_passed": true,
        "report": flow_lint::migration::check(&[], &std::collections::BTreeSet::new()),
    });
    let mut planner = Planner::new("release", "1.0.0", "prod", "test");
    planner.phase("schema", "Schema", OnFailure::Park, |p| {
        p.step("schema/migration-safety", Report(checked));
    });
    planner.phase("prod", "Production", OnFailure::Rollback, |p| {
        let asks = Notify {
            changes: Vec::new(),
            checked: Some("schema/migration-safety".into()),
            ..window()
        };
        p.step("prod/notify", asks);
    });
    let new = NewRun {
        id: "r-mail".parse().expect("an id"),
        plan: planner.finish().expect("a plan"),
        by: by(),
        reason: "test".into(),
        request: None,
    };
    let engine = engine(Arc::new(MemoryJournal::default()), None);
    let (driver, _handle) = engine.start(new).await.expect("starts");
    let (run, stop) = drive(driver).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    let is = |t: &Topic| matches!(t, Topic::Step { topic, .. } if topic == DEPLOYING);
    let notice = run
        .notices
        .iter()
        .find(|n| is(&n.topic))
        .expect("announced");
    render(&run, notice, &people(), "example.org", None).body
}

#[tokio::test]
async fn the_team_is_told_the_pending_migrations_by_name_and_no_others() {
    let mail = announced(2).await;
    assert!(
        mail.contains("20260200_change_0") && mail.contains("20260201_change_1"),
        "{mail}"
    );
    assert!(
        !mail.contains("_change_2") && !mail.contains("20260205_add_notes"),
        "{mail}"
    );
    let mail = announced(12).await;
    assert!(
        mail.contains("_change_9") && mail.contains("and 2 more"),
        "{mail}"
    );
    assert!(!mail.contains("_change_10"), "{mail}");
    let mail = announced(0).await;
    assert!(mail.contains("no migration is pending"), "{mail}");
}
