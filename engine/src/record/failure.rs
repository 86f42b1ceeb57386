//! What went wrong, in words that fit a record.

use serde::{Deserialize, Serialize};

/// In which way an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// It cannot succeed as things are.
    Failed,
    /// A gate said no.
    Refused,
    /// What became of it is not known.
    Unknown,
    /// The world could not be asked: no way to the host, a connection that broke, no answer in time. It says nothing
    /// about what was asked for.
    Unreached,
}

/// What went wrong, for people. Bounded, so that it always fits a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// One sentence: what failed and what state the world is in.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to do or type next.
    pub hints: Vec<String>,
}

impl Failure {
    const MESSAGE_MAX: usize = 900;
    const LINE_MAX: usize = 400;
    const LINES_MAX: usize = 3;

    /// A failure with a message only.
    pub fn new(message: impl Into<String>) -> Self {
        Failure {
            message: cut(message.into(), Self::MESSAGE_MAX),
            ..Failure::default()
        }
    }

    /// Adds an error and everything beneath it as causes.
    #[must_use]
    pub fn because(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next.filter(|_| self.causes.len() < Self::LINES_MAX) {
            self.causes.push(cut(error.to_string(), Self::LINE_MAX));
            next = error.source();
        }
        self
    }

    /// Adds what to do or type next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if self.hints.len() < Self::LINES_MAX {
            self.hints.push(cut(hint.into(), Self::LINE_MAX));
        }
        self
    }

    /// Makes it short enough for a record again, after its texts were changed. Twice is once.
    pub(crate) fn bound(&mut self) {
        shorten(&mut self.message, Self::MESSAGE_MAX);
        for lines in [&mut self.causes, &mut self.hints] {
            lines.truncate(Self::LINES_MAX);
            for line in lines {
                shorten(line, Self::LINE_MAX);
            }
        }
    }
}

/// As [`cut`], in its place.
pub(super) fn shorten(text: &mut String, max: usize) {
    *text = cut(std::mem::take(text), max);
}

/// A text of at most `max` bytes, with a sign where something was left out.
pub(crate) fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max)
            .rev()
            .find(|i| text.is_char_boundary(*i))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::record::{Entry, Record};

    #[test]
    fn the_largest_failure_fits_a_record() {
        let long = "ü".repeat(10_000);
        let io = std::io::Error::other(long.clone());
        let mut failure = Failure::new(long.clone())
            .because(&io)
            .because(&io)
            .because(&io)
            .because(&io);
        for _ in 0..9 {
            failure = failure.hint(long.clone());
        }
        let record = Record::Failed {
            step: 1,
            kind: FailureKind::Unknown,
            failure,
            retry_at: None,
        };
        let bytes = crate::codec::encode(&Entry {
            at: Timestamp(0),
            record,
        })
        .expect("encodes");
        assert!(bytes.len() <= crate::journal::BODY_MAX, "{}", bytes.len());
    }
}
