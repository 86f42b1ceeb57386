//! `people.checklist`: named people try things and say what they saw.

use std::time::Duration;

use async_trait::async_trait;
use flow_engine::answer::{Asked, Refusal};
use flow_engine::clock::Timestamp;
use flow_engine::id::RunId;
use flow_engine::record::Wait;
use flow_engine::signal::Signal;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::checklist::{Answered, Checklist, ChecklistResult, ItemResult};
use crate::means::kinds;

impl Checklist {
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

#[async_trait]
impl Step for Checklist {
    const KIND: &'static str = kinds::CHECKLIST;
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

#[cfg(test)]
mod tests;
