use std::sync::Arc;
use std::time::Duration;

use flow_engine::journal::memory::MemoryJournal;
use flow_engine::journal::{Append, Journal};
use flow_engine::run::{Run, Status};
use flow_engine::signal::{Order, Signal};

use super::client::Client;
use super::*;
use crate::args::Wait;
use crate::drive::Drive;
use crate::state::State;
use crate::store::Store;
use crate::testing::{self, NOON, Quiet, actor};

/// A folder whose journal exists, so that a second terminal looks for the process that drives.
fn state() -> (tempfile::TempDir, State) {
    let dir = tempfile::tempdir().expect("a folder");
    let state = State {
        dir: dir.path().to_owned(),
    };
    std::fs::create_dir(state.journal()).expect("a folder");
    (dir, state)
}

/// A driver of the tiny workflow that stays while `qa` is waited for.
fn drive(
    state: &State,
    journal: Arc<dyn Journal>,
) -> tokio::task::JoinHandle<Result<Exit, Diagnostic>> {
    let wait = Wait {
        wait: true,
        no_wait: false,
    };
    let drive = Drive::new(state, journal, testing::parts(), wait, true).shown(Arc::new(Quiet));
    tokio::spawn(drive.start(testing::new_run("r-one", false)))
}

/// A second terminal, once the run waits for `qa`.
async fn second_terminal(state: &State) -> (Store, Run) {
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Some(client) = Client::connect(state).await else {
            continue;
        };
        let store = Store::Remote(client);
        let run = store.find("r-on").await.expect("the run is there");
        let asks = run.steps.iter().any(|s| s.status == Status::Waiting);
        if asks {
            return (store, run);
        }
    }
    panic!("the run did not come to wait for qa");
}

fn answer(step: &str) -> Signal {
    Signal {
        step: step.into(),
        id: "a-1".into(),
        by: actor(),
        body: "\"yes\"".into(),
        at: NOON,
    }
}

async fn ended(driver: tokio::task::JoinHandle<Result<Exit, Diagnostic>>) -> Exit {
    let limit = Duration::from_secs(90);
    let joined = tokio::time::timeout(limit, driver).await.expect("in time");
    joined.expect("no panic").expect("no error")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_from_a_second_terminal_lets_the_run_complete() {
    let (_dir, state) = state();
    let driver = drive(&state, Arc::new(MemoryJournal::default()));
    let (store, mut run) = second_terminal(&state).await;
    assert_eq!(store.driven(), Some("r-one"));
    let shown = crate::view::text::status(&run, &crate::driver::Driver::Unasked, NOON);
    assert!(shown.contains("waits for qa: does it work?"), "{shown}");

    let posted = store.signal(&mut run, answer("prod/ask")).await;
    assert_eq!(posted, Ok(Receipt::Stored));
    assert_eq!(ended(driver).await, Exit::Done);
    assert!(!state.socket().exists(), "the socket is removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_answer_twice_is_answered_already_and_one_for_no_step_is_refused() {
    let (_dir, state) = state();
    let driver = drive(&state, Arc::new(MemoryJournal::default()));
    let (store, mut run) = second_terminal(&state).await;
    let early = store.signal(&mut run, answer("prod/again")).await;
    assert_eq!(early, Ok(Receipt::Stored), "before the step waits");
    let twice = store.signal(&mut run, answer("prod/again")).await;
    assert_eq!(twice, Ok(Receipt::Already));
    let nowhere = store.signal(&mut run, answer("prod/none")).await;
    assert_eq!(nowhere.map_err(|d| d.exit), Err(Exit::Usage));
    let unparked = store
        .order(&mut run, Order::Retry, actor(), ("why not", NOON))
        .await;
    assert_eq!(unparked.map_err(|d| d.exit), Err(Exit::Refused));
    let _posted = store.signal(&mut run, answer("prod/ask")).await;
    assert_eq!(ended(driver).await, Exit::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_from_a_second_terminal_undoes_what_started() {
    let (_dir, state) = state();
    let journal = Arc::new(MemoryJournal::default());
    let driver = drive(&state, journal.clone());
    let (store, mut run) = second_terminal(&state).await;
    assert_eq!(run.undo_order().len(), 1);
    let posted = store
        .order(
            &mut run,
            Order::Rollback,
            actor(),
            ("users miss rows", NOON),
        )
        .await;
    assert_eq!(posted, Ok(Receipt::Stored));
    assert_eq!(ended(driver).await, Exit::RolledBack);
    let run = Run::load(&*journal, &run.id).await.expect("loads");
    // Whatever the sender says: who it is, the kernel says.
    assert_ne!(actor(), crate::actor::me());
    assert_eq!(run.orders[0].by, crate::actor::me());
    assert_eq!(run.orders[0].reason, "users miss rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_to_a_run_that_this_process_does_not_drive_is_stored_and_left_to_be_carried_out() {
    let (_dir, state) = state();
    let journal = Arc::new(MemoryJournal::default());
    let (mut parked, _) = testing::driven(&journal, vec![], true).await;
    let driver = drive(&state, journal.clone());
    let (store, mut run) = second_terminal(&state).await;
    let other = Arc::make_mut(&mut parked);
    let posted = store
        .order(other, Order::Cancel, actor(), ("no", NOON))
        .await;
    assert_eq!(posted, Ok(Receipt::Stored));
    let stored = Run::load(&*journal, &other.id).await.expect("loads");
    assert_eq!(stored.orders[0].order, Order::Cancel);
    assert!(stored.unwinding().is_some(), "{:?}", stored.life);
    let senseless = store
        .order(other, Order::Retry, actor(), ("no", NOON))
        .await;
    assert_eq!(senseless.map_err(|d| d.exit), Err(Exit::Refused));
    let past = store.past().await.expect("reads");
    assert_eq!((past.runs.len(), past.damaged.len()), (2, 0));
    let id = run.id.clone();
    let there = journal.read(&id).await.expect("reads");
    assert_eq!(store.journal().read(&id).await.expect("reads"), there);
    let _posted = store.signal(&mut run, answer("prod/ask")).await;
    assert_eq!(ended(driver).await, Exit::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_run_is_told_from_the_others_by_a_second_terminal_too() {
    let (_dir, state) = state();
    let journal = Arc::new(MemoryJournal::default());
    let unreadable = Append {
        run: "r-bad".parse().expect("an id"),
        first_seq: 0,
        epoch: 0,
        bodies: vec![b"no record".to_vec()],
    };
    journal.append(unreadable).await.expect("appends");
    let driver = drive(&state, journal.clone());
    let (store, mut run) = second_terminal(&state).await;
    let past = store.past().await.expect("one damaged run hides no other");
    assert_eq!(past.runs.len(), 1);
    assert_eq!(past.damaged[0].id.as_str(), "r-bad");
    let _posted = store.signal(&mut run, answer("prod/ask")).await;
    assert_eq!(ended(driver).await, Exit::Done);
}

#[tokio::test]
async fn without_a_control_socket_no_run_is_begun() {
    let (_dir, state) = state();
    std::fs::create_dir(state.socket()).expect("something in the way");
    let journal = Arc::new(MemoryJournal::default());
    let drive = Drive::new(
        &state,
        journal.clone(),
        testing::parts(),
        Wait::default(),
        true,
    );
    let refused = drive.start(testing::new_run("r-one", false)).await;
    let refused = refused.expect_err("there is no socket");
    assert!(
        refused.render().contains("Nothing was changed"),
        "{refused:?}"
    );
    assert_eq!(journal.runs().await.expect("reads"), vec![]);
}

#[tokio::test]
async fn a_socket_that_a_dead_process_left_is_replaced() {
    let (_dir, state) = state();
    drop(std::os::unix::net::UnixListener::bind(state.socket()).expect("binds"));
    assert!(state.socket().exists());
    assert!(Client::connect(&state).await.is_none());
    let driver = drive(&state, Arc::new(MemoryJournal::default()));
    let (store, mut run) = second_terminal(&state).await;
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(state.socket())
            .expect("is there")
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let _posted = store.signal(&mut run, answer("prod/ask")).await;
    assert_eq!(ended(driver).await, Exit::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_process_that_ends_while_it_is_asked_what_it_left_is_read() {
    use flow_engine::journal::sled::{OpenOptions, SledJournal};
    let (_dir, state) = state();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&state.dir, mode).expect("sets");
    std::fs::remove_dir(state.journal()).expect("the empty folder");
    let opened = SledJournal::open(&state.journal(), &OpenOptions::default());
    let (journal, _) = opened.expect("opens");
    let driver = drive(&state, Arc::new(journal));
    let (store, mut run) = second_terminal(&state).await;
    let _posted = store.signal(&mut run, answer("prod/ask")).await;
    assert_eq!(ended(driver).await, Exit::Done);
    let Store::Remote(client) = &store else {
        panic!("another process drove");
    };
    assert_eq!(client.runs().await.expect("reads"), [run.id.clone()]);
    let left = Run::load(client, &run.id).await.expect("loads");
    assert!(
        matches!(left.life, flow_engine::run::Life::Finished { .. }),
        "{:?}",
        left.life
    );
    // What cannot be sent any more is not taken for stored.
    let late = client.signal(&run.id, &answer("prod/ask")).await;
    assert_eq!(late.map_err(|d| d.exit), Err(Exit::Unknown));
    // Somebody who takes connections and says nothing has not ended.
    let listener = std::os::unix::net::UnixListener::bind(state.socket()).expect("binds");
    listener.set_nonblocking(true).expect("sets");
    let asked = tokio::time::timeout(Duration::from_secs(1), client.runs()).await;
    assert!(asked.is_err(), "{asked:?}");
}

#[test]
fn a_path_too_long_for_a_socket_is_a_clear_error() {
    let path = std::path::PathBuf::from(format!("/{}", "x".repeat(200)));
    let refused = server::check(&path).expect_err("too long");
    assert_eq!(refused.exit, Exit::Usage);
    assert!(refused.render().contains("--state"), "{}", refused.render());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_is_what_the_kernel_says_and_what_hides_text_is_refused() {
    let (_dir, state) = state();
    let journal = Arc::new(MemoryJournal::default());
    let driver = drive(&state, journal.clone());
    let (store, mut run) = second_terminal(&state).await;
    let Store::Remote(client) = &store else {
        panic!("another process drives");
    };
    let mut hidden = answer("prod/ask");
    hidden.id = "x\u{202e}".into();
    let mut long = answer("prod/ask");
    long.id = "x".repeat(3000);
    for bad in [hidden, long] {
        let refused = client.signal(&run.id, &bad).await;
        assert_eq!(refused.map_err(|d| d.exit), Err(Exit::Refused));
    }
    let reason = "fine\u{1b}[2J";
    let refused = client.order(&run.id, Order::Cancel, actor(), reason).await;
    assert_eq!(refused.map_err(|d| d.exit), Err(Exit::Refused));
    let _posted = store.signal(&mut run, answer("prod/ask")).await;
    assert_eq!(ended(driver).await, Exit::Done);
    let run = Run::load(&*journal, &run.id).await.expect("loads");
    let senders: Vec<_> = run.signals.iter().map(|s| &s.by).collect();
    assert_eq!(senders, [&crate::actor::me()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_keep_nobody_out_for_long() {
    let (_dir, state) = state();
    let driver = drive(&state, Arc::new(MemoryJournal::default()));
    let (store, mut run) = second_terminal(&state).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        // Beyond what is served at once the socket's own queue fills up.
        let connect = tokio::net::UnixStream::connect(state.socket());
        match tokio::time::timeout(Duration::from_millis(200), connect).await {
            Ok(Ok(stream)) => silent.push(stream),
            _ => break,
        }
    }
    assert!(silent.len() > 64, "{}", silent.len());
    let mut waited = 0;
    while Client::connect(&state).await.is_none() {
        waited += 1;
        assert!(waited < 9, "nobody gets through");
    }
    let _posted = store.signal(&mut run, answer("prod/ask")).await;
    assert_eq!(ended(driver).await, Exit::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_whose_socket_takes_connections_is_never_offered_to_be_taken_over() {
    use flow_engine::journal::sled::{OpenOptions, SledJournal};
    let (_dir, state) = state();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&state.dir, mode).expect("sets");
    std::fs::remove_dir(state.journal()).expect("the empty folder");
    let held = SledJournal::open(&state.journal(), &OpenOptions::default()).expect("opens");
    // Nobody accepts: the kernel takes connections until the queue is full.
    let listener = std::os::unix::net::UnixListener::bind(state.socket()).expect("binds");
    let refused = Store::open(&state).await.err().expect("it is held");
    let said = refused.render();
    assert_eq!(refused.exit, Exit::Locked, "{said}");
    assert!(
        said.contains("takes connections") && !said.contains("--take-over"),
        "{said}"
    );
    let refused = crate::store::take_over::take_over(&state).await;
    assert_eq!(refused.map_err(|d| d.exit), Err(Exit::Locked));
    drop((listener, held));
}
