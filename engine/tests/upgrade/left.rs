//! Runs in every state a run can be in, as a version 1.0.0 with an older step would have left them.

use flow_engine::clock::Timestamp;
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;
use flow_engine::record::{Failure, FailureKind, ParkReason, Payload, Record, Verdict};
use flow_engine::signal::{Order, Signal};

use crate::golden_support::{anna, failure, json, wait};
use crate::states::{State, THEN, Then};

fn created() -> Record {
    let mut planner = Planner::new("release", "protocol 1", "prod", "flow 1.0.0");
    // Large enough for the object store.
    planner.fact("notes", "n".repeat(3000));
    let step = |name: &str| Then { name: name.into() };
    planner.phase("prep", "Preparation", OnFailure::Park, |p| {
        p.step("prep/look", step("look"));
        p.step("prep/ask", step("ask"));
    });
    planner.phase("prod", "Production", OnFailure::Rollback, |p| {
        p.step("prod/change", step("change"));
        p.step("prod/after", step("after"));
    });
    Record::Created {
        plan: Payload::Inline(planner.finish().unwrap().to_json()),
        by: anna(),
        reason: "a test".into(),
        request: Some("key".into()),
    }
}

fn acquired() -> Record {
    Record::Acquired {
        holder: "process 7 on box (boot 01234567)".into(),
        version: "1.0.0".into(),
    }
}

fn started(step: u32, attempt: u16) -> Record {
    Record::Started { step, attempt }
}

fn done(step: u32) -> [Record; 2] {
    let output = json(&format!("\"{}\"", "o".repeat(3000)));
    [started(step, 1), Record::Done { step, output }]
}

fn failed(step: u32, kind: FailureKind, retry_at: Option<Timestamp>) -> Record {
    Record::Failed {
        step,
        kind,
        failure: failure(),
        retry_at,
    }
}

fn parked(why: ParkReason) -> Record {
    Record::Parked { why }
}

fn ordered(order: Order) -> Record {
    Record::Ordered {
        order,
        by: anna(),
        reason: "because".into(),
    }
}

fn signalled() -> Record {
    Record::Signalled(Signal {
        step: "prep/ask".into(),
        id: "s-1".into(),
        by: anna(),
        body: "yes".into(),
        at: THEN,
    })
}

fn undo_failed(kind: FailureKind, retry_at: Option<Timestamp>) -> Record {
    Record::UndoFailed {
        step: 2,
        kind,
        failure: Failure::new("no way back"),
        retry_at,
    }
}

fn change() -> String {
    "prod/change".into()
}

/// The run, up to and with its preparation.
fn prepared() -> Vec<Record> {
    let mut records = vec![created(), acquired(), signalled()];
    records.extend(done(0));
    records.extend(done(1));
    records
}

/// Production was changed, failed after it, and one of two steps is undone.
fn undoing() -> Vec<Record> {
    let mut records = prepared();
    records.extend(done(2));
    records.extend([
        started(3, 1),
        failed(3, FailureKind::Failed, None),
        Record::Unwinding {
            why: "step `prod/after` failed".into(),
        },
        Record::UndoStarted {
            step: 3,
            attempt: 1,
        },
        Record::Undone {
            step: 3,
            report: "undone".into(),
        },
        Record::UndoStarted {
            step: 2,
            attempt: 1,
        },
    ]);
    records
}

fn state(
    name: &'static str,
    start: Vec<Record>,
    more: impl IntoIterator<Item = Record>,
    (order, ends): (Option<Order>, Verdict),
    does: &[&'static str],
) -> State {
    let records = start.into_iter().chain(more).collect();
    let does = does.to_vec();
    State {
        name,
        records,
        order,
        ends,
        does,
    }
}

const ALL: [&str; 4] = ["run look", "run ask", "run change", "run after"];

/// Every state in which a release may be left.
pub(crate) fn states() -> Vec<State> {
    let mut all = going_forward();
    all.extend(parked_states());
    all.extend(going_back());
    all
}

fn going_forward() -> Vec<State> {
    let fine = || (None, Verdict::Completed);
    let noted = Record::Noted {
        step: 2,
        note: json("{\"at\":1}"),
    };
    let waiting = Record::Waiting {
        step: 1,
        wait: wait("qa", None),
        seen: 0,
    };
    let mut asked = vec![created(), acquired()];
    asked.extend(done(0));
    let retry = failed(2, FailureKind::Failed, Some(THEN));
    let skip = Order::Skip {
        step: "prep/look".into(),
    };
    let skipped = [
        acquired(),
        started(0, 1),
        failed(0, FailureKind::Failed, None),
        parked(ParkReason::StepFailed { step: 0 }),
        ordered(skip),
        signalled(),
        Record::Skipped {
            step: 1,
            why: "not asked for".into(),
        },
    ];
    vec![
        state("created", vec![created()], [signalled()], fine(), &ALL),
        state(
            "interrupted",
            prepared(),
            [started(2, 1), noted],
            fine(),
            &ALL[2..],
        ),
        state(
            "retrying",
            prepared(),
            [started(2, 1), retry],
            fine(),
            &ALL[2..],
        ),
        state(
            "waiting",
            asked,
            [started(1, 1), waiting, signalled()],
            fine(),
            &ALL[1..],
        ),
        state("skipped", vec![created()], skipped, fine(), &ALL[2..]),
        state(
            "driven-twice",
            prepared(),
            [started(2, 1), acquired(), acquired()],
            fine(),
            &ALL[2..],
        ),
    ]
}

fn parked_states() -> Vec<State> {
    let begun = || vec![created(), acquired(), signalled(), started(0, 1)];
    let retry = || (Some(Order::Retry), Verdict::Completed);
    let settle = |done| Order::Settle {
        step: change(),
        done,
    };
    let told = [
        failed(0, FailureKind::Refused, None),
        parked(ParkReason::Refused { step: 0 }),
        Record::Queued {
            topic: "deploying".into(),
            body: json("{}"),
        },
        Record::Sent { notice: 0 },
        Record::Undeliverable {
            notice: 5,
            why: "no such address".into(),
        },
    ];
    let failed_once = [
        failed(0, FailureKind::Failed, None),
        parked(ParkReason::StepFailed { step: 0 }),
    ];
    let unknown = || {
        [
            started(2, 1),
            failed(2, FailureKind::Unknown, None),
            parked(ParkReason::Unknown { step: 2 }),
        ]
    };
    let unreadable = ParkReason::Unreadable {
        step: 2,
        why: "this flow has no step `golden.step`".into(),
    };
    let settled = unknown().into_iter().chain([ordered(settle(false))]);
    vec![
        state("parked-failed", begun(), failed_once, retry(), &ALL),
        state("parked-refused", begun(), told, retry(), &ALL),
        state(
            "parked-unknown",
            prepared(),
            unknown(),
            (Some(settle(true)), Verdict::Completed),
            &ALL[3..],
        ),
        state(
            "settled",
            prepared(),
            settled,
            (None, Verdict::Completed),
            &ALL[2..],
        ),
        state(
            "parked-unreadable",
            prepared(),
            [parked(unreadable)],
            retry(),
            &ALL[2..],
        ),
    ]
}

fn going_back() -> Vec<State> {
    let back = |order| (order, Verdict::RolledBack);
    let finished = |verdict| Record::Finished { verdict };
    let undone = || Record::Undone {
        step: 2,
        report: "undone".into(),
    };
    let stuck = || {
        [
            undo_failed(FailureKind::Unknown, None),
            parked(ParkReason::UndoFailed { step: 2 }),
        ]
    };
    let again = undo_failed(FailureKind::Failed, Some(THEN));
    let completed = done(2).into_iter().chain(done(3));
    let given_up = stuck().into_iter().chain([
        ordered(Order::Skip { step: change() }),
        finished(Verdict::RolledBackInPart),
    ]);
    let cancelled = [ordered(Order::Cancel), finished(Verdict::Cancelled)];
    let one = &["undo change"];
    vec![
        state("undo-interrupted", undoing(), [], back(None), one),
        state("undo-retrying", undoing(), [again], back(None), one),
        state(
            "undo-failed",
            undoing(),
            stuck(),
            back(Some(Order::Retry)),
            one,
        ),
        state(
            "completed",
            prepared(),
            completed.chain([finished(Verdict::Completed)]),
            back(Some(Order::Rollback)),
            &["undo after", "undo change"],
        ),
        state(
            "rolled-back",
            undoing(),
            [undone(), finished(Verdict::RolledBack)],
            back(None),
            &[],
        ),
        state(
            "in-part",
            undoing(),
            given_up,
            (None, Verdict::RolledBackInPart),
            &[],
        ),
        state(
            "cancelled",
            prepared(),
            cancelled,
            (None, Verdict::Cancelled),
            &[],
        ),
    ]
}
