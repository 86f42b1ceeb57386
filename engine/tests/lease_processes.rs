//! Two drivers, as real processes on one state folder: one is stopped, replaced, and woken again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow_engine::clock::SystemClock;
use flow_engine::id::RunId;
use flow_engine::journal::sled::{Holder, OpenOptions, SledJournal, TakeOver, TakeOverError};
use flow_engine::journal::{Append, Journal, JournalError};
use rustix::process::{Pid, Signal, kill_process};

/// Where the other process works; set for it alone.
const PLACE: &str = "FLOW_TEST_LEASE_PLACE";
const PATIENCE: Duration = Duration::from_secs(90);

/// Not a test of its own: what the other process does. It appends for ever, writes down what was acknowledged, and
/// writes down why it ended.
#[tokio::test]
#[ignore = "started by the other tests, in a process of its own"]
async fn the_other_process() {
    let Ok(place) = std::env::var(PLACE) else {
        return;
    };
    let place = PathBuf::from(place);
    let (journal, _) = SledJournal::open(&place.join("journal"), &OpenOptions::default()).unwrap();
    let mut ledger = std::fs::File::create(place.join("ledger")).unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    for seq in 0.. {
        let body = format!("record {seq}").into_bytes();
        match journal.append(append(seq, 1, body)).await {
            Ok(_) => writeln!(ledger, "{seq}").unwrap(),
            Err(e) => {
                std::fs::write(place.join("error.new"), e.to_string()).unwrap();
                std::fs::rename(place.join("error.new"), place.join("error")).unwrap();
                return;
            }
        }
        assert!(Instant::now() < until, "nobody ended this process");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn id() -> RunId {
    "r-one".parse().unwrap()
}

fn append(first_seq: u64, epoch: u64, body: Vec<u8>) -> Append {
    Append {
        run: id(),
        first_seq,
        epoch,
        bodies: vec![body],
    }
}

/// The other process, and the folder it works in.
struct Other {
    dir: tempfile::TempDir,
    child: Child,
}

impl Other {
    fn start() -> Other {
        let dir = tempfile::tempdir().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_other_process", "--ignored"])
            .env(PLACE, dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let other = Other { dir, child };
        until("it appends", || other.acknowledged() >= 5);
        other
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join("journal")
    }

    fn acknowledged(&self) -> usize {
        let ledger = std::fs::read_to_string(self.dir.path().join("ledger"));
        ledger.map_or(0, |text| text.lines().count())
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Stands still, in the eyes of the kernel too.
    fn stop(&self) {
        self.signal(Signal::STOP);
        until("it is stopped", || state(self.child.id()) == Some('T'));
    }

    fn open(&self) -> Result<SledJournal, JournalError> {
        SledJournal::open(&self.journal(), &OpenOptions::default()).map(|(journal, _)| journal)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy(&item.path(), &target);
        } else {
            std::fs::copy(item.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_stopped_holder_is_named_and_keeps_the_journal() {
    let other = Other::start();
    let pid = other.child.id();
    let Err(JournalError::Locked { holder }) = other.open() else {
        panic!("two processes have one journal open");
    };
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert!(holder.starts_with(&format!("pid {pid} on ")), "{holder}");
    assert!(
        holder.contains(&format!("boot {}, since 2", boot.trim())),
        "{holder}"
    );
    assert!(!holder.contains("stopped"), "{holder}");
    other.stop();
    let Err(JournalError::Locked { holder }) = other.open() else {
        panic!("a stopped process still has its journal open");
    };
    assert!(holder.contains("it is stopped"), "{holder}");
    let found = SledJournal::holder(&other.journal()).unwrap();
    assert!(found.is_stopped() && found.not_here().is_none());
    // Nothing was changed by asking: it goes on.
    let before = other.acknowledged();
    other.signal(Signal::CONT);
    until("it goes on", || other.acknowledged() > before + 3);
    assert!(!other.dir.path().join("error").exists());
}

#[tokio::test]
async fn a_stopped_holder_is_ended_and_what_it_was_promised_is_there() {
    let mut other = Other::start();
    other.stop();
    let promised = other.acknowledged() as u64;
    let taken = SledJournal::take_over(&other.journal(), PATIENCE).unwrap();
    assert!(
        matches!(&taken, TakeOver::Ended(h) if h.pid == other.child.id()),
        "{taken:?}"
    );
    let journal = other.open().unwrap();
    let next = journal.head(&id()).await.unwrap().unwrap().seq + 1;
    assert!(
        next >= promised,
        "{next} records of {promised} that were acknowledged"
    );
    journal
        .append(append(next, 2, b"ours".to_vec()))
        .await
        .unwrap();
    // It cannot wake, and if it could, its epoch is refused.
    other.signal(Signal::CONT);
    let status = other.child.wait().unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(9)
    );
    let late = journal.append(append(next + 1, 1, b"late".to_vec())).await;
    assert!(
        matches!(
            late,
            Err(JournalError::Fenced {
                ours: 1,
                seen: 2,
                ..
            })
        ),
        "{late:?}"
    );
    assert_eq!(other.acknowledged() as u64, promised);
    drop(journal);
    let again = SledJournal::take_over(&other.journal(), PATIENCE).unwrap();
    assert_eq!(again, TakeOver::Free);
}

#[tokio::test]
async fn a_holder_whose_folder_was_replaced_wakes_up_and_writes_nothing() {
    let mut other = Other::start();
    other.stop();
    let (place, old) = (other.journal(), other.dir.path().join("old"));
    let copied = other.dir.path().join("copy");
    copy(&place, &copied);
    std::fs::rename(&place, &old).unwrap();
    std::fs::rename(&copied, &place).unwrap();
    // The kernel's lock stayed with the folder that was moved away: this one is free.
    let journal = other.open().unwrap();
    let before = journal.head(&id()).await.unwrap().unwrap();
    let promised = other.acknowledged();
    let next = before.seq + 1;
    journal
        .append(append(next, 2, b"ours".to_vec()))
        .await
        .unwrap();
    other.signal(Signal::CONT);
    until("it finds out", || other.dir.path().join("error").exists());
    let error = std::fs::read_to_string(other.dir.path().join("error")).unwrap();
    let ours = std::process::id();
    assert!(
        error.contains(&format!("was taken over by pid {ours} on ")),
        "{error}"
    );
    assert!(other.child.wait().unwrap().success());
    assert!(
        other.acknowledged() <= promised + 1,
        "at most an answer that was under way"
    );
    assert_eq!(journal.head(&id()).await.unwrap().unwrap().seq, next);
    drop(journal);
    let (_, report) = SledJournal::open(&place, &OpenOptions::default()).unwrap();
    assert_eq!(report.repaired, [], "the one that woke up touched nothing");
}

#[tokio::test]
async fn a_process_that_is_not_proven_to_be_the_holder_is_left_alone() {
    let other = Other::start();
    let mut bystander = Command::new("sleep")
        .arg("60")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let lock = other.journal().join("LOCK");
    let truth = std::fs::read_to_string(&lock).unwrap();
    let started = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields = stat.rsplit_once(')').unwrap().1.to_owned();
        fields.split_ascii_whitespace().nth(19).unwrap().to_owned()
    };
    let (pid, boot) = (other.child.id().to_string(), Holder::this_process().boot);
    let space = Holder::this_process().space;
    let instead = |from: &str, to: &str| {
        assert!(truth.contains(from), "{truth}");
        truth.replacen(from, to, 1)
    };
    let of_bystander = instead(&format!("pid {pid} "), &format!("pid {} ", bystander.id()));
    let its_start = format!("started {} ", started(bystander.id()));
    let dead = instead(&format!("pid {pid} "), "pid 4194000 ");
    let cases = [
        (
            "another machine",
            instead(&boot, "0b5e0000-aaaa-bbbb-cccc-000000000000"),
        ),
        ("another container", instead(&space, "pid:[1]")),
        ("there is no process", dead),
        ("is another one by now", of_bystander.clone()),
        (
            "does not have this LOCK open",
            of_bystander.replace(
                &format!("started {} ", started(other.child.id())),
                &its_start,
            ),
        ),
        ("too little", truth.lines().next().unwrap().to_owned()),
        ("just starting", String::new()),
    ];
    let fence = std::fs::read(other.journal().join("FENCE")).unwrap();
    for (why, text) in cases {
        std::fs::write(&lock, &text).unwrap();
        let refused = SledJournal::take_over(&other.journal(), Duration::from_millis(100));
        let Err(error @ TakeOverError::Unproven { .. }) = refused else {
            panic!("{why}: {refused:?}");
        };
        assert!(error.to_string().contains(why), "{why}: {error}");
        assert_eq!(bystander.try_wait().unwrap(), None, "{why}");
        assert_eq!(
            std::fs::read(other.journal().join("FENCE")).unwrap(),
            fence,
            "{why}"
        );
    }
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    let before = other.acknowledged();
    until("it still goes on", || other.acknowledged() > before + 3);
    // With the truth it is another matter.
    std::fs::write(&lock, &truth).unwrap();
    let taken = SledJournal::take_over(&other.journal(), PATIENCE).unwrap();
    assert!(matches!(taken, TakeOver::Ended(_)));
}

#[tokio::test]
async fn a_process_does_not_take_over_from_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = SledJournal::open(dir.path(), &OpenOptions::default()).unwrap();
    let refused = SledJournal::take_over(dir.path(), Duration::from_millis(100));
    let Err(error @ TakeOverError::Unproven { .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(error.to_string().contains("this process itself"), "{error}");
    journal.append(append(0, 1, vec![1])).await.unwrap();
}

#[tokio::test]
async fn a_run_that_was_taken_again_refuses_the_driver_before() {
    let dir = tempfile::tempdir().unwrap();
    let memory: Arc<dyn Journal> = Arc::new(flow_engine::journal::memory::MemoryJournal::default());
    let (sled, _) = SledJournal::open(dir.path(), &OpenOptions::default()).unwrap();
    for journal in [memory, Arc::new(sled)] {
        let plan = flow_engine::plan::Plan {
            workflow: "w".into(),
            protocol: "p".into(),
            planned_by: "flow test".into(),
            environment: "prod".into(),
            facts: std::collections::BTreeMap::default(),
            phases: Vec::new(),
            nodes: Vec::new(),
        };
        let created = flow_engine::record::Record::Created {
            plan: flow_engine::record::Payload::Inline(plan.to_json()),
            by: flow_engine::signal::Actor {
                name: "anna".into(),
                from: "box".into(),
            },
            reason: String::new(),
            request: None,
        };
        let entry = flow_engine::record::Entry {
            at: flow_engine::clock::Timestamp(0),
            record: created,
        };
        let body = flow_engine::codec::encode(&entry).unwrap();
        journal.append(append(0, 0, body)).await.unwrap();
        let acquire = async || {
            flow_engine::lease::acquire(&journal, &SystemClock, &id(), "test")
                .await
                .unwrap()
        };
        let (first, second) = (acquire().await, acquire().await);
        assert_eq!((first.epoch, second.epoch), (1, 2));
        assert_ne!(first.holder, "");
        for seq in [first.next_seq, second.next_seq] {
            let late = journal.append(append(seq, first.epoch, vec![1])).await;
            assert!(
                matches!(
                    late,
                    Err(JournalError::Fenced {
                        ours: 1,
                        seen: 2,
                        ..
                    })
                ),
                "{late:?}"
            );
        }
        journal
            .append(append(second.next_seq, second.epoch, vec![1]))
            .await
            .unwrap();
    }
}
