//! What another process writes into the journal of a run that is driven.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use flow_engine::clock::{SystemClock, Timestamp};
use flow_engine::codec;
use flow_engine::driver::{Engine, NewRun, Stop};
use flow_engine::id::{Digest, RunId};
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::journal::{Append, Head, Journal, JournalError, Stored};
use flow_engine::lease;
use flow_engine::outbox::{DeliveryError, Notifier};
use flow_engine::plan::{Effect, OnFailure, Plan};
use flow_engine::record::{Entry, Record, Verdict};
use flow_engine::registry::Registry;
use flow_engine::run::{
    Delivery, LoadError, Notice, Refusal, Run, Undo, append_order, append_sent, append_signal,
};
use flow_engine::signal::{Order, Signal};
use flow_engine::step::{Cx, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

mod support;
use support::{id, me};

/// Notes, has the team told, and is done.
#[derive(Serialize, Deserialize)]
struct Work;

#[async_trait]
impl Step for Work {
    const KIND: &'static str = "test.work";
    type Output = usize;
    fn summary(&self) -> String {
        "work".into()
    }
    fn effect(&self) -> Effect {
        Effect::Changes
    }
    fn undo_in_words(&self) -> Option<String> {
        Some("unwork".into())
    }
    async fn run(&self, cx: &Cx) -> Result<usize, StepError> {
        cx.resource::<Doings>()?.add(cx.key());
        cx.note(&"begun").await?;
        cx.queue("working", &cx.key()).await?;
        Ok(cx.signals().count())
    }
}

/// Which steps were run, in order.
#[derive(Default)]
struct Doings(Mutex<Vec<String>>);

impl Doings {
    fn add(&self, key: &str) {
        self.0.lock().expect("no panic").push(key.to_owned());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

/// What another process does in the moment before an append of the driver.
#[derive(Debug, Clone)]
enum Other {
    Orders(Order),
    Answers(&'static str),
    /// Mails the oldest notice that is pending.
    Mails,
    TakesOver,
    /// Drives without having taken over.
    Drives,
}

/// The driver's handle on a journal that another process has open as well.
struct Handle {
    journal: Arc<dyn Journal>,
    /// What happens before each append, from the first on; nothing when they are used up.
    before: Mutex<VecDeque<Option<Other>>>,
    /// Whether the last of them happens again and again.
    for_ever: bool,
}

impl Handle {
    async fn let_others_write(&self) {
        let other = {
            let mut before = self.before.lock().expect("no panic");
            match before.len() {
                1 if self.for_ever => before[0].clone(),
                _ => before.pop_front().flatten(),
            }
        };
        let Some(other) = other else { return };
        let journal = &*self.journal;
        let mut run = Run::load(journal, &id()).await.expect("loads");
        let at = Timestamp(2);
        match other {
            Other::Orders(order) => append_order(journal, &mut run, order, me(), "so", at).await,
            Other::Answers(body) => {
                let name = format!("{body}-{}", run.next_seq);
                append_signal(journal, &mut run, answer(&name, body)).await
            }
            Other::Mails => {
                let pending = |n: &&Notice| n.delivery == Delivery::Pending;
                let pending = run.notices.iter().find(pending).map(|n| n.id);
                match pending {
                    Some(notice) => append_sent(journal, &mut run, notice, at).await,
                    None => Ok(()),
                }
            }
            Other::TakesOver => lease::acquire(&self.journal, &SystemClock, &id(), "2")
                .await
                .map(drop),
            Other::Drives => drives(journal, &run).await.map_err(LoadError::Journal),
        }
        .expect("the other one writes");
    }
}

async fn drives(journal: &dyn Journal, run: &Run) -> Result<(), JournalError> {
    let record = Record::Parked {
        why: flow_engine::record::ParkReason::StepFailed { step: 0 },
    };
    let at = Timestamp(2);
    let body = codec::encode(&Entry { at, record }).expect("encodes");
    let append = Append {
        run: id(),
        first_seq: run.next_seq,
        epoch: run.epoch,
        bodies: vec![body],
    };
    journal.append(append).await.map(drop)
}

#[async_trait]
impl Journal for Handle {
    async fn append(&self, batch: Append) -> Result<Head, JournalError> {
        if batch.first_seq > 0 {
            self.let_others_write().await;
        }
        self.journal.append(batch).await
    }
    async fn read(&self, run: &RunId) -> Result<Vec<Stored>, JournalError> {
        self.journal.read(run).await
    }
    async fn head(&self, run: &RunId) -> Result<Option<Head>, JournalError> {
        self.journal.head(run).await
    }
    async fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        self.journal.runs().await
    }
    async fn put(&self, bytes: &[u8]) -> Result<Digest, JournalError> {
        self.journal.put(bytes).await
    }
    async fn get(&self, object: &Digest) -> Result<Vec<u8>, JournalError> {
        self.journal.get(object).await
    }
}

/// Takes every mail, and writes down which.
#[derive(Default)]
struct Post(Mutex<Vec<u64>>);

#[async_trait]
impl Notifier for Post {
    async fn deliver(&self, _: &Run, notice: &Notice) -> Result<(), DeliveryError> {
        self.0.lock().expect("no panic").push(notice.id);
        Ok(())
    }
}

fn answer(name: &str, body: &str) -> Signal {
    Signal {
        step: "a/two".into(),
        id: name.into(),
        by: me(),
        body: body.into(),
        at: Timestamp(1),
    }
}

fn two_steps() -> Plan {
    support::plan(OnFailure::Rollback, |p| {
        p.step("a/one", Work);
        p.step("a/two", Work);
    })
}

fn new(plan: Plan) -> NewRun {
    NewRun {
        id: id(),
        plan,
        by: me(),
        reason: String::new(),
        request: None,
    }
}

/// How a run of two steps ended.
struct End {
    stop: Result<Stop, LoadError>,
    doings: Vec<String>,
    run: Run,
    records: Vec<Record>,
}

impl End {
    fn count(&self, is: impl Fn(&Record) -> bool) -> usize {
        self.records.iter().filter(|record| is(record)).count()
    }
}

async fn drive_on(journal: Arc<dyn Journal>, handle: Handle, post: Option<Arc<Post>>) -> End {
    let doings = Arc::new(Doings::default());
    let resources = Resources::default().with_shared(Arc::clone(&doings));
    let registry = Registry::default().with::<Work>();
    let engine = Engine {
        journal: Arc::new(handle),
        notifier: post.map(|post| post as _),
        ..support::engine(&Arc::default(), registry, resources)
    };
    let (_handle, driven) = support::drive(engine, two_steps()).await;
    let driven = driven.await.expect("no panic");
    let stop = driven.map(|(_, stop)| stop);
    let run = Run::load(&*journal, &id()).await.expect("readable");
    let entries = Run::entries(&*journal, &id()).await.expect("readable");
    End {
        stop,
        doings: doings.all(),
        run,
        records: entries.into_iter().map(|(_, e)| e.record).collect(),
    }
}

/// Drives two steps in memory while others write before these appends: 0 is the taking, 1 the start of the first step, 2 its note,
/// 3 its mail, 4 its end with the start of the second.
async fn drive(before: impl IntoIterator<Item = Option<Other>>) -> End {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let handle = Handle {
        journal: Arc::clone(&journal),
        before: Mutex::new(before.into_iter().collect()),
        for_ever: false,
    };
    drive_on(journal, handle, None).await
}

/// Before the append of that number.
fn at(append: usize, other: Other) -> Vec<Option<Other>> {
    let mut before = vec![None; append];
    before.push(Some(other));
    before
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_another_process_is_taken_in_before_any_append_and_the_run_completes() {
    for append in 0..8 {
        let end = drive(at(append, Other::Answers("yes"))).await;
        let stop = end.stop.expect("it survives");
        assert_eq!(stop, Stop::Finished(Verdict::Completed), "{append}");
        assert_eq!(end.doings, ["a/one", "a/two"], "{append}: each once");
        assert_eq!(end.run.signals.len(), 1, "{append}");
        // The second step is started by the fourth append; what is there by then it is shown.
        let shown = if append <= 4 { "1" } else { "0" };
        assert_eq!(end.run.output("a/two"), Some(shown), "{append}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_before_anothers_order_is_void() {
    // The end of the first step and the start of the second go into one append: the end stays, the start does not.
    let end = drive(at(4, Other::Orders(Order::Rollback))).await;
    assert_eq!(
        end.stop.expect("it survives"),
        Stop::Finished(Verdict::RolledBack)
    );
    assert_eq!(end.doings, ["a/one"], "the second step never began");
    assert!(end.run.steps[1].started.is_none());
    assert_eq!(end.run.output("a/one"), Some("0"), "what it did stays");
    assert_eq!(end.run.steps[0].undo, Undo::Undone);
}

#[tokio::test(start_paused = true)]
async fn an_order_of_another_process_is_obeyed_before_whichever_append_it_comes() {
    for append in 0..8 {
        let end = drive(at(append, Other::Orders(Order::Rollback))).await;
        let stop = end.stop.expect("it survives");
        assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{append}");
        let open = end.run.steps.iter().filter(|s| s.started.is_some());
        assert!(open.clone().all(|s| s.undo == Undo::Undone), "{append}");
        assert_eq!(end.doings.len(), open.count(), "{append}: run as recorded");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_another_process_took_over_is_left_to_it() {
    for append in 1..7 {
        let end = drive(at(append, Other::TakesOver)).await;
        let why = end.stop.expect_err("overtaken");
        assert!(
            matches!(
                why,
                LoadError::Journal(JournalError::Fenced {
                    ours: 1,
                    seen: 2,
                    ..
                })
            ),
            "{append}: {why}"
        );
        assert_eq!(end.run.epoch, 2, "{append}");
        assert!(matches!(
            end.records.last(),
            Some(Record::Acquired { version, .. }) if version == "2"
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_driver_that_has_not_taken_over_is_named_and_nothing_is_written() {
    let end = drive(at(2, Other::Drives)).await;
    let why = end.stop.expect_err("two drivers");
    assert!(matches!(why, LoadError::SecondDriver { .. }), "{why}");
    assert!(matches!(end.records.last(), Some(Record::Parked { .. })));
    assert_eq!(end.doings, ["a/one"]);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_never_gets_a_turn_ends_and_names_that() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let handle = Handle {
        journal: Arc::clone(&journal),
        before: Mutex::new(at(2, Other::Answers("more")).into()),
        for_ever: true,
    };
    let end = drive_on(journal, handle, None).await;
    let why = end.stop.as_ref().expect_err("no turn");
    assert!(matches!(why, LoadError::NoTurn(_)), "{why}");
    assert!(why.to_string().contains("16 times in a row"), "{why}");
    let answers = end.count(|record| matches!(record, Record::Signalled(_)));
    assert_eq!((answers, end.run.signals.len()), (16, 16));
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_another_process_sent_is_on_record_once() {
    for append in 1..9 {
        let handle = Handle {
            journal: Arc::new(MemoryJournal::default()),
            before: Mutex::new(at(append, Other::Mails).into()),
            for_ever: false,
        };
        let shared = Arc::clone(&handle.journal);
        let end = drive_on(shared, handle, Some(Arc::default())).await;
        end.stop.as_ref().expect("it survives");
        for notice in &end.run.notices {
            let id = notice.id;
            let sent = end.count(|r| matches!(r, Record::Sent { notice } if *notice == id));
            assert_eq!(sent, 1, "{append}: {notice:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_came_both_ways_is_answered_already() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let mut run = started(&journal).await;
    let mut other = run.clone();
    append_signal(&*journal, &mut other, answer("same", "yes"))
        .await
        .expect("the first is stored");
    // This handle's run does not know of it yet.
    let again = append_signal(&*journal, &mut run, answer("same", "yes")).await;
    assert!(
        matches!(again, Err(LoadError::Refused(Refusal::Already))),
        "{again:?}"
    );
    assert_eq!(run.signals.len(), 1, "read anew");
    let late = append_signal(&*journal, &mut other, answer("late", "yes")).await;
    late.expect("stored");
    append_order(&*journal, &mut run, Order::Cancel, me(), "so", Timestamp(3))
        .await
        .expect("it is taken, after what others wrote");
    let late = append_order(
        &*journal,
        &mut other,
        Order::Cancel,
        me(),
        "so",
        Timestamp(3),
    )
    .await;
    assert!(
        matches!(late, Err(LoadError::Refused(Refusal::NothingToUndo { .. }))),
        "{late:?}"
    );
}

/// A run that is created and driven by nobody.
async fn started(journal: &Arc<dyn Journal>) -> Run {
    let engine = Engine {
        journal: Arc::clone(journal),
        ..support::engine(&Arc::default(), Registry::default(), Resources::default())
    };
    let (driver, _handle) = engine.start(new(two_steps())).await.expect("starts");
    Run::clone(driver.run())
}

#[tokio::test]
async fn the_journal_on_disk_lets_a_driver_hear_others_as_well() {
    let dir = tempfile::tempdir().expect("a folder");
    let opened = SledJournal::open(dir.path(), &OpenOptions::default());
    let journal: Arc<dyn Journal> = Arc::new(opened.expect("opens").0);
    let before = [
        at(3, Other::Answers("yes")),
        vec![Some(Other::Orders(Order::Rollback))],
    ];
    let handle = Handle {
        journal: Arc::clone(&journal),
        before: Mutex::new(before.concat().into()),
        for_ever: false,
    };
    let end = drive_on(Arc::clone(&journal), handle, None).await;
    assert_eq!(
        end.stop.expect("it survives"),
        Stop::Finished(Verdict::RolledBack)
    );
    assert_eq!((end.doings.len(), end.run.signals.len()), (1, 1));
}
