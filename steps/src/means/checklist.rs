//! `people.checklist`: named people try things and say what they saw.

use std::collections::{BTreeMap, BTreeSet};

use flow_engine::clock::Timestamp;
use flow_engine::signal::Signal;
use serde::{Deserialize, Serialize};

mod question;

/// The longest note, in characters.
pub const NOTE_MAX: usize = 500;
const ATTACHMENTS_MAX: usize = 8;

/// Waits until every required item is answered. A later answer to an item replaces an earlier one; one `fail` fails
/// the step at once, which rolls back where the phase does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checklist {
    /// What stands above the list, with the application's name.
    pub title: String,
    /// What is to be tried.
    pub items: Vec<Item>,
    /// Who is asked.
    pub who: String,
    /// How long they have from the first time the step is begun. Then the run parks, undoing nothing, and the team is
    /// told; a retry by an operator gives that long again.
    pub deadline_minutes: Option<u64>,
}

/// One thing to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its name for ever, within the checklist.
    pub key: String,
    /// What to do and what must be seen.
    pub text: String,
    /// Whether the checklist waits for it, and wants a note where it does not apply.
    pub required: bool,
}

/// An answer: the signal's body is this as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemAnswer {
    /// The item's key.
    pub item: String,
    /// What was seen.
    pub result: ItemResult,
    /// In words. A `fail`, and a required item that does not apply, need some.
    #[serde(default)]
    pub note: String,
    /// Who tried it, as they say; who handed it in stands in the signal.
    pub by: String,
    /// Digests of attached files, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<String>,
}

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemResult {
    /// As it should be.
    Pass,
    /// Not as it should be.
    Fail,
    /// It does not apply to this release.
    Na,
}

/// A checklist that passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecklistResult {
    /// The title of the list.
    pub title: String,
    /// Who tried, as they say.
    pub testers: BTreeSet<String>,
    /// Every answered item.
    pub results: BTreeMap<String, Answered>,
    /// Items nobody answered; none of them was required.
    pub unanswered: Vec<String>,
}

/// One answered item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// What was seen.
    pub result: ItemResult,
    /// What was seen, in the tester's words; a fail needs some.
    pub note: String,
    /// Who tried it, as they say.
    pub by: String,
    /// Who handed the answer in, and from where.
    pub sent_by: String,
    /// When it was handed in.
    pub at: Timestamp,
    /// Digests of attached files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<String>,
}

/// Why an answer does not count. Nothing was stored because of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ItemRefusal {
    /// No answer at all.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// No such item.
    #[error("the checklist has no item `{item}`; it has {known}")]
    NoItem {
        /// What was answered.
        item: String,
        /// What there is.
        known: String,
    },
    /// Words are missing.
    #[error("`{0}`: say why in a note")]
    NoNote(String),
    /// Too long, or not plain text.
    #[error(
        "`{0}`: note, name and attachments must be plain text of at most {NOTE_MAX} characters"
    )]
    Text(String),
}

impl Checklist {
    /// An answer, where it would count.
    ///
    /// # Errors
    /// [`ItemRefusal`].
    pub fn read(&self, body: &str) -> Result<ItemAnswer, ItemRefusal> {
        let answer: ItemAnswer =
            serde_json::from_str(body).map_err(|e| ItemRefusal::Unreadable(e.to_string()))?;
        let item = self.items.iter().find(|i| i.key == answer.item);
        let item = item.ok_or_else(|| ItemRefusal::NoItem {
            item: answer.item.chars().take(60).collect(),
            known: self.keys(|_| true),
        })?;
        let plain = |text: &str| text.chars().count() <= NOTE_MAX && text.chars().all(is_note);
        let attached = answer.attachments.len() <= ATTACHMENTS_MAX
            && answer
                .attachments
                .iter()
                .all(|a| a.len() == 64 && a.bytes().all(|b| b.is_ascii_hexdigit()));
        if !plain(&answer.note) || !plain(&answer.by) || answer.by.trim().is_empty() || !attached {
            return Err(ItemRefusal::Text(answer.item));
        }
        let needs_note = match answer.result {
            ItemResult::Pass => false,
            ItemResult::Fail => true,
            ItemResult::Na => item.required,
        };
        if needs_note && answer.note.trim().is_empty() {
            return Err(ItemRefusal::NoNote(answer.item));
        }
        Ok(answer)
    }

    pub(crate) fn keys(&self, which: impl Fn(&Item) -> bool) -> String {
        let keys: Vec<&str> = self
            .items
            .iter()
            .filter(|i| which(i))
            .map(|i| i.key.as_str())
            .collect();
        keys.join(", ")
    }

    /// The answers that count, the last of each item, and why the others do not. What was answered before the step was
    /// `started` says nothing about what there is to try now.
    pub fn tally<'a>(
        &self,
        signals: impl Iterator<Item = &'a Signal>,
        started: Option<Timestamp>,
    ) -> (BTreeMap<String, Answered>, Vec<String>) {
        let mut answered = BTreeMap::new();
        let mut ignored = Vec::new();
        for signal in signals {
            if let Some(started) = started.filter(|s| signal.at < *s) {
                ignored.push(format!(
                    "answer {} does not count: it was given at {}, before the checklist was begun at {started}",
                    signal.id, signal.at
                ));
                continue;
            }
            match self.read(&signal.body) {
                Err(why) => ignored.push(format!("answer {} does not count: {why}", signal.id)),
                Ok(answer) => {
                    let one = Answered {
                        result: answer.result,
                        note: answer.note,
                        by: answer.by,
                        sent_by: format!("{} from {}", signal.by.name, signal.by.from),
                        at: signal.at,
                        attachments: answer.attachments,
                    };
                    answered.insert(answer.item, one);
                }
            }
        }
        (answered, ignored)
    }

    pub(crate) fn result(&self, results: BTreeMap<String, Answered>) -> ChecklistResult {
        let unanswered = self.items.iter().filter(|i| !results.contains_key(&i.key));
        ChecklistResult {
            title: self.title.clone(),
            testers: results.values().map(|a| a.by.clone()).collect(),
            unanswered: unanswered.map(|i| i.key.clone()).collect(),
            results,
        }
    }
}

/// As for names, but a note may have several lines.
fn is_note(c: char) -> bool {
    c == '\n' || crate::means::plain::is_plain(c)
}

impl ChecklistResult {
    /// For a summary: how many items passed, and by whom.
    pub fn in_a_line(&self) -> String {
        let passed = self
            .results
            .values()
            .filter(|a| a.result == ItemResult::Pass)
            .count();
        let all = self.results.len() + self.unanswered.len();
        let by: Vec<&str> = self.testers.iter().map(String::as_str).collect();
        format!(
            "{}: {passed} of {all} pass, by {}",
            self.title,
            by.join(", ")
        )
    }
}
