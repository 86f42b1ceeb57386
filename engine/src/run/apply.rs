//! The only function that changes a run.

use std::collections::HashMap;
use std::sync::Arc;

use super::{
    Delivery, GivenOrder, Life, Notice, Run, Status, StepState, Topic, Undo, Unreached, Unwind,
};
use crate::clock::Timestamp;
use crate::id::{Digest, RunId};
use crate::plan::Plan;
use crate::record::{Entry, Failure, FailureKind, ParkReason, Payload, Record, Verdict, Wait};
use crate::signal::{Actor, Order, Signal};

/// A record that cannot follow the ones before it: a damaged journal, or a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("run {run}: record {seq} ({record}) cannot follow: {why}")]
pub struct IllegalRecord {
    /// The run whose records do not follow from one another.
    pub run: RunId,
    /// The record's number.
    pub seq: u64,
    /// The record, in short.
    pub record: String,
    /// What does not fit.
    pub why: String,
}

impl Run {
    /// The run that a first record creates.
    pub fn create(id: &RunId, epoch: u64, entry: &Entry) -> Result<Run, IllegalRecord> {
        let illegal = |why: String| IllegalRecord {
            run: id.clone(),
            seq: 0,
            record: "Created".into(),
            why,
        };
        let Record::Created {
            plan,
            by,
            reason,
            request,
        } = &entry.record
        else {
            return Err(illegal("the first record does not create the run".into()));
        };
        let bytes = plan
            .inline()
            .ok_or_else(|| illegal("its plan was not fetched".into()))?;
        let plan: Plan = serde_json::from_slice(bytes)
            .map_err(|e| illegal(format!("its plan is unreadable: {e}")))?;
        let phases_fit = plan
            .nodes
            .iter()
            .all(|n| (n.phase as usize) < plan.phases.len());
        if !phases_fit {
            return Err(illegal(
                "a step of the plan names a phase that is not there".into(),
            ));
        }
        let keys = plan.nodes.iter().map(|node| node.key.clone());
        let places: HashMap<String, u32> = keys.zip(0..).collect();
        let undo_below = plan.nodes.len();
        let steps = vec![StepState::default(); undo_below];
        let mut run = Run {
            id: id.clone(),
            plan_digest: Digest::of(bytes),
            plan: Arc::new(plan),
            by: by.clone(),
            reason: reason.clone(),
            request: request.clone(),
            created: entry.at,
            updated: entry.at,
            life: Life::Forward,
            steps,
            signals: Vec::new(),
            orders: Vec::new(),
            notices: Vec::new(),
            epoch,
            next_seq: 1,
            holder: String::new(),
            settled_steps: 0,
            undo_below,
            places: Arc::new(places),
        };
        run.tell(0, Topic::Started, entry.at);
        Ok(run)
    }

    /// Takes in the next record.
    ///
    /// # Errors
    /// [`IllegalRecord`], with the run unchanged, when the record cannot follow.
    pub fn apply(&mut self, epoch: u64, entry: &Entry) -> Result<(), IllegalRecord> {
        let seq = self.next_seq;
        self.transition(seq, entry).map_err(|why| IllegalRecord {
            run: self.id.clone(),
            seq,
            record: short(&entry.record),
            why,
        })?;
        self.epoch = self.epoch.max(epoch);
        self.updated = entry.at;
        self.next_seq += 1;
        let settled = |s: &StepState| matches!(s.status, Status::Done | Status::Skipped);
        while self.steps.get(self.settled_steps).is_some_and(settled) {
            self.settled_steps += 1;
        }
        // In a rollback no step begins any more, and what is undone stays so.
        if matches!(self.life, Life::Unwinding(_)) {
            let newest = self.to_undo().next();
            self.undo_below = newest.map_or(0, |step| step as usize + 1);
        }
        Ok(())
    }

    fn transition(&mut self, seq: u64, entry: &Entry) -> Result<(), String> {
        let at = entry.at;
        match &entry.record {
            Record::Created { .. } => Err("the run exists already".into()),
            Record::Acquired { holder, .. } => {
                self.holder.clone_from(holder);
                self.renew_patience();
                Ok(())
            }
            Record::Started { step, attempt } => self.started(*step, *attempt, at),
            Record::Noted { step, note } => self.noted(*step, note),
            Record::Waiting { step, wait, seen } => self.waits(seq, *step, wait, *seen, at),
            Record::Done { step, output } => self.done(*step, output, at),
            Record::Failed {
                step,
                kind,
                failure,
                retry_at,
            } => self.failed(*step, *kind, failure, *retry_at, at),
            Record::Skipped { step, why } => self.skipped(*step, why, at),
            Record::Signalled(signal) => self.signalled(signal),
            Record::Ordered { order, by, reason } => self.ordered(seq, order, by, reason, at),
            Record::Unwinding { why } => self.unwinds(seq, why, at),
            Record::UndoStarted { step, attempt } => self.undo_started(*step, *attempt, at),
            Record::Undone { step, report } => self.undone(*step, report),
            Record::UndoFailed {
                step,
                kind,
                failure,
                retry_at,
            } => self.undo_failed(*step, *kind, failure, *retry_at, at),
            Record::Parked { why } => self.parks(seq, why, at),
            Record::Finished { verdict } => self.finishes(seq, *verdict, at),
            Record::Queued { topic, body } => {
                let topic = Topic::Step {
                    topic: topic.clone(),
                    body: body.text().to_owned(),
                };
                self.tell(seq, topic, at);
                Ok(())
            }
            Record::Sent { notice } => self.delivered(*notice, Delivery::Sent(at)),
            Record::Undeliverable { notice, why } => {
                self.delivered(*notice, Delivery::Undeliverable(why.clone()))
            }
        }
    }

    fn step(&mut self, step: u32) -> Result<&mut StepState, String> {
        self.steps
            .get_mut(step as usize)
            .ok_or_else(|| format!("the plan has no step {step}"))
    }

    fn started(&mut self, step: u32, attempt: u16, at: Timestamp) -> Result<(), String> {
        if self.life != Life::Forward {
            return Err("the run does not go forward".into());
        }
        let state = self.step(step)?;
        if !matches!(state.status, Status::Pending | Status::RetryAt(_))
            || attempt != state.attempts + 1
        {
            return Err(format!(
                "step {step} is {:?} after {} attempts",
                state.status, state.attempts
            ));
        }
        state.status = Status::Running;
        state.attempts = attempt;
        state.started.get_or_insert(at);
        state.unreached.begin(at);
        state.ended = None;
        Ok(())
    }

    fn in_work(&mut self, step: u32) -> Result<&mut StepState, String> {
        let state = self.step(step)?;
        match state.status {
            Status::Running | Status::Waiting => Ok(state),
            other => Err(format!("step {step} is {other:?}, not in work")),
        }
    }

    fn noted(&mut self, step: u32, note: &Payload) -> Result<(), String> {
        let note = note.inline().ok_or("the note was not fetched")?.to_vec();
        // A step may take notes while it is being undone, too.
        self.step(step)?.note = Some(note);
        Ok(())
    }

    fn waits(
        &mut self,
        seq: u64,
        step: u32,
        wait: &Wait,
        seen: u32,
        at: Timestamp,
    ) -> Result<(), String> {
        let state = self.in_work(step)?;
        let asks_anew =
            !wait.who.is_empty() && state.wait.as_ref().is_none_or(|w| w.who != wait.who);
        state.status = Status::Waiting;
        state.unreached = Unreached::default();
        state.signals_seen = seen as usize;
        state.wait = Some(wait.clone());
        if asks_anew {
            self.tell(seq, Topic::Waiting { step }, at);
        }
        Ok(())
    }

    fn done(&mut self, step: u32, output: &Payload, at: Timestamp) -> Result<(), String> {
        let bytes = output.inline().ok_or("the output was not fetched")?;
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| "the output is no text")?;
        let state = self.in_work(step)?;
        state.status = Status::Done;
        state.output = Some(text);
        state.ended = Some(at);
        state.wait = None;
        Ok(())
    }

    fn failed(
        &mut self,
        step: u32,
        kind: FailureKind,
        failure: &Failure,
        retry_at: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<(), String> {
        let state = self.in_work(step)?;
        state.status = retry_at.map_or(Status::Failed, Status::RetryAt);
        state.unreached.end(kind, at, retry_at);
        if kind == FailureKind::Unreached {
            state.attempts_excused += 1;
        }
        state.failure = Some((kind, failure.clone()));
        state.settled = None;
        state.ended = Some(at);
        state.wait = None;
        Ok(())
    }

    fn skipped(&mut self, step: u32, why: &str, at: Timestamp) -> Result<(), String> {
        let state = self.step(step)?;
        if state.status != Status::Pending {
            return Err(format!("step {step} is {:?}", state.status));
        }
        state.status = Status::Skipped;
        state.skipped = Some(why.into());
        state.ended = Some(at);
        Ok(())
    }

    fn signalled(&mut self, signal: &Signal) -> Result<(), String> {
        if self
            .signals
            .iter()
            .any(|s| s.step == signal.step && s.id == signal.id)
        {
            return Err(format!("the answer `{}` is there already", signal.id));
        }
        if self.step_at(&signal.step).is_none() {
            return Err(format!("the plan has no step `{}`", signal.step));
        }
        self.signals.push(signal.clone());
        Ok(())
    }

    fn ordered(
        &mut self,
        seq: u64,
        order: &Order,
        by: &Actor,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), String> {
        self.accepts(order).map_err(|refusal| refusal.to_string())?;
        self.orders.push(GivenOrder {
            order: order.clone(),
            by: by.clone(),
            reason: reason.into(),
            at,
        });
        self.obey(seq, order, reason, at);
        Ok(())
    }

    fn finishes(&mut self, seq: u64, verdict: Verdict, at: Timestamp) -> Result<(), String> {
        let (Life::Forward | Life::Unwinding(_)) = self.life else {
            return Err("it is parked or over".into());
        };
        self.life = Life::Finished { verdict, at };
        self.tell(seq, Topic::Finished(verdict), at);
        Ok(())
    }

    fn unwinds(&mut self, seq: u64, why: &str, at: Timestamp) -> Result<(), String> {
        if self.life != Life::Forward {
            return Err("the run does not go forward".into());
        }
        self.begin_unwinding(
            seq,
            Unwind {
                why: why.into(),
                cancelled: false,
                since: at,
            },
        );
        Ok(())
    }

    pub(super) fn begin_unwinding(&mut self, seq: u64, unwind: Unwind) {
        let at = unwind.since;
        self.life = Life::Unwinding(unwind);
        self.tell(seq, Topic::RollbackStarted, at);
    }

    fn undo_started(&mut self, step: u32, attempt: u16, at: Timestamp) -> Result<(), String> {
        let Life::Unwinding(_) = self.life else {
            return Err("nothing is being undone".into());
        };
        let state = self.step(step)?;
        let due = matches!(state.undo, Undo::Pending | Undo::RetryAt(_));
        if !due || state.started.is_none() || attempt != state.undo_attempts + 1 {
            return Err(format!("the undo of step {step} is {:?}", state.undo));
        }
        state.undo = Undo::Running;
        state.undo_attempts = attempt;
        state.undo_unreached.begin(at);
        Ok(())
    }

    fn undoing(&mut self, step: u32) -> Result<&mut StepState, String> {
        let state = self.step(step)?;
        if state.undo == Undo::Running {
            Ok(state)
        } else {
            Err(format!("step {step} is not being undone"))
        }
    }

    fn undone(&mut self, step: u32, report: &str) -> Result<(), String> {
        let state = self.undoing(step)?;
        state.undo = Undo::Undone;
        state.undo_report = Some(report.into());
        Ok(())
    }

    fn undo_failed(
        &mut self,
        step: u32,
        kind: FailureKind,
        failure: &Failure,
        retry_at: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<(), String> {
        let state = self.undoing(step)?;
        state.undo = retry_at.map_or(Undo::Failed, Undo::RetryAt);
        state.undo_unreached.end(kind, at, retry_at);
        if kind == FailureKind::Unreached {
            state.undo_attempts_excused += 1;
        }
        state.undo_failure = Some((kind, failure.clone()));
        Ok(())
    }

    fn parks(&mut self, seq: u64, why: &ParkReason, at: Timestamp) -> Result<(), String> {
        let unwinding = match &self.life {
            Life::Forward => None,
            Life::Unwinding(unwind) => Some(unwind.clone()),
            _ => return Err("it is parked or over".into()),
        };
        self.step(why.step())?;
        self.life = Life::Parked {
            why: why.clone(),
            unwinding,
            since: at,
        };
        self.tell(seq, Topic::Parked, at);
        Ok(())
    }

    fn delivered(&mut self, notice: u64, delivery: Delivery) -> Result<(), String> {
        let found = self
            .notices
            .iter_mut()
            .find(|n| n.id == notice)
            .ok_or("there is no such notice")?;
        found.delivery = delivery;
        Ok(())
    }

    fn tell(&mut self, seq: u64, topic: Topic, at: Timestamp) {
        self.notices.push(Notice {
            id: seq,
            topic,
            at,
            delivery: Delivery::Pending,
        });
    }
}

fn short(record: &Record) -> String {
    let text = format!("{record:?}");
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}
