//! A crash simulator: one run, a world outside it, and a death at every point.
//!
//! Verdicts come from the world's own ledger of effects, never from the journal under test. A kill point is passed
//! before and after every append and every effect; at the chosen one the process "dies": nothing it was doing goes
//! on, and what it had appended stays.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::clock::{Timestamp, TokioClock};
use crate::context::Resources;
use crate::driver::{Driver, Engine, Handle, NewRun, Stop};
use crate::event::Observers;
use crate::id::{Digest, RunId};
use crate::journal::memory::MemoryJournal;
use crate::journal::{Append, Head, Journal, JournalError, Stored};
use crate::plan::Plan;
use crate::record::{Entry, Record, Wait};
use crate::registry::Registry;
use crate::retry::Policy;
use crate::run::{LoadError, Run};
use crate::signal::Actor;
use crate::step::{Cx, Step, StepError};

/// What is outside the run: it survives every death.
#[derive(Debug)]
pub struct World {
    ticks: AtomicU64,
    kill_at: AtomicU64,
    life: Mutex<CancellationToken>,
    ledger: Mutex<Vec<Effect>>,
}

/// One thing that was done to the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The step's key.
    pub key: String,
    /// Whether it was done or undone.
    pub undo: bool,
    /// In which life.
    pub epoch: u64,
}

impl World {
    /// A world in which the process dies at this kill point; never for 0.
    pub fn dying_at(kill_at: u64) -> Arc<World> {
        Arc::new(World {
            ticks: AtomicU64::new(0),
            kill_at: AtomicU64::new(kill_at),
            life: Mutex::new(CancellationToken::new()),
            ledger: Mutex::new(Vec::new()),
        })
    }

    /// Sets the next death, counted from the beginning; never for 0.
    pub fn die_at(&self, kill_at: u64) {
        self.kill_at.store(kill_at, Ordering::SeqCst);
    }

    /// How many kill points were passed.
    pub fn ticks(&self) -> u64 {
        self.ticks.load(Ordering::SeqCst)
    }

    /// Everything that was done, oldest first.
    pub fn ledger(&self) -> Vec<Effect> {
        lock(&self.ledger).clone()
    }

    /// What stands now: per key how often it was done and not undone. Doing twice is doing once.
    pub fn standing(&self) -> BTreeMap<String, bool> {
        let mut standing = BTreeMap::new();
        for effect in lock(&self.ledger).iter() {
            standing.insert(effect.key.clone(), !effect.undo);
        }
        standing
    }

    /// A kill point. Does not return when this is the one.
    pub async fn tick(&self) {
        let now = self.ticks.fetch_add(1, Ordering::SeqCst) + 1;
        let life = lock(&self.life).clone();
        if now == self.kill_at.load(Ordering::SeqCst) {
            life.cancel();
        }
        if life.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    fn affect(&self, cx: &Cx, undo: bool) {
        let effect = Effect {
            key: cx.key().into(),
            undo,
            epoch: cx.epoch(),
        };
        lock(&self.ledger).push(effect);
    }

    fn be_born(&self) -> CancellationToken {
        let life = CancellationToken::new();
        lock(&self.life).clone_from(&life);
        life
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A step of the simulated world.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SimStep {
    /// How it behaves.
    pub behaviour: Behaviour,
    /// Whether it can be undone.
    pub undoable: bool,
}

impl SimStep {
    /// A step that behaves like this and can be undone.
    pub fn new(behaviour: Behaviour) -> Self {
        SimStep {
            behaviour,
            undoable: true,
        }
    }
}

/// How a simulated step behaves. Faults come after the effect: the hard case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Behaviour {
    /// It succeeds.
    Works,
    /// It fails for good, each time until a person has intervened.
    Fails,
    /// Its first attempt fails, the second works.
    FailsOnce,
    /// It never ends.
    Hangs,
    /// It does not know what happened, until a person says so.
    Asks,
    /// It waits for an answer.
    Waits,
    /// It works, but its first attempt to undo it fails.
    UndoFailsOnce,
    /// It panics.
    Panics,
}

#[async_trait]
impl Step for SimStep {
    const KIND: &'static str = "sim.step";
    type Output = u16;

    fn summary(&self) -> String {
        format!("{:?}", self.behaviour)
    }

    fn effect(&self) -> crate::plan::Effect {
        crate::plan::Effect::Changes
    }

    fn undo_in_words(&self) -> Option<String> {
        self.undoable.then(|| "take it back".into())
    }

    fn skippable(&self) -> bool {
        true
    }

    fn settles(&self) -> bool {
        true
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout_s: 5,
            attempts: 2,
            pause_s: 1,
            pause_max_s: 1,
        }
    }

    #[expect(clippy::panic, reason = "a panicking step is one of the cases")]
    async fn run(&self, cx: &Cx) -> Result<u16, StepError> {
        let world = cx.resource::<Arc<World>>()?;
        if self.behaviour == Behaviour::Waits && cx.signals().next().is_none() {
            let wait = Wait {
                who: "somebody".into(),
                what: "an answer".into(),
                command: String::new(),
                until: None,
            };
            return Err(StepError::Wait(wait));
        }
        assert_intent(cx, false).await;
        world.tick().await;
        if cx.settled() != Some(true) {
            world.affect(cx, false);
        }
        world.tick().await;
        match self.behaviour {
            Behaviour::Fails if cx.run().orders.is_empty() => Err(StepError::fail("it fails")),
            Behaviour::FailsOnce if cx.attempt() == 1 => Err(StepError::retry("it fails once")),
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::Asks if cx.settled().is_none() => Err(StepError::ask("nobody knows")),
            Behaviour::Panics if cx.run().orders.is_empty() => panic!("a planted panic"),
            _ => Ok(cx.attempt()),
        }
    }

    async fn undo(&self, cx: &Cx, _done: Option<u16>) -> Result<String, StepError> {
        let world = cx.resource::<Arc<World>>()?;
        assert_intent(cx, true).await;
        world.tick().await;
        world.affect(cx, true);
        world.tick().await;
        if self.behaviour == Behaviour::UndoFailsOnce && cx.attempt() == 1 {
            return Err(StepError::retry("its undo fails once"));
        }
        Ok("taken back".into())
    }
}

/// The intent of an effect is in the journal before the effect.
async fn assert_intent(cx: &Cx, undo: bool) {
    let entries = Run::entries(&*cx.journal, cx.run_id())
        .await
        .expect("the journal is readable");
    let found = entries.iter().any(|(_, e)| match e.record {
        Record::Started { step, attempt } => !undo && step == cx.step && attempt == cx.attempt,
        Record::UndoStarted { step, attempt } => undo && step == cx.step && attempt == cx.attempt,
        _ => false,
    });
    assert!(
        found,
        "`{}` touches the world without a stored intent",
        cx.key()
    );
}

/// A journal whose appends can be the last thing a process does: before them, or after them and unacknowledged.
pub struct SimJournal {
    world: Arc<World>,
    inner: Arc<MemoryJournal>,
}

#[async_trait]
impl Journal for SimJournal {
    async fn append(&self, batch: Append) -> Result<Head, JournalError> {
        self.world.tick().await;
        let head = self.inner.append(batch).await?;
        self.world.tick().await;
        Ok(head)
    }

    async fn read(&self, run: &RunId) -> Result<Vec<Stored>, JournalError> {
        self.inner.read(run).await
    }

    async fn head(&self, run: &RunId) -> Result<Option<Head>, JournalError> {
        self.inner.head(run).await
    }

    async fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        self.inner.runs().await
    }

    async fn put(&self, bytes: &[u8]) -> Result<Digest, JournalError> {
        self.inner.put(bytes).await
    }

    async fn get(&self, object: &Digest) -> Result<Vec<u8>, JournalError> {
        self.inner.get(object).await
    }
}

/// One run in one world, life after life.
pub struct Simulation {
    /// The world.
    pub world: Arc<World>,
    /// What survives of the process.
    pub journal: Arc<MemoryJournal>,
    /// The run.
    pub id: RunId,
    plan: Plan,
}

impl Simulation {
    /// A simulation of this plan.
    ///
    /// # Panics
    /// Never: the run's name is a constant.
    pub fn new(world: Arc<World>, plan: Plan) -> Simulation {
        let id = "r-sim".parse().expect("it is a run id");
        Simulation {
            world,
            journal: Arc::default(),
            id,
            plan,
        }
    }

    fn engine(&self) -> Engine {
        let journal = SimJournal {
            world: Arc::clone(&self.world),
            inner: Arc::clone(&self.journal),
        };
        Engine {
            journal: Arc::new(journal),
            registry: Arc::new(Registry::default().with::<SimStep>()),
            resources: Resources::default().with(Arc::clone(&self.world)),
            clock: Arc::new(TokioClock::starting_at(Timestamp(1_795_000_000_000))),
            observers: Observers::default(),
            notifier: None,
            version: "sim".into(),
            wait_for_people: false,
        }
    }

    /// One life of the process: until it stops by itself, or dies (`None`).
    ///
    /// # Errors
    /// [`LoadError`]: never in a correct engine.
    pub async fn live(&self) -> Result<Option<Stop>, LoadError> {
        let death = self.world.be_born();
        let life = async {
            let (driver, _handle) = self.begin().await?;
            driver.drive().await.map(|(_, stop)| stop)
        };
        tokio::select! {
            biased;
            () = death.cancelled() => Ok(None),
            stop = life => stop.map(Some),
        }
    }

    async fn begin(&self) -> Result<(Driver, Handle), LoadError> {
        if self.journal.head(&self.id).await?.is_some() {
            return self.engine().resume(&self.id).await;
        }
        let by = Actor {
            name: "sim".into(),
            from: "sim".into(),
        };
        let new = NewRun {
            id: self.id.clone(),
            plan: self.plan.clone(),
            by,
            reason: String::new(),
            request: None,
        };
        self.engine().start(new).await
    }

    /// The run as the journal has it; nothing when no record of it survived.
    ///
    /// # Errors
    /// [`LoadError`]: never in a correct engine.
    pub async fn run(&self) -> Result<Option<Run>, LoadError> {
        match Run::load(&*self.journal, &self.id).await {
            Ok(run) => Ok(Some(run)),
            Err(LoadError::NoRun(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Every entry of the run.
    ///
    /// # Errors
    /// [`LoadError`]: never in a correct engine.
    pub async fn entries(&self) -> Result<Vec<Entry>, LoadError> {
        Ok(Run::entries(&*self.journal, &self.id)
            .await?
            .into_iter()
            .map(|(_, e)| e)
            .collect())
    }
}
