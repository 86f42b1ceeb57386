//! One sample of everything that can stand in a record.

use flow_engine::answer::{Answer, Subject, Trial};
use flow_engine::clock::Timestamp;
use flow_engine::id::Digest;
use flow_engine::record::{
    Entry, Failure, FailureKind, ParkReason, Payload, Record, Verdict, Wait,
};
use flow_engine::signal::{Order, Signal};

use crate::golden_support::{anna, failure, json, wait};

/// The moment of every sample.
const AT: Timestamp = Timestamp(1_795_348_800_000);

/// A new variant of anything below does not compile until it is named here, and needs a sample then.
fn every_variant_has_a_sample(record: &Record) {
    match record {
        Record::Created { .. }
        | Record::Acquired { .. }
        | Record::Started { .. }
        | Record::Noted { .. }
        | Record::Done { .. }
        | Record::Skipped { .. }
        | Record::Signalled(_)
        | Record::Unwinding { .. }
        | Record::UndoStarted { .. }
        | Record::Undone { .. }
        | Record::Queued { .. }
        | Record::Sent { .. }
        | Record::Undeliverable { .. } => {}
        Record::Failed { kind, .. } | Record::UndoFailed { kind, .. } => match kind {
            FailureKind::Failed
            | FailureKind::Refused
            | FailureKind::Unknown
            | FailureKind::Unreached => {}
        },
        Record::Waiting { wait, .. } => match &wait.answer {
            None
            | Some(
                Answer::Command(_)
                | Answer::Checklist { .. }
                | Answer::Choice { .. }
                | Answer::Text { .. },
            ) => {}
            Some(Answer::Signature { subject, .. }) => match subject {
                Subject::Signoff | Subject::Review | Subject::Waiver => {}
            },
        },
        Record::Ordered { order, .. } => match order {
            Order::Retry
            | Order::Skip { .. }
            | Order::Settle { .. }
            | Order::Rollback
            | Order::Cancel => {}
        },
        Record::Parked { why } => match why {
            ParkReason::StepFailed { .. }
            | ParkReason::Refused { .. }
            | ParkReason::Unknown { .. }
            | ParkReason::UndoFailed { .. }
            | ParkReason::Unreadable { .. }
            | ParkReason::Unreached { .. }
            | ParkReason::UndoUnreached { .. } => {}
        },
        Record::Finished { verdict } => match verdict {
            Verdict::Completed
            | Verdict::RolledBack
            | Verdict::Cancelled
            | Verdict::RolledBackInPart => {}
        },
    }
}

/// Every variant of everything that can stand in a record, with and without what is optional.
pub(crate) fn samples() -> Vec<(&'static str, Entry)> {
    let mut all = first_half();
    all.extend(second_half());
    all.extend(questions());
    all.into_iter()
        .map(|(name, record)| {
            every_variant_has_a_sample(&record);
            (name, Entry { at: AT, record })
        })
        .collect()
}

fn created(plan: Payload, request: Option<&str>) -> Record {
    Record::Created {
        plan,
        by: anna(),
        reason: "a test".into(),
        request: request.map(str::to_owned),
    }
}

fn failed(kind: FailureKind, retry_at: Option<Timestamp>) -> Record {
    Record::Failed {
        step: 3,
        kind,
        failure: failure(),
        retry_at,
    }
}

fn undo_failed(kind: FailureKind, retry_at: Option<Timestamp>) -> Record {
    Record::UndoFailed {
        step: 300,
        kind,
        failure: Failure::new("no way back"),
        retry_at,
    }
}

/// A wait of every kind of answer that is data.
fn questions() -> Vec<(&'static str, Record)> {
    let asks = |answer| Record::Waiting {
        step: 1,
        wait: Wait {
            answer: Some(answer),
            ..wait("qa", Some(AT))
        },
        seen: 2,
    };
    let signature = |subject, about: Option<&str>| Answer::Signature {
        role: "qa".into(),
        subject,
        about: about.map(str::to_owned),
    };
    let trial = Trial {
        key: "login".into(),
        text: "Login works".into(),
        required: true,
    };
    let (items, more) = (vec![trial], 3);
    vec![
        ("waiting-signoff", asks(signature(Subject::Signoff, None))),
        (
            "waiting-review",
            asks(signature(Subject::Review, Some("ab"))),
        ),
        (
            "waiting-waiver",
            asks(signature(Subject::Waiver, Some("cd"))),
        ),
        ("waiting-checklist", asks(Answer::Checklist { items, more })),
        ("waiting-choice", asks(Answer::choice(["blue", "green"]))),
        ("waiting-text", asks(Answer::Text { max: 300 })),
    ]
}

fn first_half() -> Vec<(&'static str, Record)> {
    let object = Payload::Object(Digest([7; 32]));
    let signal = Signal {
        step: "prep/ask".into(),
        id: "s-1".into(),
        by: anna(),
        body: "{\"yes\":true}".into(),
        at: AT,
    };
    let waiting = |wait| Record::Waiting {
        step: 1,
        wait,
        seen: 2,
    };
    let done = |output| Record::Done { step: 1, output };
    vec![
        ("created", created(json("{}"), None)),
        ("created-with-key", created(object.clone(), Some("key"))),
        (
            "acquired",
            Record::Acquired {
                holder: "process 7 on box (boot 01234567)".into(),
                version: "0.1.0".into(),
            },
        ),
        (
            "started",
            Record::Started {
                step: 1,
                attempt: 2,
            },
        ),
        (
            "noted",
            Record::Noted {
                step: 1,
                note: json("[1]"),
            },
        ),
        ("waiting-for-qa", waiting(wait("qa", None))),
        ("waiting-for-time", waiting(wait("", Some(AT)))),
        ("done", done(json("1"))),
        ("done-with-object", done(object)),
        ("failed", failed(FailureKind::Failed, Some(AT))),
        ("failed-refused", failed(FailureKind::Refused, None)),
        ("failed-unknown", failed(FailureKind::Unknown, None)),
        ("failed-unreached", failed(FailureKind::Unreached, Some(AT))),
        (
            "skipped",
            Record::Skipped {
                step: 1,
                why: "not asked for".into(),
            },
        ),
        ("signalled", Record::Signalled(signal)),
    ]
}

fn second_half() -> Vec<(&'static str, Record)> {
    let ordered = |order| Record::Ordered {
        order,
        by: anna(),
        reason: "because".into(),
    };
    let step = || "prod/change".to_owned();
    let parked = |why| Record::Parked { why };
    let finished = |verdict| Record::Finished { verdict };
    let why = || "in words".to_owned();
    let settle = |done| Order::Settle { step: step(), done };
    vec![
        ("ordered-retry", ordered(Order::Retry)),
        ("ordered-skip", ordered(Order::Skip { step: step() })),
        ("ordered-settle-done", ordered(settle(true))),
        ("ordered-settle-not-done", ordered(settle(false))),
        ("ordered-rollback", ordered(Order::Rollback)),
        ("ordered-cancel", ordered(Order::Cancel)),
        ("unwinding", Record::Unwinding { why: why() }),
        (
            "undo-started",
            Record::UndoStarted {
                step: 2,
                attempt: 1,
            },
        ),
        (
            "undone",
            Record::Undone {
                step: 2,
                report: why(),
            },
        ),
        ("undo-failed", undo_failed(FailureKind::Failed, Some(AT))),
        (
            "undo-failed-refused",
            undo_failed(FailureKind::Refused, None),
        ),
        (
            "undo-failed-unknown",
            undo_failed(FailureKind::Unknown, None),
        ),
        (
            "undo-failed-unreached",
            undo_failed(FailureKind::Unreached, None),
        ),
        (
            "parked-unreached",
            parked(ParkReason::Unreached { step: 6 }),
        ),
        (
            "parked-undo-unreached",
            parked(ParkReason::UndoUnreached { step: 7 }),
        ),
        ("parked-failed", parked(ParkReason::StepFailed { step: 1 })),
        ("parked-refused", parked(ParkReason::Refused { step: 2 })),
        ("parked-unknown", parked(ParkReason::Unknown { step: 3 })),
        (
            "parked-undo-failed",
            parked(ParkReason::UndoFailed { step: 4 }),
        ),
        (
            "parked-unreadable",
            parked(ParkReason::Unreadable {
                step: 5,
                why: why(),
            }),
        ),
        ("finished-completed", finished(Verdict::Completed)),
        ("finished-rolled-back", finished(Verdict::RolledBack)),
        ("finished-cancelled", finished(Verdict::Cancelled)),
        ("finished-in-part", finished(Verdict::RolledBackInPart)),
        (
            "queued",
            Record::Queued {
                topic: "deploying".into(),
                body: json("{}"),
            },
        ),
        ("sent", Record::Sent { notice: 300 }),
        (
            "undeliverable",
            Record::Undeliverable {
                notice: 0,
                why: why(),
            },
        ),
    ]
}
