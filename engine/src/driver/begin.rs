//! From "this step is due" to a running task: read it, stage its intent, and start it once that is durable.

use std::sync::Arc;
use std::task::Poll;

use tokio_util::sync::CancellationToken;

use super::Driver;
use super::work::{self, Way};
use crate::context::Cx;
use crate::record::{ParkReason, Record, cut};
use crate::run::{LoadError, Run, Status, Undo};
use crate::step::DecodeError;

impl Driver {
    /// Stages the intent of these steps, or parks the run when this binary cannot read one of them. All are read
    /// before the first is staged.
    pub(super) fn begin(&mut self, steps: &[u32], way: Way) -> Result<(), LoadError> {
        let mut readable = Vec::with_capacity(steps.len());
        for step in steps.iter().copied() {
            match self
                .engine
                .registry
                .load(&self.run.plan.nodes[step as usize])
            {
                Ok(loaded) => readable.push((step, loaded)),
                Err(e) => return self.stage(unreadable(&self.run, step, &e)),
            }
        }
        for (step, loaded) in readable {
            let intent = self.intent(step, way);
            let resumed = intent.is_none();
            if let Some(intent) = intent {
                self.stage(intent)?;
            }
            self.begun.push((step, loaded, resumed, way));
        }
        Ok(())
    }

    /// What must be durable before the step touches the world; nothing when an earlier life has written it.
    fn intent(&self, step: u32, way: Way) -> Option<Record> {
        let state = &self.run.steps[step as usize];
        match way {
            Way::Forward if matches!(state.status, Status::Running | Status::Waiting) => None,
            Way::Forward => Some(Record::Started {
                step,
                attempt: state.attempts + 1,
            }),
            Way::Backward if state.undo == Undo::Running => None,
            Way::Backward => Some(Record::UndoStarted {
                step,
                attempt: state.undo_attempts + 1,
            }),
        }
    }

    /// Starts what was begun, now that its intent is durable.
    ///
    /// A step that is alone takes its first turn here: handing a task to the runtime and being woken by it cost 10 µs
    /// when it went to another thread, and a step that does little is over after its first turn. One that is not goes
    /// on as a task of its own, so that a driver listens while it works.
    pub(super) async fn launch(&mut self) {
        // A sequence of steps that never wait must not keep this thread from everybody else.
        tokio::task::consume_budget().await;
        let alone = self.begun.len() == 1 && self.in_flight.is_empty();
        for (step, loaded, resumed, way) in std::mem::take(&mut self.begun) {
            let state = &self.run.steps[step as usize];
            let cancel = CancellationToken::new();
            let cx = Cx {
                step,
                attempt: if way == Way::Forward {
                    state.attempts
                } else {
                    state.undo_attempts
                },
                resumed,
                run: Arc::clone(&self.run),
                clock: Arc::clone(&self.engine.clock),
                journal: Arc::clone(&self.engine.journal),
                resources: self.engine.resources.clone(),
                observers: self.engine.observers.clone(),
                requests: self.requests.0.clone(),
                cancel: cancel.clone(),
            };
            self.in_flight.insert(step, cancel);
            let mut work = Box::pin(work::work(loaded, cx, way));
            if alone && let Poll::Ready(ended) = futures_util::poll!(&mut work) {
                self.at_once = Some(ended);
                return;
            }
            let task = self.tasks.spawn(work);
            self.names.insert(task.id(), (step, way));
        }
    }
}

/// Why this binary leaves a run alone, and which one can go on with it.
pub(super) fn unreadable(run: &Run, step: u32, why: &DecodeError) -> Record {
    let planned_by = &run.plan.planned_by;
    let why = cut(format!("{why}; use {planned_by}, which planned it"), 900);
    Record::Parked {
        why: ParkReason::Unreadable { step, why },
    }
}
