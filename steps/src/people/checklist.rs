//! `people.checklist`: named people try things and say what they saw.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use flow_engine::answer::{Asked, Refusal};
use flow_engine::clock::Timestamp;
use flow_engine::id::RunId;
use flow_engine::record::Wait;
use flow_engine::signal::Signal;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

mod question;

/// The kind of [`Checklist`] in stored plans.
pub const KIND: &str = "people.checklist";
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

    fn keys(&self, which: impl Fn(&Item) -> bool) -> String {
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

    fn result(&self, results: BTreeMap<String, Answered>) -> ChecklistResult {
        let unanswered = self.items.iter().filter(|i| !results.contains_key(&i.key));
        ChecklistResult {
            title: self.title.clone(),
            testers: results.values().map(|a| a.by.clone()).collect(),
            unanswered: unanswered.map(|i| i.key.clone()).collect(),
            results,
        }
    }

    /// When time is up. The moment the attempt was first begun is noted, so that it survives a crash.
    async fn deadline(&self, cx: &Cx) -> Result<Option<Timestamp>, StepError> {
        let Some(minutes) = self.deadline_minutes else {
            return Ok(None);
        };
        let noted: Option<Begun> = cx.noted()?;
        let begun = if let Some(begun) = noted.filter(|b| b.attempt == cx.attempt()) {
            begun
        } else {
            let begun = Begun {
                attempt: cx.attempt(),
                at: cx.now(),
            };
            cx.note(&begun).await?;
            begun
        };
        let limit = Duration::from_secs(minutes.saturating_mul(60));
        Ok(Some(begun.at.plus(limit)))
    }
}

/// When this step was begun for the first time.
fn started(cx: &Cx) -> Option<Timestamp> {
    let (index, _) = cx.plan().node(cx.key())?;
    cx.run().steps[index as usize].started
}

/// What leads on from a list that did not pass.
struct Lead {
    answer: String,
    retry: String,
}

impl Lead {
    fn of(cx: &Cx) -> Lead {
        let run: &RunId = cx.run_id();
        Lead {
            answer: format!("flow check {run} {}", cx.key()),
            retry: format!("flow retry {run}"),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Begun {
    attempt: u16,
    at: Timestamp,
}

/// As for names, but a note may have several lines.
fn is_note(c: char) -> bool {
    c == '\n' || crate::means::plain::is_plain(c)
}

#[async_trait]
impl Step for Checklist {
    const KIND: &'static str = KIND;
    type Output = ChecklistResult;

    fn summary(&self) -> String {
        let within = self.deadline_minutes.map(|m| format!(" within {m} min"));
        let within = within.unwrap_or_default();
        format!(
            "{} checks by hand{within}: {} ({} items)",
            self.who,
            self.title,
            self.items.len()
        )
    }

    fn answered_by(&self) -> Option<String> {
        Some(self.who.clone())
    }

    /// Whether the list has begun and is not over, it has that item, and who sends the answer is who tried it.
    async fn accepts(&self, asked: &Asked<'_>, signal: &Signal) -> Result<(), Refusal> {
        if asked.state().started.is_none() {
            return Err(asked.not_asked("it has not begun, so there is nothing to try yet"));
        }
        if asked.is_over() {
            return Err(asked.not_asked("the step is over"));
        }
        let answer = self
            .read(&signal.body)
            .map_err(|e| Refusal::DoesNotCount(e.into()))?;
        if answer.by == signal.by.name {
            return Ok(());
        }
        let why = format!(
            "it says that {} tried it, and {} sends it",
            answer.by, signal.by.name
        );
        Err(Refusal::DoesNotCount(why.into()))
    }

    async fn run(&self, cx: &Cx) -> Result<ChecklistResult, StepError> {
        let until = self.deadline(cx).await?;
        let (answered, ignored) = self.tally(cx.signals(), started(cx));
        for line in ignored {
            cx.log(line);
        }
        let lead = Lead::of(cx);
        if let Some((item, bad)) = answered.iter().find(|(_, a)| a.result == ItemResult::Fail) {
            return Err(self.failed(item, bad, &lead));
        }
        let open = self.keys(|i| i.required && !answered.contains_key(&i.key));
        let tried = |a: &Answered| a.result == ItemResult::Pass;
        if open.is_empty() && !answered.is_empty() && !answered.values().any(tried) {
            let message = format!(
                "{}: every answer says that its item does not apply, so nothing was tried",
                self.title
            );
            let Lead { answer, retry } = lead;
            return Err(StepError::refuse(message)
                .hint(format!("try at least one, answer: {answer}, then: {retry}")));
        }
        if open.is_empty() {
            return Ok(self.result(answered));
        }
        // A time that is over is no answer: the run parks then, production serves on, and a retry gives that long again.
        Err(StepError::Wait(Wait {
            who: self.who.clone(),
            what: format!("{}: {open}", self.title),
            answer: Some(self.question()),
            until,
        }))
    }
}

impl Checklist {
    fn failed(&self, item: &str, bad: &Answered, lead: &Lead) -> StepError {
        let text = self
            .items
            .iter()
            .find(|i| i.key == item)
            .map_or("", |i| i.text.as_str());
        StepError::fail(format!(
            "{}: `{item}` failed ({text}), says {}: {}",
            self.title, bad.by, bad.note
        ))
        .hint(format!(
            "when it is cleared up, answer the item again: {}, then: {}",
            lead.answer, lead.retry
        ))
    }
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

#[cfg(test)]
mod tests;
