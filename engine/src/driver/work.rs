//! One attempt at one step, and the record it leads to.

use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;

use crate::answer::Answer;
use crate::clock::Timestamp;
use crate::context::Cx;
use crate::event::Masked;
use crate::plan::{Effect, Node};
use crate::record::{Failure, FailureKind, Payload, Record};
use crate::registry::AnyStep;
use crate::run::{Run, Status, Undo};
use crate::step::StepError;

/// Doing or undoing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Forward,
    Backward,
}

/// An attempt that ended.
pub(super) struct Attempt {
    pub(super) step: u32,
    way: Way,
    seen: usize,
    cancelled: bool,
    result: Result<Vec<u8>, End>,
}

impl Attempt {
    /// An attempt whose task broke outside the step itself.
    pub(super) fn broken(step: u32, way: Way, error: &tokio::task::JoinError) -> Attempt {
        let cancelled = error.is_cancelled();
        let result = if cancelled {
            Err(End::Error(StepError::Stopped))
        } else {
            Err(End::Panicked(error.to_string()))
        };
        Attempt {
            step,
            way,
            seen: 0,
            cancelled,
            result,
        }
    }
}

enum End {
    Error(StepError),
    Late,
    Panicked(String),
}

/// Runs or undoes a step within its time limit. A panic is a failed attempt, not the end of the driver.
pub(super) async fn work(loaded: Box<dyn AnyStep>, cx: Cx, way: Way) -> Attempt {
    let step = cx.step;
    let limit = cx.run.plan.nodes[step as usize].policy.timeout();
    let key = cx.key().to_owned();
    let seen = cx.signals().count();
    let attempt = async {
        match way {
            Way::Forward => loaded.run(&cx).await,
            Way::Backward => {
                let done = cx.run.output(&key);
                loaded.undo(&cx, done).await.map(String::into_bytes)
            }
        }
    };
    let caught = AssertUnwindSafe(tokio::time::timeout(limit, attempt))
        .catch_unwind()
        .await;
    cx.observers.end_of_output(&cx.run.id, step);
    let result = match caught {
        Ok(Ok(Ok(output))) => Ok(output),
        Ok(Ok(Err(error))) => Err(End::Error(error)),
        Ok(Err(_)) => Err(End::Late),
        Err(panic) => Err(End::Panicked(in_words(&*panic))),
    };
    let cancelled = cx.cancel.is_cancelled();
    Attempt {
        step,
        way,
        seen,
        cancelled,
        result,
    }
}

fn in_words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into())
}

/// That a step asks what no record can hold or nobody can answer.
fn unasked(step: u32, message: String) -> Record {
    Record::Failed {
        step,
        kind: FailureKind::Failed,
        failure: Failure::new(message),
        retry_at: None,
    }
}

/// What to write down about an attempt that ended; nothing when it merely left off.
pub(super) fn record(run: &Run, masked: &Masked, ended: Attempt, now: Timestamp) -> Option<Record> {
    let step = ended.step;
    let state = &run.steps[step as usize];
    let node = &run.plan.nodes[step as usize];
    let error = match (ended.result, ended.way) {
        (Ok(output), Way::Forward) => {
            return Some(Record::Done {
                step,
                output: Payload::Inline(output),
            });
        }
        (Ok(report), Way::Backward) => {
            let report = String::from_utf8_lossy(&report).chars().take(900).collect();
            return Some(Record::Undone { step, report });
        }
        (Err(End::Error(StepError::Stopped)), _) if ended.cancelled => return None,
        (Err(End::Error(StepError::Wait(mut wait))), Way::Forward) => {
            if let Some(why) = wait.answer.as_ref().and_then(Answer::unfit) {
                let message = format!("a bug in this step: it cannot ask, because {why}");
                return Some(unasked(step, message));
            }
            masked.wait(&mut wait);
            let same = state.status == Status::Waiting && state.wait.as_ref() == Some(&wait);
            let late = wait.until.is_some_and(|until| until <= now);
            let news = ended.seen > state.signals_seen;
            let seen = u32::try_from(ended.seen).unwrap_or(u32::MAX);
            match (same, late, news) {
                (true, true, _) => End::Error(StepError::Wait(wait)),
                (true, false, false) => return None,
                _ => return Some(Record::Waiting { step, wait, seen }),
            }
        }
        (Err(end), _) => end,
    };
    let (kind, failure, again) = judge(error, node.effect, node.policy.timeout_s);
    let (begun, excused, unreached) = match ended.way {
        Way::Forward => (state.attempts, state.attempts_excused, state.unreached),
        Way::Backward => (
            state.undo_attempts,
            state.undo_attempts_excused,
            state.undo_unreached,
        ),
    };
    let pause = match again {
        Again::Never => None,
        Again::AsOftenAsAllowed => node.policy.pause_after(begun - excused),
        Again::WithPatience => {
            let spent = unreached.spent_by(now);
            node.policy.pause_unreached(unreached.times, spent)
        }
    };
    let failure = match (again, pause) {
        (Again::WithPatience, None) => failure.hint(out_of_patience(ended.way, node)),
        _ => failure,
    };
    let retry_at = pause.map(|pause| now.plus(pause));
    Some(match ended.way {
        Way::Forward if in_work(state.status) => Record::Failed {
            step,
            kind,
            failure,
            retry_at,
        },
        Way::Backward if state.undo == Undo::Running => Record::UndoFailed {
            step,
            kind,
            failure,
            retry_at,
        },
        _ => return None,
    })
}

fn in_work(status: Status) -> bool {
    matches!(status, Status::Running | Status::Waiting)
}

/// What is still to be said when patience is over.
fn out_of_patience(way: Way, node: &Node) -> String {
    let tried = format!("it was tried again for {} s", node.policy.patience_s);
    match way {
        Way::Forward => format!(
            "{tried}. That says nothing about the release: nothing was rolled back. `flow resume` goes on when it can be reached again"
        ),
        Way::Backward => format!(
            "{tried}. This undo is neither done nor failed: `flow resume` goes on with it when it can be reached again"
        ),
    }
}

/// Whether and how an attempt is made again without a person.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    Never,
    AsOftenAsAllowed,
    WithPatience,
}

/// The kind of a failure, its words, and whether trying again may help.
fn judge(end: End, effect: Effect, limit_s: u64) -> (FailureKind, Failure, Again) {
    match end {
        End::Error(StepError::Retry(failure)) => {
            (FailureKind::Failed, failure, Again::AsOftenAsAllowed)
        }
        End::Error(StepError::Fail(failure)) => (FailureKind::Failed, failure, Again::Never),
        End::Error(StepError::Refuse(failure)) => (FailureKind::Refused, failure, Again::Never),
        End::Error(StepError::Ask(failure)) => (FailureKind::Unknown, failure, Again::Never),
        End::Error(StepError::Unreached(failure)) => {
            (FailureKind::Unreached, failure, Again::WithPatience)
        }
        End::Error(StepError::Wait(wait)) => {
            let until = wait
                .until
                .map_or("in time".to_owned(), |until| format!("until {until}"));
            // Silence is no evidence, and asking again at once would not end it.
            let failure = Failure::new(format!("there was no {} {until}", wait.what));
            (FailureKind::Unreached, failure, Again::Never)
        }
        End::Error(StepError::Stopped) => {
            (FailureKind::Unknown, Failure::new("stopped"), Again::Never)
        }
        End::Late => {
            let failure = Failure::new(format!(
                "it did not end within its time limit of {limit_s} s"
            ));
            // What an attempt that changes something had begun elsewhere may still go on; a second one beside it is not
            // running it twice.
            match effect {
                Effect::Changes => (FailureKind::Unknown, failure, Again::Never),
                Effect::Reads | Effect::Tells => {
                    (FailureKind::Unreached, failure, Again::WithPatience)
                }
            }
        }
        // A bug of ours says nothing about the release, whatever the step was there for.
        End::Panicked(why) => (
            FailureKind::Unknown,
            Failure::new(format!("a bug in this step: {why}")),
            Again::Never,
        ),
    }
}
