//! What an observer of a run sees.

use std::sync::Arc;

use serde::Serialize;

use crate::context::Progress;
use crate::id::RunId;
use crate::record::Entry;
use crate::run::Run;

/// Something happened. Records are told only once they are durable.
#[derive(Debug, Clone)]
pub enum Event {
    /// A record was stored; `run` is the state that includes it.
    Stored {
        /// The run after it.
        run: Arc<Run>,
        /// Its number.
        seq: u64,
        /// It.
        entry: Entry,
    },
    /// A step put something out.
    Output {
        /// The run.
        run: RunId,
        /// The step.
        step: u32,
        /// The text, secrets masked by the observers' keeper.
        text: String,
    },
    /// A step says how far it is.
    Progress {
        /// The run.
        run: RunId,
        /// The step.
        step: u32,
        /// How far.
        progress: Progress,
    },
}

/// Somebody who wants to see events. Called in order, from the driver; must not block for long.
pub trait Observer: Send + Sync {
    /// Sees one event.
    fn see(&self, event: &Event);
}

/// Words that must never be shown: known secret values, masked in all output.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Masked(#[serde(skip)] Vec<String>);

impl Masked {
    /// Masks these values. Very short ones are left out: masking every `a` would destroy the log.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut values: Vec<_> = values.into_iter().filter(|v| v.len() >= 4).collect();
        values.sort_by_key(|v| std::cmp::Reverse(v.len()));
        Masked(values)
    }

    /// The text with every known secret replaced.
    pub fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), "••••")
        })
    }
}

/// Everybody who wants to see events.
#[derive(Clone, Default)]
pub struct Observers {
    all: Vec<Arc<dyn Observer>>,
    masked: Masked,
}

impl Observers {
    /// These observers, none of whom will see these secrets.
    pub fn new(all: Vec<Arc<dyn Observer>>, masked: Masked) -> Self {
        Observers { all, masked }
    }

    /// Tells all of them.
    pub fn tell(&self, event: &Event) {
        let masked = match event {
            Event::Output { run, step, text } => Some(Event::Output {
                run: run.clone(),
                step: *step,
                text: self.masked.apply(text),
            }),
            _ => None,
        };
        let event = masked.as_ref().unwrap_or(event);
        self.all.iter().for_each(|o| o.see(event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_inside_a_longer_secret_is_masked_whole() {
        let masked = Masked::new(["hunter2".into(), "hunter2-long".into(), "abc".into()]);
        assert_eq!(
            masked.apply("x hunter2-long abc hunter2"),
            "x •••• abc ••••"
        );
    }
}
