//! One line per record: what plain output and reports show.

use flow_engine::answer::Reply;
use flow_engine::id::Digest;
use flow_engine::record::{Entry, FailureKind, ParkReason, Record};
use flow_engine::run::Run;
use flow_engine::signal::Signal;
use flow_steps::means::checklist::{ItemAnswer, ItemResult};
use flow_steps::means::signature::sshsig::Envelope;
use flow_steps::means::signature::statement::{Decision, Statement, Subject};
use flow_steps::means::signature::verify::SignedAnswer;

/// Where a reason stands in full in the line of the failure before, it is cut at so many characters.
const WHY: usize = 160;

/// What a record says, without its time; nothing for those that say nothing to people.
pub(crate) fn of(run: &Run, record: &Record) -> Option<String> {
    let key = |step: u32| {
        let node = run.plan.nodes.get(step as usize);
        node.map_or("?", |n| n.key.as_str())
    };
    Some(match record {
        Record::Created { by, .. } => {
            format!("run {} started by {} from {}", run.id, by.name, by.from)
        }
        Record::Acquired { holder, version } => format!("driven by {holder}, flow {version}"),
        Record::Started { step, attempt } => format!("{} started (attempt {attempt})", key(*step)),
        Record::Noted { .. } | Record::Sent { .. } => return None,
        Record::Waiting { step, wait, .. } if wait.who.is_empty() => {
            format!("{} waits for {}", key(*step), wait.what)
        }
        Record::Waiting { step, wait, .. } => {
            let until = wait
                .until
                .map(|t| format!(" until {t}"))
                .unwrap_or_default();
            let command = flow_steps::means::commands::of_wait(run, *step, wait);
            let what = &wait.what;
            format!(
                "{} waits for {}{until}: {what} — {command}",
                key(*step),
                wait.who
            )
        }
        Record::Done { step, .. } => format!("{} done", key(*step)),
        Record::Failed {
            step,
            kind,
            failure,
            retry_at,
        } => {
            let word = match kind {
                FailureKind::Failed => "failed",
                FailureKind::Refused => "refused",
                FailureKind::Unknown => "has an unknown outcome",
                FailureKind::Unreached => "got no answer",
            };
            let again = retry_at
                .map(|t| format!("; again at {t}"))
                .unwrap_or_default();
            format!("{} {word}: {}{again}", key(*step), failure.message)
        }
        Record::Skipped { step, why } => format!("{} skipped: {why}", key(*step)),
        Record::Signalled(signal) => answered(signal),
        Record::Ordered { order, by, reason } => {
            format!(
                "{} ordered by {} from {}: {reason}",
                order.verb(),
                by.name,
                by.from
            )
        }
        Record::Unwinding { why } => {
            format!("undoing everything that started: {}", super::cut(why, WHY))
        }
        Record::UndoStarted { step, attempt } => {
            format!("{} is being undone (attempt {attempt})", key(*step))
        }
        Record::Undone { step, report } => format!("{} undone: {report}", key(*step)),
        Record::UndoFailed {
            step,
            failure,
            retry_at,
            ..
        } => {
            let again = retry_at
                .map(|t| format!("; again at {t}"))
                .unwrap_or_default();
            format!(
                "{} could not be undone: {}{again}",
                key(*step),
                failure.message
            )
        }
        Record::Parked { why } => {
            format!(
                "run {} is parked: {}",
                run.id,
                super::cut(&parked(run, why), WHY)
            )
        }
        Record::Finished { .. } => format!("run {} {}", run.id, run.in_a_word()),
        Record::Queued { topic, .. } => format!("the team is told: {topic}"),
        Record::Undeliverable { notice, why } => {
            format!("the notice of record {notice} cannot be delivered: {why}")
        }
    })
}

/// Why, as it was then: the run may have gone on since.
fn parked(run: &Run, why: &ParkReason) -> String {
    let stuck = format!("could not be undone; {}", super::next::incomplete(run));
    let (step, what) = match why {
        ParkReason::StepFailed { step } => (step, "failed"),
        ParkReason::Refused { step } => (step, "refused"),
        ParkReason::UndoFailed { step } => (step, stuck.as_str()),
        ParkReason::Unknown { step } => (step, "has an unknown outcome"),
        ParkReason::Unreached { step } => (step, "could not be reached or was not answered"),
        ParkReason::UndoUnreached { step } => (step, "could not be reached to be undone"),
        ParkReason::Unreadable { step, why } => {
            let key = run.plan.nodes.get(*step as usize).map_or("?", |n| &n.key);
            return format!("`{key}` cannot be run: {why}");
        }
    };
    let key = run.plan.nodes.get(*step as usize).map_or("?", |n| &n.key);
    format!("`{key}` {what}")
}

/// A signed answer: the statement, and the key that is said to have signed it. `flow` checked it when it was handed in.
pub(super) struct SignatureParts {
    pub(super) statement: Statement,
    pub(super) fingerprint: String,
    pub(super) sha256: String,
}

/// Reads a signed answer.
pub(super) fn signed(body: &str) -> Option<SignatureParts> {
    let answer: SignedAnswer = serde_json::from_str(body).ok()?;
    Some(SignatureParts {
        statement: Statement::parse(&answer.statement)?,
        fingerprint: Envelope::parse(&answer.signature).ok()?.fingerprint,
        sha256: Digest::of(answer.statement.as_bytes()).to_string(),
    })
}

impl SignatureParts {
    /// What was decided.
    pub(super) fn decision(&self) -> &'static str {
        match (self.statement.decision, self.statement.subject) {
            (Decision::Reject, _) => "REJECTED",
            (Decision::Approve, Subject::Waiver) => "waived",
            (Decision::Approve, Subject::Start) => "started",
            (Decision::Approve, _) => "approved",
        }
    }

    fn in_words(&self) -> String {
        let Statement {
            signer, role, note, ..
        } = &self.statement;
        let note = match note.as_str() {
            "" => String::new(),
            note => format!(" ({note})"),
        };
        let (decision, key) = (self.decision(), &self.fingerprint);
        format!("{decision} by {signer} as {role}, key {key}{note}")
    }
}

/// An answer; of a checklist's item, what was seen.
fn answered(signal: &Signal) -> String {
    let item = serde_json::from_str::<ItemAnswer>(&signal.body).ok();
    let said = match item {
        Some(answer) => {
            let word = match answer.result {
                ItemResult::Pass => "pass",
                ItemResult::Fail => "FAIL",
                ItemResult::Na => "does not apply",
            };
            let note = match answer.note.as_str() {
                "" => String::new(),
                note => format!(" ({note})"),
            };
            format!("{}: {word}{note},", answer.item)
        }
        None => match signed(&signal.body) {
            Some(said) => format!("{}; handed in", said.in_words()),
            None => match Reply::parse(&signal.body) {
                Some(Reply::Choice(word)) => format!("answered `{word}`,"),
                Some(Reply::Text(text)) => format!("answered \"{}\",", super::cut(&text, WHY)),
                None => "answered,".into(),
            },
        },
    };
    let (step, by) = (&signal.step, &signal.by);
    format!("{step} {said} by {} from {}", by.name, by.from)
}

/// A record as one line, with its time.
pub(crate) fn stamped(run: &Run, entry: &Entry) -> Option<String> {
    let said = of(run, &entry.record)?;
    Some(format!("{} {}", entry.at, super::clean(&said)))
}

#[cfg(test)]
mod tests {
    use flow_engine::clock::Timestamp;
    use flow_engine::journal::memory::MemoryJournal;
    use flow_engine::plan::OnFailure;
    use flow_engine::planner::Planner;
    use flow_steps::means::checklist::{Checklist, Item};

    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn an_answer_to_a_checklist_says_which_item_and_what_was_seen() {
        let journal = std::sync::Arc::new(MemoryJournal::default());
        let (run, _) = testing::driven(&journal, vec![], false).await;
        let mut planner = Planner::new("release", "test-1", "prod", "flow test");
        planner.phase("test", "Test", OnFailure::Park, |p| {
            let item = Item {
                key: "login".into(),
                text: "log in".into(),
                required: true,
            };
            let list = Checklist {
                who: "qa".into(),
                title: "Features".into(),
                items: vec![item],
                deadline_minutes: None,
            };
            p.step("test/features", list);
        });
        let mut run = Run::clone(&run);
        run.plan = planner.finish().expect("the plan is sound").into();
        let said = |body: &str| {
            let signal = Signal {
                step: "test/features".into(),
                id: "a".into(),
                by: testing::actor(),
                body: body.into(),
                at: Timestamp(0),
            };
            of(&run, &Record::Signalled(signal)).expect("a line")
        };
        assert_eq!(
            said(r#"{"item":"login","result":"fail","note":"blank page","by":"anna"}"#),
            "test/features login: FAIL (blank page), by anna from box"
        );
        assert_eq!(said("no JSON"), "test/features answered, by anna from box");
    }
}
