//! What a question takes for an answer, as data; and how the step that asks judges one.
//!
//! A step that waits says in its [`Wait`](crate::record::Wait) which [`Answer`] it takes. A terminal, a mail or a page make
//! of that what a person types or presses. Before an answer is stored the step is asked whether it counts:
//! [`Step::accepts`](crate::step::Step::accepts).

use serde::{Deserialize, Serialize};

use crate::record::cut;

mod asked;

pub use asked::{Asked, Refusal};

/// The shape of the answer that a question takes. Stored: variants and fields go to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The command line that a run of an older version named. Shown as it is, at most 500 bytes. No step writes it any more.
    Command(String),
    /// An SSH signature by somebody of a role.
    Signature {
        /// The role in the roster whose signature counts, such as `qa`.
        role: String,
        /// What the signature decides on.
        subject: Subject,
        /// The digest of the one thing that is asked about, in hexadecimal digits; nothing where it is the whole release.
        about: Option<String>,
    },
    /// A result for each of several things that people try.
    Checklist {
        /// What is to be tried, in order.
        items: Vec<Trial>,
        /// How many further items did not fit a record. The plan has them all.
        more: u32,
    },
    /// One of several words.
    Choice {
        /// The words, in order; at least one.
        of: Vec<String>,
    },
    /// Words of the person's own.
    Text {
        /// The longest text that is taken, in characters; at most [`TEXT_MAX`].
        max: u32,
    },
}

/// What a signature decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The release, with all its evidence.
    Signoff,
    /// Files that were read.
    Review,
    /// One warning that is accepted.
    Waiver,
}

/// One thing to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Its name, within the checklist.
    pub key: String,
    /// What to do and what must be seen; cut where the whole list would not fit a record.
    pub text: String,
    /// Whether the question is open until this is answered.
    pub required: bool,
}

/// The longest text that an answer may have, in characters: a record takes 4,096 bytes with the signal around it.
pub const TEXT_MAX: u32 = 3000;

/// How many bytes of a record a question's answer takes at most.
const SHAPE_MAX: usize = 1600;
/// What stands around a text in a record: its length, and whether it is required.
const AROUND: usize = 4;

impl Answer {
    /// One of these words.
    pub fn choice<T: Into<String>>(of: impl IntoIterator<Item = T>) -> Answer {
        Answer::Choice {
            of: of.into_iter().map(Into::into).collect(),
        }
    }

    /// Every text in it, to be masked.
    pub(crate) fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Answer::Command(text) => vec![text],
            Answer::Signature { role, about, .. } => {
                std::iter::once(role).chain(about.as_mut()).collect()
            }
            Answer::Checklist { items, .. } => items.iter_mut().map(|i| &mut i.text).collect(),
            Answer::Choice { of } => of.iter_mut().collect(),
            Answer::Text { .. } => Vec::new(),
        }
    }

    /// Makes it short enough for a record, as far as that does not change what it takes.
    pub(crate) fn bound(&mut self) {
        match self {
            Answer::Command(text) => *text = cut(std::mem::take(text), 500),
            Answer::Checklist { items, more } => bound_items(items, more),
            Answer::Text { max } => *max = (*max).min(TEXT_MAX),
            Answer::Signature { .. } | Answer::Choice { .. } => {}
        }
    }

    /// Why no record can hold the question, or nobody could answer it.
    pub(crate) fn unfit(&self) -> Option<String> {
        let (texts, what): (Vec<&String>, _) = match self {
            Answer::Signature { role, about, .. } => (
                std::iter::once(role).chain(about).collect(),
                "role and digest",
            ),
            Answer::Choice { of } if of.is_empty() => {
                return Some("it asks for a choice and offers none".into());
            }
            Answer::Choice { of } => (of.iter().collect(), "choices"),
            _ => return None,
        };
        let size: usize = texts.iter().map(|text| text.len() + AROUND).sum();
        (size > SHAPE_MAX).then(|| {
            format!("its {what} have {size} bytes in a record, which has room for {SHAPE_MAX}")
        })
    }
}

/// Cuts texts evenly; leaves out items only where their keys alone are too long.
fn bound_items(items: &mut Vec<Trial>, more: &mut u32) {
    let mut size = 0;
    let fitting = items.iter().take_while(|item| {
        size += item.key.len() + 2 * AROUND;
        size <= SHAPE_MAX
    });
    let fitting = fitting.count();
    let left_out = items.len() - fitting;
    items.truncate(fitting);
    *more = more.saturating_add(u32::try_from(left_out).unwrap_or(u32::MAX));
    let keys: usize = items.iter().map(|item| item.key.len() + 2 * AROUND).sum();
    let texts: usize = items.iter().map(|item| item.text.len()).sum();
    if keys + texts <= SHAPE_MAX || items.is_empty() {
        return;
    }
    let each = (SHAPE_MAX - keys) / items.len();
    for item in items {
        // The sign for what was left out has three bytes.
        item.text = cut(std::mem::take(&mut item.text), each.saturating_sub(3));
    }
}

/// An answer to a choice or a text: the signal's body is this as JSON, `{"choice":"blue"}` or `{"text":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// The word that was chosen.
    Choice(String),
    /// The person's own words.
    Text(String),
}

impl Reply {
    /// The body of the signal that carries it.
    ///
    /// # Panics
    /// Never: a text is JSON.
    pub fn body(&self) -> String {
        serde_json::to_string(self).expect("a text is JSON")
    }

    /// Reads the body of a signal; nothing when it is an answer of another kind.
    pub fn parse(body: &str) -> Option<Reply> {
        serde_json::from_str(body).ok()
    }
}

#[cfg(test)]
mod tests;
