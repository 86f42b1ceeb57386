//! A second opinion: what a sequence of records may be, written down from the rules and not from the engine.

use std::collections::{BTreeMap, BTreeSet};

use flow_engine::plan::{Effect, OnFailure, Plan};
use flow_engine::record::{Entry, FailureKind, ParkReason, Payload, Record, Verdict};
use flow_engine::signal::Order;
use flow_engine::sim::REASON;

use crate::tries::Tries;

mod stops;

/// The state of one step.
#[derive(Debug, Default, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of one step, not one state"
)]
pub(crate) struct Seen {
    pub(crate) run: Tries,
    pub(crate) undo: Tries,
    pub(crate) output: Option<String>,
    pub(crate) noted: bool,
    pub(crate) queued: u32,
    pub(crate) skipped: bool,
    pub(crate) given_up: bool,
    pub(crate) settled_done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Forward,
    Backward { cancelled: bool },
    Over(Verdict),
}

/// What a prefix of the records says.
pub(crate) struct Model<'a> {
    plan: &'a Plan,
    pub(crate) steps: Vec<Seen>,
    pub(crate) stage: Stage,
    pub(crate) parked: Option<ParkReason>,
    /// Every notice there must be: its identity and what it is about.
    pub(crate) notices: BTreeMap<u64, String>,
    pub(crate) sent: BTreeSet<u64>,
    asked: BTreeMap<u32, String>,
}

impl<'a> Model<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Self {
        Model {
            plan,
            steps: vec![Seen::default(); plan.nodes.len()],
            stage: Stage::Forward,
            parked: None,
            notices: BTreeMap::new(),
            sent: BTreeSet::new(),
            asked: BTreeMap::new(),
        }
    }

    pub(crate) fn place(&self, key: &str) -> usize {
        self.plan.node(key).expect("a step of the plan").0 as usize
    }

    fn settled(&self, i: usize) -> bool {
        self.steps[i].run.done || self.steps[i].skipped
    }

    /// Whether every step that comes before this one, and not beside it, is over.
    pub(crate) fn all_before_are_over(&self, step: usize) -> bool {
        let nodes = &self.plan.nodes;
        let beside = |i: &usize| {
            nodes[*i].group.is_some()
                && nodes[*i].group == nodes[step].group
                && nodes[*i].phase == nodes[step].phase
        };
        (0..step).filter(|i| !beside(i)).all(|i| self.settled(i))
    }

    /// Whether an undo of this step is still owed.
    fn owes_undo(&self, i: usize) -> bool {
        let seen = &self.steps[i];
        self.plan.nodes[i].undo.is_some() && seen.run.begun > 0 && !seen.undo.done && !seen.given_up
    }

    /// Whether every later step that must be undone is undone.
    pub(crate) fn all_after_are_undone(&self, step: usize) -> bool {
        (step + 1..self.steps.len()).all(|i| !self.owes_undo(i))
    }

    pub(crate) fn production_changed(&self) -> bool {
        self.plan.nodes.iter().zip(&self.steps).any(|(node, seen)| {
            node.effect == Effect::Changes
                && self.plan.phase_of(node).on_failure == OnFailure::Rollback
                && seen.run.begun > 0
        })
    }

    fn condition(&self, step: usize) -> Option<&str> {
        let key = self.plan.nodes[step].only_if.as_deref()?;
        self.steps[self.place(key)].output.as_deref()
    }

    /// Takes in the next record, or says which rule it breaks.
    pub(crate) fn take(&mut self, seq: u64, entry: &Entry) -> Result<(), String> {
        match &entry.record {
            Record::Created { .. } => {
                ensure!(seq == 0, "created twice");
                self.notices.insert(seq, "Started".into());
            }
            Record::Acquired { .. } | Record::Signalled(_) => {}
            Record::Ordered { order, reason, .. } => {
                ensure!(reason == REASON, "the reason of an order is lost");
                self.ordered(seq, order)?;
            }
            Record::Unwinding { why } => self.unwinds_unasked(seq, why)?,
            Record::Parked { why } => {
                ensure!(
                    self.going(true) || self.going(false),
                    "parked in {:?}",
                    self.stage
                );
                self.may_park(why)?;
                self.parked = Some(why.clone());
                self.notices.insert(seq, "Parked".into());
            }
            Record::Finished { verdict } => {
                ensure!(
                    self.going(true) || self.going(false),
                    "finished in {:?}",
                    self.stage
                );
                self.may_finish(*verdict)?;
                self.stage = Stage::Over(*verdict);
                self.notices.insert(seq, format!("Finished({verdict:?})"));
            }
            Record::Queued { body, topic } => self.queued(seq, topic, body),
            Record::Sent { notice } => {
                ensure!(self.notices.contains_key(notice), "sent what nobody wrote");
                ensure!(self.sent.insert(*notice), "sent twice");
            }
            Record::Undeliverable { .. } => return Err("given up on a mail".into()),
            Record::UndoStarted { .. } | Record::Undone { .. } | Record::UndoFailed { .. } => {
                self.backward(entry)?;
            }
            _ => self.forward(seq, entry)?,
        }
        Ok(())
    }

    fn going(&self, forward: bool) -> bool {
        let there = match self.stage {
            Stage::Forward => forward,
            Stage::Backward { .. } => !forward,
            Stage::Over(_) => false,
        };
        there && self.parked.is_none()
    }

    fn forward(&mut self, seq: u64, entry: &Entry) -> Result<(), String> {
        match &entry.record {
            Record::Noted { step, .. } => self.steps[*step as usize].noted = true,
            Record::Started { step, attempt } => {
                let i = *step as usize;
                ensure!(self.going(true), "started in {:?}", self.stage);
                ensure!(!self.steps[i].skipped, "started though skipped");
                ensure!(self.all_before_are_over(i), "started before its turn");
                ensure!(
                    self.condition(i) != Some("false"),
                    "started though its condition said no"
                );
                let allowed = self.plan.nodes[i].policy.attempts;
                self.steps[i].run.begin(*attempt, entry.at.0, allowed)?;
            }
            Record::Waiting { step, wait, .. } => {
                ensure!(
                    self.steps[*step as usize].run.open,
                    "waits without having begun"
                );
                if !wait.who.is_empty() && self.asked.get(step) != Some(&wait.who) {
                    self.asked.insert(*step, wait.who.clone());
                    self.notices
                        .insert(seq, format!("Waiting {{ step: {step} }}"));
                }
            }
            Record::Done { step, output } => {
                let seen = &mut self.steps[*step as usize];
                seen.run.succeed()?;
                seen.output = Some(output.text().to_owned());
                self.asked.remove(step);
            }
            Record::Failed {
                step,
                kind,
                failure,
                retry_at,
            } => {
                ensure!(!failure.message.is_empty(), "a failure without words");
                let seen = &mut self.steps[*step as usize];
                seen.settled_done = false;
                seen.run.fail(*kind, retry_at.map(|t| t.0))?;
                self.asked.remove(step);
            }
            Record::Skipped { step, why } => {
                let i = *step as usize;
                ensure!(self.going(true), "skipped in {:?}", self.stage);
                ensure!(self.condition(i) == Some("false"), "skipped without a no");
                ensure!(!why.is_empty(), "skipped without a reason");
                ensure!(self.steps[i].run.begun == 0, "skipped after it began");
                self.steps[i].skipped = true;
            }
            other => return Err(format!("not of a step: {other:?}")),
        }
        Ok(())
    }

    fn backward(&mut self, entry: &Entry) -> Result<(), String> {
        match &entry.record {
            Record::UndoStarted { step, attempt } => {
                let i = *step as usize;
                ensure!(self.going(false), "undo in {:?}", self.stage);
                ensure!(self.owes_undo(i), "an undo nobody needs");
                ensure!(
                    self.all_after_are_undone(i),
                    "undone before what came after it"
                );
                let allowed = self.plan.nodes[i].policy.attempts;
                self.steps[i].undo.begin(*attempt, entry.at.0, allowed)?;
            }
            Record::Undone { step, .. } => self.steps[*step as usize].undo.succeed()?,
            Record::UndoFailed {
                step,
                kind,
                retry_at,
                ..
            } => {
                let tries = &mut self.steps[*step as usize].undo;
                tries.fail(*kind, retry_at.map(|t| t.0))?;
            }
            other => return Err(format!("not of an undo: {other:?}")),
        }
        Ok(())
    }

    fn unwinds_unasked(&mut self, seq: u64, why: &str) -> Result<(), String> {
        ensure!(self.going(true), "unwinding in {:?}", self.stage);
        ensure!(!why.is_empty(), "unwinding without a reason");
        ensure!(
            self.production_changed(),
            "undone unasked before production changed"
        );
        let failed = |i: usize| {
            let node = &self.plan.nodes[i];
            is_evidence(self.steps[i].run.failed)
                && self.plan.phase_of(node).on_failure == OnFailure::Rollback
        };
        ensure!(
            (0..self.steps.len()).any(failed),
            "undone unasked without a failure"
        );
        self.unwind(seq, false);
        Ok(())
    }

    fn queued(&mut self, seq: u64, topic: &str, body: &Payload) {
        let body = body.text();
        self.notices
            .insert(seq, format!("Step {{ topic: {topic:?}, body: {body:?} }}"));
        let key = body.trim_matches('"').to_owned();
        let place = self.place(&key);
        self.steps[place].queued += 1;
    }

    fn unwind(&mut self, seq: u64, cancelled: bool) {
        self.stage = Stage::Backward { cancelled };
        self.parked = None;
        self.notices.insert(seq, "RollbackStarted".into());
    }

    fn ordered(&mut self, seq: u64, order: &Order) -> Result<(), String> {
        let forward = self.stage == Stage::Forward;
        match order {
            Order::Rollback | Order::Cancel => {
                let cancelled = *order == Order::Cancel;
                let over = self.stage == Stage::Over(Verdict::Completed) && !cancelled;
                ensure!(forward || over, "{order:?} in {:?}", self.stage);
                ensure!(
                    !(cancelled && self.production_changed()),
                    "cancelled too late"
                );
                self.unwind(seq, cancelled);
                return Ok(());
            }
            Order::Retry => {
                let Some(
                    ParkReason::StepFailed { step }
                    | ParkReason::Refused { step }
                    | ParkReason::Unknown { step }
                    | ParkReason::UndoFailed { step }
                    | ParkReason::Unreached { step }
                    | ParkReason::UndoUnreached { step }
                    | ParkReason::Unreadable { step, .. },
                ) = self.parked
                else {
                    return Err("a retry of what is not parked".into());
                };
                let seen = &mut self.steps[step as usize];
                let tries = if forward {
                    &mut seen.run
                } else {
                    &mut seen.undo
                };
                tries.again();
            }
            Order::Skip { step } => {
                ensure!(self.parked.is_some(), "a waiver of what is not parked");
                let seen = &mut self.steps[self.plan.node(step).expect("a step").0 as usize];
                if forward {
                    ensure!(!seen.run.done, "skipped what is done");
                    seen.skipped = true;
                } else {
                    seen.given_up = true;
                }
            }
            Order::Settle { step, done } => {
                ensure!(self.parked.is_some() && forward, "settled while not parked");
                let seen = &mut self.steps[self.plan.node(step).expect("a step").0 as usize];
                ensure!(
                    seen.run.failed == Some(FailureKind::Unknown),
                    "settled what is known"
                );
                seen.run.again();
                seen.settled_done = *done;
            }
        }
        self.parked = None;
        // Nobody has to look at what was only out of reach.
        for seen in &mut self.steps {
            let tries = if forward {
                &mut seen.run
            } else {
                &mut seen.undo
            };
            if tries.failed == Some(FailureKind::Unreached) {
                tries.again();
            }
        }
        Ok(())
    }
}

/// Whether a failure says something about the release: only then is anything taken back unasked.
fn is_evidence(failed: Option<FailureKind>) -> bool {
    match failed {
        Some(FailureKind::Failed | FailureKind::Refused) => true,
        Some(FailureKind::Unknown | FailureKind::Unreached) | None => false,
    }
}
