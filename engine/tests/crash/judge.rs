//! The judge: the world's ledger against the records that were durable at each moment, and both against the engine's
//! own idea of the run.

use std::collections::{BTreeMap, BTreeSet};

use flow_engine::audit;
use flow_engine::plan::Plan;
use flow_engine::record::{Entry, FailureKind, Record, Verdict};
use flow_engine::run::{Delivery, Life, Run, Status, Undo};
use flow_engine::sim::{Fact, What, World};

use crate::model::{Model, Stage};

/// Says what is wrong with a run that is over, if anything.
pub(crate) fn judge(
    plan: &Plan,
    world: &World,
    entries: &[(u64, Entry)],
    run: &Run,
) -> Result<(), String> {
    let ledger = world.ledger();
    let mut model = Model::new(plan);
    let mut trail = Trail::default();
    let mut epoch = 0;
    let mut facts = ledger.iter().peekable();
    for (seq, (written_in, entry)) in (0u64..).zip(entries) {
        while let Some(fact) = facts.next_if(|f| f.durable <= seq) {
            trail
                .follow(&model, fact)
                .map_err(|e| format!("{e} ({fact:?})"))?;
        }
        ensure!(*written_in >= epoch, "record {seq} of an overtaken driver");
        let taken = matches!(entry.record, Record::Acquired { .. });
        ensure!(
            !taken || *written_in > epoch,
            "record {seq}: taken over without a new epoch"
        );
        epoch = *written_in;
        trail
            .expects(entry)
            .map_err(|e| format!("record {seq}: {e} ({:?})", entry.record))?;
        model
            .take(seq, entry)
            .map_err(|e| format!("record {seq}: {e} ({:?})", entry.record))?;
    }
    for fact in facts {
        trail
            .follow(&model, fact)
            .map_err(|e| format!("{e} ({fact:?})"))?;
    }
    agrees(&model, run)?;
    stands(plan, &model, world)?;
    told(&model, &ledger)?;
    folds_alike(entries, run)?;
    ensure!(
        audit::rows(run).len() == plan.nodes.len(),
        "the audit has not one row per step"
    );
    Ok(())
}

/// What the ledger has shown so far.
#[derive(Default)]
struct Trail {
    acted: BTreeSet<(String, u16, u64, bool)>,
    mailed: BTreeSet<(u64, u64)>,
    /// What each step, and each undo, answered last; nothing while it has not.
    last: BTreeMap<(usize, bool), &'static str>,
}

impl Trail {
    fn once(&mut self, step: &str, attempt: u16, life: u64, undo: bool) -> Result<(), String> {
        let fresh = self.acted.insert((step.to_owned(), attempt, life, undo));
        ensure!(fresh, "one attempt acted twice in one life");
        Ok(())
    }

    /// Judges one fact by what was durable at that moment.
    fn follow(&mut self, model: &Model<'_>, fact: &Fact) -> Result<(), String> {
        match &fact.what {
            What::Entered {
                step,
                attempt,
                noted,
            } => {
                let i = model.place(step);
                self.last.insert((i, false), "nothing");
                let seen = &model.steps[i];
                ensure!(
                    seen.run.open && seen.run.begun == *attempt,
                    "run without a durable intent"
                );
                ensure!(
                    *noted == seen.noted,
                    "what it had noted is lost or invented"
                );
            }
            What::Did { step, attempt } => {
                let i = model.place(step);
                let seen = &model.steps[i];
                ensure!(!seen.run.done, "done again after it was durably done");
                ensure!(
                    seen.run.open && seen.run.begun == *attempt,
                    "done without a durable intent"
                );
                ensure!(!seen.skipped, "done though skipped");
                ensure!(!seen.settled_done, "done again though settled as done");
                ensure!(model.all_before_are_over(i), "done before its turn");
                ensure!(
                    model.steps.iter().all(|s| s.undo.begun == 0),
                    "done after the undo began"
                );
                self.once(step, *attempt, fact.life, false)?;
            }
            What::Undid { .. } | What::UndoEntered { .. } => self.follow_undo(model, fact)?,
            What::Answered { step, answer, .. } => {
                self.last.insert((model.place(step), false), answer);
            }
            What::UndoAnswered { step, answer, .. } => {
                self.last.insert((model.place(step), true), answer);
            }
            _ => self.follow_words(model, fact)?,
        }
        Ok(())
    }

    fn follow_undo(&mut self, model: &Model<'_>, fact: &Fact) -> Result<(), String> {
        match &fact.what {
            What::Undid { step, attempt } => {
                let i = model.place(step);
                let seen = &model.steps[i];
                ensure!(
                    seen.undo.open && seen.undo.begun == *attempt,
                    "undone without a durable intent"
                );
                ensure!(!seen.undo.done, "undone again after it was durably undone");
                ensure!(
                    model.all_after_are_undone(i),
                    "undone before what came after it"
                );
                self.once(step, *attempt, fact.life, true)?;
            }
            What::UndoEntered { step, done, .. } => {
                let i = model.place(step);
                self.last.insert((i, true), "nothing");
                ensure!(
                    *done == model.steps[i].run.done,
                    "the undo was given a wrong output"
                );
            }
            _ => {}
        }
        Ok(())
    }

    fn follow_words(&mut self, model: &Model<'_>, fact: &Fact) -> Result<(), String> {
        match &fact.what {
            What::Noted { step } => {
                ensure!(
                    model.steps[model.place(step)].noted,
                    "a note was acknowledged too early"
                );
            }
            What::Queued { step } => {
                ensure!(
                    model.steps[model.place(step)].queued > 0,
                    "a mail was acknowledged too early"
                );
            }
            What::Mailed { id, topic } => {
                ensure!(
                    model.notices.get(id) == Some(topic),
                    "a mail without a durable cause"
                );
                ensure!(
                    !model.sent.contains(id),
                    "mailed again after it was durably sent"
                );
                ensure!(
                    self.mailed.insert((*id, fact.life)),
                    "mailed twice in one life"
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// A result in the records is the one the step gave.
    fn expects(&self, entry: &Entry) -> Result<(), String> {
        let last = |step: &u32, undo| {
            let known = self.last.get(&(*step as usize, undo));
            known.copied().unwrap_or("nothing")
        };
        let fits = |answer: &str, kind: FailureKind, retried: bool| match answer {
            "retry" => kind == FailureKind::Failed,
            "fail" => kind == FailureKind::Failed && !retried,
            "unreached" => kind == FailureKind::Unreached,
            "refuse" => kind == FailureKind::Refused && !retried,
            // It hung, panicked or said so: nobody knows what it did.
            "ask" | "nothing" => kind == FailureKind::Unknown && !retried,
            _ => false,
        };
        match &entry.record {
            Record::Done { step, .. } => {
                ensure!(last(step, false) == "ok", "a success it never had");
            }
            Record::Undone { step, .. } => {
                ensure!(last(step, true) == "ok", "an undo that never was");
            }
            Record::Failed {
                step,
                kind,
                retry_at,
                ..
            } => {
                let answer = last(step, false);
                ensure!(
                    fits(answer, *kind, retry_at.is_some()),
                    "it answered `{answer}`"
                );
            }
            Record::UndoFailed {
                step,
                kind,
                retry_at,
                ..
            } => {
                let answer = last(step, true);
                ensure!(
                    fits(answer, *kind, retry_at.is_some()),
                    "it answered `{answer}`"
                );
            }
            Record::Waiting { step, .. } => ensure!(last(step, false) == "wait", "it did not ask"),
            _ => {}
        }
        Ok(())
    }
}

/// The engine's fold of the records says what the model says.
fn agrees(model: &Model<'_>, run: &Run) -> Result<(), String> {
    let over = match &run.life {
        Life::Finished { verdict, .. } => Some(*verdict),
        _ => None,
    };
    let due = match model.stage {
        Stage::Over(verdict) => Some(verdict),
        _ => None,
    };
    ensure!(over == due, "the run says {over:?}, the records {due:?}");
    for ((node, state), seen) in run.plan.nodes.iter().zip(&run.steps).zip(&model.steps) {
        let key = &node.key;
        ensure!(
            state.attempts == seen.run.begun,
            "`{key}`: attempts {} and {}",
            state.attempts,
            seen.run.begun
        );
        ensure!(
            (state.status == Status::Done) == seen.run.done,
            "`{key}` is {:?}",
            state.status
        );
        ensure!(
            (state.status == Status::Skipped) == seen.skipped,
            "`{key}` is {:?}",
            state.status
        );
        ensure!(
            state.started.is_some() == (seen.run.begun > 0),
            "`{key}`: started"
        );
        ensure!(
            (state.undo == Undo::Undone) == seen.undo.done,
            "`{key}`: undo {:?}",
            state.undo
        );
        ensure!(
            (state.undo == Undo::GivenUp) == seen.given_up,
            "`{key}`: undo {:?}",
            state.undo
        );
        let why = state.skipped.as_deref().unwrap_or_default();
        ensure!(
            !seen.skipped || !why.is_empty(),
            "`{key}` was waived without its reason"
        );
    }
    let notices: Vec<u64> = run.notices.iter().map(|n| n.id).collect();
    let due: Vec<u64> = model.notices.keys().copied().collect();
    ensure!(notices == due, "notices {notices:?}, causes {due:?}");
    Ok(())
}

/// What stands in the world is what the verdict says.
fn stands(plan: &Plan, model: &Model<'_>, world: &World) -> Result<(), String> {
    let Stage::Over(verdict) = model.stage else {
        return Err("it has no end".into());
    };
    for (node, seen) in plan.nodes.iter().zip(&model.steps) {
        if node.kind == "sim.flag" {
            continue;
        }
        let (key, stands) = (&node.key, world.stands(&node.key));
        match verdict {
            Verdict::Completed => ensure!(stands || seen.skipped, "completed without `{key}`"),
            _ if node.undo.is_none() || seen.given_up => {}
            _ => ensure!(!stands, "{verdict:?} with `{key}` standing"),
        }
        let undone = world
            .ledger()
            .iter()
            .any(|f| matches!(&f.what, What::Undid { step, .. } if step == key));
        let due = verdict != Verdict::Completed && node.undo.is_some() && seen.run.begun > 0;
        ensure!(
            undone || !due || seen.given_up,
            "`{key}` was started and never undone"
        );
        ensure!(
            !undone || (node.undo.is_some() && seen.run.begun > 0),
            "`{key}` undone though never started"
        );
    }
    Ok(())
}

/// Each notice left under its one identity.
fn told(model: &Model<'_>, ledger: &[Fact]) -> Result<(), String> {
    for (id, topic) in &model.notices {
        let left = ledger
            .iter()
            .any(|f| matches!(&f.what, What::Mailed { id: mailed, .. } if mailed == id));
        ensure!(left, "nobody was told of {topic} ({id})");
        ensure!(
            model.sent.contains(id),
            "nothing says that {topic} ({id}) was sent"
        );
    }
    Ok(())
}

/// Every prefix is a run, and the same records make the same run.
fn folds_alike(entries: &[(u64, Entry)], run: &Run) -> Result<(), String> {
    let (epoch, first) = &entries[0];
    let mut again = Run::create(&run.id, *epoch, first).map_err(|e| e.to_string())?;
    for (epoch, entry) in &entries[1..] {
        again
            .apply(*epoch, entry)
            .map_err(|e| format!("a prefix does not replay: {e}"))?;
    }
    let delivered = run
        .notices
        .iter()
        .all(|n| matches!(n.delivery, Delivery::Sent(_)));
    ensure!(delivered, "a notice is not delivered by the run's account");
    ensure!(again == *run, "the same records made another run");
    Ok(())
}
