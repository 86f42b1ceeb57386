//! What an observer of a run sees.

use std::sync::Arc;

use serde::Serialize;

use crate::context::Progress;
use crate::id::RunId;
use crate::record::{Entry, Failure, Payload, Record};
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
            text.replace(secret.as_str(), MASK)
        })
    }

    /// Masks what a step says in a record, before it is stored: words that came from a host may repeat a secret, and
    /// the journal, its exports and the mails made from it are kept for years.
    pub(crate) fn conceal(&self, record: &mut Record) {
        if self.0.is_empty() {
            return;
        }
        match record {
            Record::Failed { failure, .. } | Record::UndoFailed { failure, .. } => {
                self.failure(failure);
            }
            Record::Undone { report: text, .. } | Record::Skipped { why: text, .. } => {
                *text = self.apply(text);
            }
            Record::Waiting { wait, .. } => wait.what = self.apply(&wait.what),
            Record::Done {
                output: Payload::Inline(bytes),
                ..
            } => self.output(bytes),
            _ => {}
        }
    }

    fn failure(&self, failure: &mut Failure) {
        failure.message = self.apply(&failure.message);
        for line in failure.causes.iter_mut().chain(&mut failure.hints) {
            *line = self.apply(line);
        }
    }

    /// Later steps compute with an output: a short secret that is part of a host's name must not change it.
    fn output(&self, bytes: &mut Vec<u8>) {
        let long: Vec<String> = self.0.iter().filter(|v| v.len() >= LONG).cloned().collect();
        let Ok(mut json) = serde_json::from_slice(bytes) else {
            return;
        };
        if Masked(long).strings(&mut json)
            && let Ok(masked) = serde_json::to_vec(&json)
        {
            *bytes = masked;
        }
    }

    /// Whether one of the strings in it was changed.
    fn strings(&self, json: &mut serde_json::Value) -> bool {
        use serde_json::Value;
        let any = |changed: bool, value: &mut Value| self.strings(value) | changed;
        match json {
            Value::String(text) => {
                let masked = self.apply(text);
                let changed = masked != *text;
                *text = masked;
                changed
            }
            Value::Array(values) => values.iter_mut().fold(false, any),
            Value::Object(fields) => fields.values_mut().fold(false, any),
            _ => false,
        }
    }
}

const MASK: &str = "••••";
/// From this length on, in bytes, a secret is masked in outputs too. Shorter ones are too often a part of other words.
const LONG: usize = 8;

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

    /// The secrets they will not see.
    pub(crate) fn masked(&self) -> &Masked {
        &self.masked
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
    fn what_a_step_says_is_masked_before_it_is_stored() {
        let masked = Masked::new(["hunter2-long".into(), "prod".into()]);
        let mut failed = Record::Failed {
            step: 0,
            kind: crate::record::FailureKind::Failed,
            failure: Failure {
                message: "login with hunter2-long".into(),
                causes: vec!["535 hunter2-long".into()],
                hints: vec!["try hunter2-long".into()],
            },
            retry_at: None,
        };
        masked.conceal(&mut failed);
        assert!(!format!("{failed:?}").contains("hunter2"), "{failed:?}");
        let mut done = Record::Done {
            step: 0,
            output: Payload::Inline(br#"{"host":"prod","said":["x hunter2-long"],"n":1}"#.to_vec()),
        };
        masked.conceal(&mut done);
        let Record::Done { output, .. } = done else {
            unreachable!()
        };
        let text = String::from_utf8_lossy(output.inline().expect("inline")).into_owned();
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains(r#""host":"prod""#), "{text}");
    }

    #[test]
    fn a_secret_inside_a_longer_secret_is_masked_whole() {
        let masked = Masked::new(["hunter2".into(), "hunter2-long".into(), "abc".into()]);
        assert_eq!(
            masked.apply("x hunter2-long abc hunter2"),
            "x •••• abc ••••"
        );
    }
}
