//! What an observer of a run sees.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::id::RunId;
use crate::record::Entry;
use crate::run::Run;

mod mask;
mod stream;

pub use mask::{Masked, without_passwords};
use stream::Stream;

/// Something happened. Records are told only once they are durable.
#[derive(Debug, Clone)]
pub enum Event {
    /// A record was stored; `run` is the state that includes it.
    Stored {
        /// The run after it.
        run: Arc<Run>,
        /// The record's number within the run.
        seq: u64,
        /// The record, and when it was written.
        entry: Entry,
    },
    /// A step put something out.
    Output {
        /// The run that the step is a part of.
        run: RunId,
        /// The step's place in the plan.
        step: u32,
        /// The text, secrets masked.
        text: String,
    },
    /// A step says how far it is.
    Progress {
        /// The run that the step is a part of.
        run: RunId,
        /// The step's place in the plan.
        step: u32,
        /// How far the step is.
        progress: Progress,
    },
}

/// Somebody who wants to see events. Called in order, from the driver; must not block for long.
pub trait Observer: Send + Sync {
    /// Sees one event.
    fn see(&self, event: &Event);
}

/// Everybody who wants to see events.
#[derive(Clone, Default)]
pub struct Observers {
    all: Arc<[Arc<dyn Observer>]>,
    masked: Masked,
    streams: Arc<Mutex<BTreeMap<(RunId, u32), Stream>>>,
}

impl Observers {
    /// These observers, none of whom will see these secrets.
    pub fn new(all: Vec<Arc<dyn Observer>>, masked: Masked) -> Self {
        Observers {
            all: all.into(),
            masked,
            streams: Arc::default(),
        }
    }

    /// The secrets they will not see.
    pub(crate) fn masked(&self) -> &Masked {
        &self.masked
    }

    /// Tells all of them.
    pub fn tell(&self, event: &Event) {
        self.all.iter().for_each(|o| o.see(event));
    }

    /// Tells all of them what a step put out, secrets masked. An end that may be the beginning of a secret is told
    /// with what comes next, or by [`Observers::end_of_output`].
    pub(crate) fn output(&self, run: &RunId, step: u32, bytes: &[u8]) {
        // Held while they are told: pieces of one step stay in order.
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = streams.entry((run.clone(), step)).or_default();
        self.tell_output(run, step, stream.more(&self.masked, bytes));
    }

    /// Tells what was kept back: the step puts nothing more out.
    pub(crate) fn end_of_output(&self, run: &RunId, step: u32) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = streams.remove(&(run.clone(), step)) {
            self.tell_output(run, step, stream.end(&self.masked));
        }
    }

    fn tell_output(&self, run: &RunId, step: u32, text: String) {
        if !text.is_empty() {
            let run = run.clone();
            self.tell(&Event::Output { run, step, text });
        }
    }
}

/// How far a long piece of work is. Shown, not stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// What is counted, such as `bytes` or `s`.
    pub unit: String,
    /// How much is done, in the same unit as the whole.
    pub done: u64,
    /// In all, when known.
    pub total: Option<u64>,
}
