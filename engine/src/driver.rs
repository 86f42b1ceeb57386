//! The only loop: ask, write, do, write.
//!
//! What a step did is written in the same commit as the intent of the next one, so a straight sequence costs one sync
//! per step; and no step is begun, no note acknowledged and nobody told anything before that commit is durable.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::context::Request;
use crate::decide::{self, Next};
use crate::event::Observers;
use crate::id::RunId;
use crate::journal::Journal;
use crate::lease;
use crate::outbox::{Notifier, Outbox};
use crate::record::{Entry, ParkReason, Record, Verdict};
use crate::registry::{AnyStep, Registry};
use crate::resources::Resources;
use crate::run::{Life, LoadError, Run, Status, StepState};

mod begin;
mod beside;
mod handle;
mod listen;
mod new;
mod quiet;
mod work;

pub use handle::{Handle, NoDriver};
pub use new::NewRun;

use handle::Command;
use work::{Attempt, Way};

/// Everything a driver needs besides the run.
#[derive(Clone)]
pub struct Engine {
    /// Where records are kept.
    pub journal: Arc<dyn Journal>,
    /// What it can run.
    pub registry: Arc<Registry>,
    /// What steps need.
    pub resources: Resources,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who is told of every record and every line, with secrets masked.
    pub observers: Observers,
    /// Who tells people.
    pub notifier: Option<Arc<dyn Notifier>>,
    /// The version of `flow` that drives.
    pub version: String,
    /// Whether to stay while only people are waited for.
    pub wait_for_people: bool,
}

/// Why a driver stopped. The run itself is in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The run is over.
    Finished(Verdict),
    /// A person must decide.
    Parked(ParkReason),
    /// Only people are waited for, and the driver was told not to stay for them.
    WaitingForPeople,
    /// The driver was asked to stop. Remote jobs go on; nothing is lost.
    Interrupted,
}

/// Drives one run; see the module.
pub struct Driver {
    engine: Engine,
    run: Arc<Run>,
    staged: Vec<Entry>,
    tasks: JoinSet<Attempt>,
    in_flight: BTreeMap<u32, CancellationToken>,
    names: HashMap<tokio::task::Id, (u32, Way)>,
    /// A step that had ended when it was first looked at, and was never handed to the runtime.
    at_once: Option<Attempt>,
    begun: Vec<(u32, Box<dyn AnyStep>, bool, Way)>,
    outbox: Outbox,
    requests: (mpsc::Sender<Request>, mpsc::Receiver<Request>),
    commands: mpsc::Receiver<Command>,
    shutdown: CancellationToken,
}

/// How long steps in flight are given to leave off before they are dropped.
const GRACE: Duration = Duration::from_secs(10);
/// How long a driver that has nothing else to do stays to deliver notices.
const DRAIN: Duration = Duration::from_secs(30);

impl Engine {
    /// Takes a run that exists and goes on with it.
    ///
    /// # Errors
    /// As [`lease::acquire`].
    pub async fn resume(self, id: &RunId) -> Result<(Driver, Handle), LoadError> {
        let run = lease::acquire(&self.journal, &*self.clock, id, &self.version).await?;
        let (commands_in, commands) = mpsc::channel(64);
        let shutdown = CancellationToken::new();
        let handle = Handle {
            commands: commands_in,
            shutdown: shutdown.clone(),
        };
        let outbox = Outbox::new(self.notifier.clone());
        let driver = Driver {
            engine: self,
            run: Arc::new(run),
            staged: Vec::new(),
            tasks: JoinSet::new(),
            in_flight: BTreeMap::new(),
            names: HashMap::new(),
            at_once: None,
            begun: Vec::new(),
            outbox,
            requests: mpsc::channel(64),
            commands,
            shutdown,
        };
        Ok((driver, handle))
    }
}

impl Driver {
    /// The run as it is now.
    pub fn run(&self) -> &Arc<Run> {
        &self.run
    }

    /// Drives the run until it is over, parked, or this driver is stopped.
    ///
    /// # Errors
    /// [`LoadError`] when the journal fails: nothing further was begun. End the process and open the journal again.
    pub async fn drive(mut self) -> Result<(Arc<Run>, Stop), LoadError> {
        let stop = self.drive_on().await;
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        Ok((self.run, stop?))
    }

    async fn drive_on(&mut self) -> Result<Stop, LoadError> {
        if let Some((step, e)) = self.engine.registry.unreadable(&self.run) {
            self.stage(begin::unreadable(&self.run, step, &e))?;
        }
        loop {
            let now = self.engine.clock.now();
            let in_flight: BTreeSet<u32> = self.in_flight.keys().copied().collect();
            match decide::next(&self.run, now, &in_flight) {
                Next::Append(record) => self.stage(record)?,
                Next::Run(steps) => {
                    self.begin(&steps, Way::Forward)?;
                    self.flush().await?;
                    self.launch().await;
                }
                Next::Undo(step) => {
                    self.begin(&[step], Way::Backward)?;
                    self.flush().await?;
                    self.launch().await;
                }
                Next::Interrupt => {
                    if !self.flush().await?.anew {
                        self.interrupt().await?;
                    }
                }
                Next::Wait(until) => {
                    if self.flush().await?.anew {
                        continue;
                    }
                    if self.only_people_are_waited_for() {
                        self.drain().await?;
                        let over = self.only_people_are_waited_for() && !self.has_news();
                        if over && !self.heard_others().await? {
                            return Ok(Stop::WaitingForPeople);
                        }
                        continue;
                    }
                    if !self.attend(until).await? {
                        self.interrupt().await?;
                        return Ok(Stop::Interrupted);
                    }
                }
                Next::Rest => {
                    if self.flush().await?.anew {
                        continue;
                    }
                    self.drain().await?;
                    if let Some(stop) = self.at_rest()
                        && !self.heard_others().await?
                    {
                        return Ok(stop);
                    }
                }
            }
        }
    }

    /// How the run rests; nothing when an order came while the last notices went out.
    fn at_rest(&self) -> Option<Stop> {
        match &self.run.life {
            Life::Finished { verdict, .. } => Some(Stop::Finished(*verdict)),
            Life::Parked { why, .. } => Some(Stop::Parked(why.clone())),
            Life::Forward | Life::Unwinding(_) => None,
        }
    }

    /// Whether a waiting step has an answer it has not looked at.
    fn has_news(&self) -> bool {
        let now = self.engine.clock.now();
        matches!(decide::next(&self.run, now, &BTreeSet::new()), Next::Run(_))
    }

    /// Whether nothing can happen before a person says something: going forward, nothing in flight, no step due by
    /// itself.
    fn only_people_are_waited_for(&self) -> bool {
        let by_itself = |s: &StepState| match s.status {
            Status::RetryAt(_) => true,
            Status::Waiting => s.wait.as_ref().is_some_and(|w| w.who.is_empty()),
            _ => false,
        };
        // First what costs nothing: the rest looks at every step, after every record.
        if self.engine.wait_for_people || !self.in_flight.is_empty() {
            return false;
        }
        let forward = self.run.life == Life::Forward;
        let asked = self.run.waiting().next().is_some();
        forward && asked && !self.run.steps.iter().any(by_itself)
    }

    /// Takes a record into the run and puts it up for the next commit.
    fn stage(&mut self, mut record: Record) -> Result<(), LoadError> {
        self.engine.observers.masked().conceal(&mut record);
        let entry = Entry {
            at: self.engine.clock.now(),
            record,
        };
        let epoch = self.run.epoch;
        Arc::make_mut(&mut self.run).apply(epoch, &entry)?;
        self.staged.push(entry);
        Ok(())
    }
}
