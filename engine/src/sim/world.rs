//! What is outside the run and survives every death: the ledger, the disk, the count of kill points.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::journal::Append;
use crate::journal::Journal as _;
use crate::journal::memory::MemoryJournal;

/// Where a process can die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// Before an append.
    Appending,
    /// After the write of an append, before its sync.
    Written,
    /// After the sync of an append, before it is acknowledged.
    Synced,
    /// Before a large payload is stored.
    Storing,
    /// Before an effect.
    Doing,
    /// After an effect, before its step answers.
    Done,
    /// Before an effect is undone.
    Undoing,
    /// After it was undone, before the step answers.
    Undone,
    /// Before a mail is handed over.
    Mailing,
    /// After a mail was handed over, before that is known.
    Mailed,
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    /// At which kill point, counted from the beginning of the world.
    pub at: u64,
    /// Whether what was written and not synced survives.
    pub keeps: bool,
    /// Whether the disk fails there, and the process notices, instead of a kill. Only at [`Point::Written`].
    pub breaks: bool,
}

/// One thing the world saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// In which life of the process, counted from 1.
    pub life: u64,
    /// How many records of the run were durable then.
    pub durable: u64,
    /// What a step did to the world, or saw there.
    pub what: What,
}

/// What the world saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A step was run.
    Entered {
        /// The key of the step that did it.
        step: String,
        /// The attempt it was told.
        attempt: u16,
        /// Whether it was given a note of an earlier self.
        noted: bool,
    },
    /// A step had its effect.
    Did {
        /// The key of the step that did it.
        step: String,
        /// The attempt it was told.
        attempt: u16,
    },
    /// A step answered; one that hangs or panics never does.
    Answered {
        /// The key of the step that did it.
        step: String,
        /// The attempt it was told.
        attempt: u16,
        /// What, in one word.
        answer: &'static str,
    },
    /// A step was asked to undo itself.
    UndoEntered {
        /// The key of the step that did it.
        step: String,
        /// The attempt it was told.
        attempt: u16,
        /// Whether it was given its output.
        done: bool,
    },
    /// An effect was undone.
    Undid {
        /// The key of the step that did it.
        step: String,
        /// The attempt it was told.
        attempt: u16,
    },
    /// An undo answered.
    UndoAnswered {
        /// The key of the step that did it.
        step: String,
        /// The attempt it was told.
        attempt: u16,
        /// What, in one word.
        answer: &'static str,
    },
    /// A step was told that its note is durable.
    Noted {
        /// The key of the step that did it.
        step: String,
    },
    /// A step was told that its mail is queued durably.
    Queued {
        /// The key of the step that did it.
        step: String,
    },
    /// A mail left.
    Mailed {
        /// The number that makes one notice the same notice.
        id: u64,
        /// What it is about.
        topic: String,
    },
}

/// After so many kill points every life ends at once: a run that goes round in circles has no end, which is a verdict.
const LONGEST: u64 = 20_000;

/// See the module.
#[derive(Debug, Default)]
pub struct World {
    ticks: AtomicU64,
    trace: Mutex<Vec<Point>>,
    death: Mutex<Option<Death>>,
    greylist: u32,
    refused: Mutex<BTreeMap<u64, u32>>,
    passed: Notify,
    lives: AtomicU64,
    ledger: Mutex<Vec<Fact>>,
    disk: MemoryJournal,
    synced: AtomicU64,
    tail: Mutex<Vec<Append>>,
    keeps: Mutex<bool>,
}

impl World {
    /// A world in which the process dies there, and the first so many attempts at each mail are refused.
    pub fn new(death: Option<Death>, greylist: u32) -> Arc<World> {
        Arc::new(World {
            death: Mutex::new(death),
            greylist,
            ..World::default()
        })
    }

    /// Sets the next death.
    pub fn die_at(&self, death: Option<Death>) {
        *lock(&self.death) = death;
    }

    /// How many kill points were passed.
    pub fn ticks(&self) -> u64 {
        self.ticks.load(Ordering::SeqCst)
    }

    /// The kill points that were passed, in order.
    pub fn trace(&self) -> Vec<Point> {
        lock(&self.trace).clone()
    }

    /// Everything that was seen, oldest first.
    pub fn ledger(&self) -> Vec<Fact> {
        lock(&self.ledger).clone()
    }

    /// What survives of the journal.
    pub fn durable(&self) -> &MemoryJournal {
        &self.disk
    }

    /// Whether this step's effect stands. Doing it twice is doing it once.
    pub fn stands(&self, key: &str) -> bool {
        let ledger = lock(&self.ledger);
        let last = ledger.iter().rev().find_map(|fact| match &fact.what {
            What::Did { step, .. } if step == key => Some(true),
            What::Undid { step, .. } if step == key => Some(false),
            _ => None,
        });
        last.unwrap_or(false)
    }

    pub(super) fn be_born(world: &Arc<World>) -> Life {
        Life {
            number: world.lives.fetch_add(1, Ordering::SeqCst) + 1,
            world: Arc::clone(world),
            over: CancellationToken::new(),
        }
    }

    /// Settles what the dead process had written and not synced.
    pub(super) async fn crash(&self) {
        let tail = std::mem::take(&mut *lock(&self.tail));
        if *lock(&self.keeps) {
            for batch in tail {
                let _one_that_does_not_fit_was_never_valid = self.sync(batch).await;
            }
        }
    }

    pub(super) fn write(&self, batch: Append) {
        lock(&self.tail).push(batch);
    }

    pub(super) fn take_written(&self) -> Option<Append> {
        lock(&self.tail).pop()
    }

    pub(super) async fn sync(
        &self,
        batch: Append,
    ) -> Result<crate::journal::Head, crate::journal::JournalError> {
        let head = self.disk.append(batch).await?;
        self.synced.store(head.seq + 1, Ordering::SeqCst);
        Ok(head)
    }
}

/// One life of the process. What is left over of an earlier one does nothing.
#[derive(Debug, Clone)]
pub struct Life {
    number: u64,
    pub(super) world: Arc<World>,
    over: CancellationToken,
}

impl Life {
    /// A kill point. Does not return when this is the one; false when the disk fails here.
    pub async fn tick(&self, point: Point) -> bool {
        if self.over.is_cancelled() {
            std::future::pending::<()>().await;
        }
        let now = self.world.ticks.fetch_add(1, Ordering::SeqCst) + 1;
        lock(&self.world.trace).push(point);
        self.world.passed.notify_waiters();
        if now > LONGEST {
            self.over.cancel();
            std::future::pending::<()>().await;
        }
        let death = lock(&self.world.death).filter(|death| death.at == now);
        if let Some(death) = death {
            *lock(&self.world.keeps) = death.keeps;
            if death.breaks {
                return false;
            }
            self.over.cancel();
            std::future::pending::<()>().await;
        }
        true
    }

    /// Enters something in the ledger.
    pub fn saw(&self, what: What) {
        if !self.over.is_cancelled() {
            lock(&self.world.ledger).push(Fact {
                life: self.number,
                durable: self.world.synced.load(Ordering::SeqCst),
                what,
            });
        }
    }

    pub(super) fn greylists(&self, notice: u64) -> bool {
        let mut refused = lock(&self.world.refused);
        let times = refused.entry(notice).or_default();
        *times += 1;
        *times <= self.world.greylist
    }

    pub(super) async fn reached(&self, at: u64) {
        while self.world.ticks() < at {
            self.world.passed.notified().await;
        }
    }

    pub(super) async fn ended(&self) {
        self.over.cancelled().await;
    }

    pub(super) fn end(&self) {
        self.over.cancel();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
