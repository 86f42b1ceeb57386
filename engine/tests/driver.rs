//! What people and other binaries do to a run while it is driven.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flow_engine::answer::Answer;
use flow_engine::clock::Timestamp;
use flow_engine::driver::{Engine, Handle, Stop};
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::outbox::{DeliveryError, Notifier};
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::record::{ParkReason, Verdict, Wait};
use flow_engine::registry::Registry;
use flow_engine::run::{Delivery, Notice, Refusal, Run, Topic};
use flow_engine::signal::{Order, Signal};
use flow_engine::step::{Cx, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

mod support;
use support::{id, me};

/// Waits until somebody says `yes`.
#[derive(Serialize, Deserialize)]
struct AskPeople {
    minutes: Option<u64>,
}

#[async_trait]
impl Step for AskPeople {
    const KIND: &'static str = "test.ask-people";
    type Output = usize;
    fn summary(&self) -> String {
        "ask".into()
    }
    async fn run(&self, cx: &Cx) -> Result<usize, StepError> {
        if cx.signals().any(|s| s.body == "yes") {
            return Ok(cx.signals().count());
        }
        let until = self
            .minutes
            .map(|m| cx.run().created.plus(Duration::from_secs(60 * m)));
        Err(StepError::Wait(Wait {
            who: "qa".into(),
            what: "a yes".into(),
            answer: Some(Answer::choice(["yes"])),
            until,
        }))
    }
}

/// Takes a note, waits for a while, and wants a mail sent.
#[derive(Serialize, Deserialize)]
struct Worker {
    seconds: u64,
}

#[async_trait]
impl Step for Worker {
    const KIND: &'static str = "test.worker";
    type Output = Option<u64>;
    fn summary(&self) -> String {
        "work".into()
    }
    fn undo_in_words(&self) -> Option<String> {
        Some("unwork".into())
    }
    async fn run(&self, cx: &Cx) -> Result<Option<u64>, StepError> {
        let earlier = cx.noted()?;
        cx.note(&7u64).await?;
        cx.queue("working", &"hard").await?;
        cx.sleep(Duration::from_secs(self.seconds)).await?;
        Ok(earlier)
    }
}

/// A later version of [`Worker`]: this binary cannot read the old one.
#[derive(Serialize, Deserialize)]
struct WorkerTwo;

#[async_trait]
impl Step for WorkerTwo {
    const KIND: &'static str = "test.worker";
    const VERSION: u16 = 2;
    type Output = ();
    fn summary(&self) -> String {
        "work".into()
    }
    async fn run(&self, _cx: &Cx) -> Result<(), StepError> {
        Ok(())
    }
}

/// Remembers what it was told, and fails the first `refuse` times.
struct Postman {
    sent: Mutex<Vec<(u64, Topic)>>,
    refuse: Mutex<u32>,
}

#[async_trait]
impl Notifier for Postman {
    async fn deliver(&self, _run: &Run, notice: &Notice) -> Result<(), DeliveryError> {
        let mut refuse = self.refuse.lock().expect("no panic");
        if *refuse > 0 {
            *refuse -= 1;
            return Err(DeliveryError::Later("greylisted".into()));
        }
        self.sent
            .lock()
            .expect("no panic")
            .push((notice.id, notice.topic.clone()));
        Ok(())
    }
}

fn postman(refuse: u32) -> Arc<Postman> {
    Arc::new(Postman {
        sent: Mutex::default(),
        refuse: Mutex::new(refuse),
    })
}

fn registry() -> Registry {
    Registry::default().with::<AskPeople>().with::<Worker>()
}

fn engine(journal: &Arc<MemoryJournal>, notifier: Option<Arc<Postman>>) -> Engine {
    Engine {
        notifier: notifier.map(|n| n as _),
        wait_for_people: true,
        ..support::engine(journal, registry(), Resources::default())
    }
}

fn plan(body: impl FnOnce(&mut Planner)) -> Plan {
    support::plan(OnFailure::Park, body)
}

fn yes(step: &str, id: &str) -> Signal {
    Signal {
        step: step.into(),
        id: id.into(),
        by: me(),
        body: "yes".into(),
        at: Timestamp(1),
    }
}

/// Drives in the background and gives back the handle.
async fn driven(engine: Engine, plan: Plan) -> (Handle, tokio::task::JoinHandle<(Arc<Run>, Stop)>) {
    let (handle, drive) = support::drive(engine, plan).await;
    let drive = tokio::spawn(async { drive.await.expect("no panic").expect("drives") });
    (handle, drive)
}

async fn until_waiting(handle: &Handle) {
    for _ in 0..100 {
        let run = handle.look().await.expect("driven");
        if run.waiting().next().is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never waited");
}

#[tokio::test(start_paused = true)]
async fn an_answer_given_before_the_question_is_not_lost() {
    let journal = Arc::default();
    let plan = plan(|p| {
        p.step("a/work", Worker { seconds: 60 });
        p.step("a/ask", AskPeople { minutes: None });
    });
    let (handle, drive) = driven(engine(&journal, None), plan).await;
    assert_eq!(handle.signal(yes("a/ask", "1")).await, Ok(Ok(())));
    let (_, stop) = drive.await.expect("no panic");
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_answer_is_answered_already() {
    let journal = Arc::default();
    let plan = plan(|p| {
        p.step("a/ask", AskPeople { minutes: None });
        p.step("a/work", Worker { seconds: 60 });
    });
    let (handle, drive) = driven(engine(&journal, None), plan).await;
    until_waiting(&handle).await;
    assert_eq!(handle.signal(yes("a/ask", "1")).await, Ok(Ok(())));
    assert_eq!(
        handle.signal(yes("a/ask", "1")).await,
        Ok(Err(Refusal::Already))
    );
    let nowhere = handle.signal(yes("a/nowhere", "1")).await;
    assert_eq!(nowhere, Ok(Err(Refusal::NoStep("a/nowhere".into()))));
    assert_eq!(
        drive.await.expect("no panic").1,
        Stop::Finished(Verdict::Completed)
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_answering_in_time_parks_and_is_no_loop_and_no_failure() {
    let journal = Arc::default();
    let plan = plan(|p| {
        p.step("a/ask", AskPeople { minutes: Some(10) });
    });
    let (_handle, drive) = driven(engine(&journal, None), plan).await;
    let (run, stop) = drive.await.expect("no panic");
    assert_eq!(stop, Stop::Parked(ParkReason::Unreached { step: 0 }));
    assert_eq!(run.updated.since(run.created), Duration::from_mins(10));
}

#[tokio::test(start_paused = true)]
async fn a_driver_told_not_to_wait_leaves_when_only_people_are_asked() {
    let journal = Arc::default();
    let plan = plan(|p| {
        p.step("a/ask", AskPeople { minutes: None });
    });
    let engine = Engine {
        wait_for_people: false,
        ..engine(&journal, None)
    };
    let (_handle, drive) = driven(engine, plan).await;
    assert_eq!(drive.await.expect("no panic").1, Stop::WaitingForPeople);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_ordered_in_mid_step_interrupts_and_undoes_it() {
    let journal = Arc::default();
    let plan = plan(|p| {
        p.step("a/work", Worker { seconds: 100_000 });
    });
    let (handle, drive) = driven(engine(&journal, None), plan).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(
        handle.order(Order::Rollback, me(), "users miss data").await,
        Ok(Ok(()))
    );
    let (run, stop) = drive.await.expect("no panic");
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
    assert_eq!(run.orders[0].reason, "users miss data");
    assert!(run.steps[0].undo_report.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_note_survives_the_driver_and_the_attempt_keeps_its_number() {
    let journal: Arc<MemoryJournal> = Arc::default();
    let plan = plan(|p| {
        p.step("a/work", Worker { seconds: 30 });
    });
    let (handle, drive) = driven(engine(&journal, None), plan).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    handle.stop();
    assert_eq!(drive.await.expect("no panic").1, Stop::Interrupted);
    let (driver, _handle) = engine(&journal, None).resume(&id()).await.expect("resumes");
    let (run, stop) = driver.drive().await.expect("drives");
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    assert_eq!(
        (run.output("a/work"), run.steps[0].attempts),
        (Some("7"), 1)
    );
}

#[tokio::test(start_paused = true)]
async fn notices_are_sent_in_order_once_and_recorded() {
    let journal = Arc::default();
    let postman = postman(2);
    let plan = plan(|p| {
        p.step("a/work", Worker { seconds: 60 });
    });
    let (_handle, drive) = driven(engine(&journal, Some(Arc::clone(&postman))), plan).await;
    let (run, _) = drive.await.expect("no panic");
    let sent = postman.sent.lock().expect("no panic").clone();
    let mut ids: Vec<u64> = sent.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    assert_eq!(ids, run.notices.iter().map(|n| n.id).collect::<Vec<_>>());
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3, "{sent:?}");
    assert!(
        run.notices
            .iter()
            .all(|n| matches!(n.delivery, Delivery::Sent(_)))
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_over_tries_each_notice_once_more_at_most_and_gives_the_journal_free() {
    let journal = Arc::default();
    let postman = postman(u32::MAX);
    let plan = plan(|p| {
        p.step("a/work", Worker { seconds: 1 });
    });
    let (_handle, drive) = driven(engine(&journal, Some(Arc::clone(&postman))), plan).await;
    let (run, stop) = drive.await.expect("no panic");
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    let tried = u32::MAX - *postman.refuse.lock().expect("no panic");
    let notices = run.notices.len();
    assert_eq!(usize::try_from(tried), Ok(notices), "each once");
    assert!(run.notices.iter().all(|n| n.delivery == Delivery::Pending));
}

#[tokio::test(start_paused = true)]
async fn a_step_this_binary_cannot_read_parks_the_run_and_says_which_can() {
    let journal: Arc<MemoryJournal> = Arc::default();
    let old = plan(|p| {
        p.step("a/work", Worker { seconds: 1 });
    });
    let newer = Engine {
        registry: Arc::new(Registry::default().with::<WorkerTwo>()),
        ..engine(&journal, None)
    };
    let (_handle, drive) = driven(newer, old).await;
    let (run, stop) = drive.await.expect("no panic");
    let Stop::Parked(ParkReason::Unreadable { why, .. }) = stop else {
        panic!("{stop:?}")
    };
    assert!(
        why.contains("`test.worker` version 1; this flow reads version 2; use flow 0.0.1"),
        "{why}"
    );
    assert_eq!(run.steps[0].started, None);
}

#[tokio::test(start_paused = true)]
async fn an_overtaken_driver_cannot_write() {
    let journal: Arc<MemoryJournal> = Arc::default();
    let plan = plan(|p| {
        p.step("a/work", Worker { seconds: 10 });
        p.step("a/more", Worker { seconds: 10 });
    });
    let (_handle, first) = support::drive(engine(&journal, None), plan).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (second, _second_handle) = engine(&journal, None).resume(&id()).await.expect("resumes");
    let error = first
        .await
        .expect("no panic")
        .expect_err("the first is fenced off");
    assert!(
        error.to_string().contains("was overtaken by epoch"),
        "{error}"
    );
    assert_eq!(
        second.drive().await.expect("drives").1,
        Stop::Finished(Verdict::Completed)
    );
}

#[test]
fn orders_that_make_no_sense_are_refused_with_the_reason() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(async {
        let journal = Arc::default();
        let plan = plan(|p| {
            p.step("a/ask", AskPeople { minutes: None });
        });
        let (handle, _drive) = driven(engine(&journal, None), plan).await;
        until_waiting(&handle).await;
        let run = handle.look().await.expect("driven");
        assert!(matches!(
            run.accepts(&Order::Retry),
            Err(Refusal::NotParked { .. })
        ));
        assert!(run.accepts(&Order::Cancel).is_ok());
        let skip = Order::Skip {
            step: "a/ask".into(),
        };
        assert!(matches!(run.accepts(&skip), Err(Refusal::NotParked { .. })));
    });
}
