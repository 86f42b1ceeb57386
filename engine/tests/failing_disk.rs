//! A driver on the real store, on a disk whose k-th write or sync fails: it ends, and nothing more is done.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use flow_engine::clock::SystemClock;
use flow_engine::driver::{Engine, NewRun, Stop};
use flow_engine::event::Observers;
use flow_engine::journal::JournalError;
use flow_engine::journal::sled::{OpenOptions, SegmentFile, SledJournal};
use flow_engine::plan::{Effect, OnFailure};
use flow_engine::planner::Planner;
use flow_engine::record::Verdict;
use flow_engine::registry::Registry;
use flow_engine::run::{LoadError, Run};
use flow_engine::signal::Actor;
use flow_engine::step::{Cx, Resources, Step, StepError};

const STEPS: u32 = 4;

/// Fails from its k-th call of a kind on.
#[derive(Default)]
struct Disk {
    left: AtomicU32,
    error: i32,
    on_sync: bool,
    failed: AtomicBool,
    /// What the steps did, and what they did after a call had failed.
    ledger: Mutex<Vec<String>>,
    late: Mutex<Vec<String>>,
}

impl Disk {
    fn call(&self, is_sync: bool) -> io::Result<()> {
        if is_sync != self.on_sync || self.error == 0 {
            return Ok(());
        }
        let left = self.left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1));
        match left {
            Ok(1) | Err(_) => {
                self.failed.store(true, SeqCst);
                Err(io::Error::from_raw_os_error(self.error))
            }
            Ok(_) => Ok(()),
        }
    }
}

struct Failing(File, Arc<Disk>);

impl SegmentFile for Failing {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.1.call(false)?;
        FileExt::write_all_at(&self.0, bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.1.call(true)?;
        self.0.sync_data()
    }
}

/// Leaves its name where the world is; notes something in between.
#[derive(Serialize, Deserialize)]
struct Act;

#[async_trait]
impl Step for Act {
    const KIND: &'static str = "test.act";
    type Output = ();

    fn summary(&self) -> String {
        "acts".into()
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    async fn run(&self, cx: &Cx) -> Result<(), StepError> {
        let disk = cx.resource::<Disk>()?;
        for half in ["begins", "ends"] {
            let what = format!("{} {half}", cx.key());
            if disk.failed.load(SeqCst) {
                disk.late.lock().unwrap().push(what.clone());
            }
            disk.ledger.lock().unwrap().push(what);
            if half == "begins" {
                cx.note(&"half").await?;
            }
        }
        Ok(())
    }
}

fn engine(dir: &Path, disk: &Arc<Disk>) -> Result<Engine, JournalError> {
    let below = Arc::clone(disk);
    let options = OpenOptions {
        segment_hook: Some(Arc::new(move |file| {
            Box::new(Failing(file, Arc::clone(&below)))
        })),
        ..OpenOptions::default()
    };
    Ok(Engine {
        journal: Arc::new(SledJournal::open(dir, &options)?.0),
        registry: Arc::new(Registry::default().with::<Act>()),
        resources: Resources::default().with_shared(Arc::clone(disk)),
        clock: Arc::new(SystemClock),
        observers: Observers::default(),
        notifier: None,
        version: "test".into(),
        wait_for_people: false,
    })
}

async fn start(engine: Engine) -> Result<Stop, LoadError> {
    let mut planner = Planner::new("test", "1", "prod", "flow test");
    planner.phase("a", "the only phase", OnFailure::Park, |p| {
        for step in 0..STEPS {
            p.step(&format!("a/{step}"), Act);
        }
    });
    let new = NewRun {
        id: "r-disk".parse().unwrap(),
        plan: planner.finish().unwrap(),
        by: Actor {
            name: "me".into(),
            from: "here".into(),
        },
        reason: String::new(),
        request: None,
    };
    let (driver, _handle) = engine.start(new).await?;
    Ok(driver.drive().await?.1)
}

/// What came of a run on a disk that fails from its k-th write or sync on; whether it failed at all.
async fn one(error: i32, on_sync: bool, k: u32) -> bool {
    let dir = tempfile::tempdir().unwrap();
    drop(SledJournal::open(dir.path(), &OpenOptions::default()).unwrap());
    let at = format!("error {error}, sync {on_sync}, call {k}");
    let disk = Arc::new(Disk {
        left: AtomicU32::new(k),
        error,
        on_sync,
        ..Disk::default()
    });
    let stopped = match engine(dir.path(), &disk) {
        Ok(engine) => start(engine).await,
        Err(refused) => Err(refused.into()),
    };
    if !disk.failed.load(SeqCst) {
        assert_eq!(stopped.unwrap(), Stop::Finished(Verdict::Completed));
        return false;
    }
    let why = stopped.expect_err(&at);
    let broken = matches!(
        why,
        LoadError::Journal(JournalError::Broken(_) | JournalError::Unusable { .. })
    );
    assert!(broken, "{at}: {why}");
    let late = disk.late.lock().unwrap().clone();
    assert_eq!(late, [] as [String; 0], "{at}: done after the failure");
    let done = disk.ledger.lock().unwrap().clone();

    // On a disk that works again: what was done had its intent on record, and the run goes on to its end.
    let works = Arc::new(Disk::default());
    let engine = engine(dir.path(), &works).unwrap();
    let id = "r-disk".parse().unwrap();
    let run = match Run::load(&*engine.journal, &id).await {
        Err(LoadError::NoRun(_)) => {
            assert_eq!(done, [] as [String; 0], "{at}: done before there was a run");
            return true;
        }
        other => other.unwrap(),
    };
    for what in &done {
        let key = what.split(' ').next().unwrap();
        assert!(run.has_started(key), "{at}: {what} without an intent");
    }
    let (driver, _handle) = engine.resume(&id).await.unwrap();
    let (_, stop) = driver.drive().await.unwrap();
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{at}");
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_write_or_sync_no_step_does_anything_and_the_run_goes_on_later() {
    const EIO: i32 = 5;
    const ENOSPC: i32 = 28;
    for (error, on_sync) in [(EIO, false), (ENOSPC, false), (EIO, true), (ENOSPC, true)] {
        let mut failed = 0;
        for k in 1..100 {
            if !one(error, on_sync, k).await {
                break;
            }
            failed += 1;
        }
        // Creation, the first intent, and at least a note and a commit for each step.
        assert!((2 * STEPS..99).contains(&failed), "{failed} calls");
    }
}
