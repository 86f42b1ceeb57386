//! Runs as JSON. Names are stable; new ones may be added.

use flow_engine::answer::Answer;
use flow_engine::audit::{self, AuditRow};
use flow_engine::clock::Timestamp;
use flow_engine::record::Verdict;
use flow_engine::retention::RunSummary;
use flow_engine::run::options::{Act, Choice};
use flow_engine::run::{Delivery, Life, Run, Topic};
use flow_engine::signal::Order;
use flow_steps::means::reports::people::{KeysFound, Signer};
use flow_steps::means::signature::starter;
use flow_steps::means::{again, commands};
use serde::{Deserialize, Serialize};

use super::beside::Beside;
use super::next::{self, Next};
use crate::args::RunState;
use crate::driver::{self, Driver};
use crate::exit::Exit;
use crate::questions;
use crate::store::{DamagedRun, Past};

/// One run in `flow list --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Its id, as commands take it.
    pub(crate) run: String,
    /// The workflow: `release` or `promote`.
    pub(crate) workflow: String,
    /// The environment it changes last.
    pub(crate) environment: String,
    /// `under-way`, `waiting`, `interrupted`, `parked`, `unwinding`, `completed`, `rolled-back`, `cancelled`,
    /// `rolled-back-in-part`; `damaged` when its records cannot be read, and then most of the other fields are empty.
    /// A run that nobody drives and that waits for no person is `interrupted`, in a rollback too.
    pub(crate) state: String,
    /// The commit that is released, in full.
    pub(crate) commit: String,
    /// When it was started.
    pub(crate) created: String,
    /// When something last happened.
    pub(crate) updated: String,
    /// Who started it, and from where.
    pub(crate) by: String,
    /// Why it was started; may be empty.
    pub(crate) reason: String,
    /// Steps that are done.
    pub(crate) steps_done: usize,
    /// Steps in all.
    pub(crate) steps: usize,
    /// The exit code a command would end with that drove it to where it is.
    pub(crate) exit: u8,
    /// The subject of the commit, where planning recorded one.
    #[serde(default)]
    pub(crate) subject: String,
    /// `live`, `sealed` or `pruned`.
    #[serde(default)]
    pub(crate) kept: String,
    /// When it was started, for reckoning.
    #[serde(skip)]
    pub(crate) created_at: Option<Timestamp>,
    /// What is wrong with a damaged run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) damage: Option<String>,
}

/// All runs, newest first; those that are damaged before the others, for nobody knows how old they are.
pub(crate) fn list(past: &Past, driver: &dyn Fn(&Run) -> Driver) -> Vec<Summary> {
    let live = past.runs.iter().map(|run| Summary::of(run, &driver(run)));
    let mut lines: Vec<_> = live.collect();
    lines.extend(past.sealed.iter().map(Summary::of_sealed));
    lines.sort_by(|a, b| (b.created_at, &b.run).cmp(&(a.created_at, &a.run)));
    let damaged = past.damaged.iter().map(Summary::of_damaged);
    damaged.chain(lines).collect()
}

impl Summary {
    /// What is known of a damaged run.
    pub(crate) fn of_damaged(damaged: &DamagedRun) -> Summary {
        Summary {
            run: damaged.id.to_string(),
            workflow: String::new(),
            environment: damaged.environment.clone().unwrap_or_default(),
            state: "damaged".into(),
            commit: String::new(),
            created: String::new(),
            updated: String::new(),
            by: String::new(),
            reason: String::new(),
            steps_done: 0,
            steps: 0,
            exit: Exit::Usage as u8,
            subject: String::new(),
            kept: "live".into(),
            created_at: None,
            damage: Some(damaged.why.clone()),
        }
    }

    /// The summary of a run.
    pub(crate) fn of(run: &Run, driver: &Driver) -> Summary {
        Summary {
            run: run.id.to_string(),
            workflow: run.plan.workflow.clone(),
            environment: run.plan.environment.clone(),
            state: state(run, driver).1.into(),
            commit: run.plan.fact("commit").into(),
            created: run.created.to_string(),
            updated: run.updated.to_string(),
            by: format!("{} from {}", run.by.name, run.by.from),
            reason: run.reason.clone(),
            steps_done: super::done(run),
            steps: run.steps.len(),
            exit: Exit::of_run(run, driver) as u8,
            subject: run.plan.fact("subject").into(),
            kept: "live".into(),
            created_at: Some(run.created),
            damage: None,
        }
    }

    /// The summary of a run that was put away.
    pub(crate) fn of_sealed(run: &RunSummary) -> Summary {
        Summary {
            run: run.id.to_string(),
            workflow: run.workflow.clone(),
            environment: run.environment.clone(),
            state: run.verdict.map_or("under-way", |v| over(v).1).into(),
            commit: run.commit.clone(),
            created: run.created.to_string(),
            updated: run.updated.to_string(),
            by: format!("{} from {}", run.by.name, run.by.from),
            reason: run.reason.clone(),
            steps_done: run.steps_done as usize,
            steps: run.steps as usize,
            exit: run.verdict.map_or(Exit::Done, Exit::of_verdict) as u8,
            subject: run.subject.clone(),
            kept: if run.pruned { "pruned" } else { "sealed" }.into(),
            created_at: Some(run.created),
            damage: None,
        }
    }
}

/// The state of a run as `flow list` tells them apart, and its name.
pub(crate) fn state(run: &Run, driver: &Driver) -> (RunState, &'static str) {
    let held = driver.has_it() || *driver == Driver::Unasked;
    match &run.life {
        Life::Forward if questions::are_open(run) => (RunState::Waiting, "waiting"),
        Life::Forward | Life::Unwinding(_) if !held => (RunState::Interrupted, "interrupted"),
        Life::Forward => (RunState::UnderWay, "under-way"),
        Life::Unwinding(_) => (RunState::Unwinding, "unwinding"),
        Life::Parked { .. } => (RunState::Parked, "parked"),
        Life::Finished { verdict, .. } => over(*verdict),
    }
}

fn over(verdict: Verdict) -> (RunState, &'static str) {
    match verdict {
        Verdict::Completed => (RunState::Completed, "completed"),
        Verdict::RolledBack => (RunState::RolledBack, "rolled-back"),
        Verdict::Cancelled => (RunState::Cancelled, "cancelled"),
        Verdict::RolledBackInPart => (RunState::RolledBackInPart, "rolled-back-in-part"),
    }
}

/// `flow status --json`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    #[serde(flatten)]
    summary: Summary,
    plan_digest: String,
    protocol: String,
    /// Whose key signed the start; nothing where anybody may start.
    starter: Option<Signer>,
    /// Whose keys count, and how they differ from those of what production runs; nothing before that was asked.
    keys: Option<KeysFound>,
    /// Who drives it now; empty when nobody does, as far as can be told.
    driven_by: String,
    /// Who drove it last, and whether that process still does.
    driver: Option<driver::DriverRow>,
    /// What is not as usual in production because of it, as far as the journal knows.
    standing: Vec<String>,
    /// What production's host said just now, where something is not as usual and nobody drives; empty when it was not
    /// asked.
    host_says: Vec<String>,
    /// Whether a step that changes production was started.
    production_changed: bool,
    seconds_since_update: u64,
    why_parked: Option<String>,
    waiting: Vec<OpenQuestion>,
    next: Vec<Next>,
    /// Everything that can be done now, as data; those that lead on are in `next` too.
    options: Vec<Offer>,
    steps_detail: Vec<AuditRow>,
    rollback_would_undo: Vec<Undoes>,
    notices: Vec<NoticeRow>,
    contacts: std::collections::BTreeMap<String, String>,
}

/// Somebody is waited for.
#[derive(Debug, Clone, Serialize)]
struct OpenQuestion {
    step: String,
    who: String,
    what: String,
    /// The shape of the answer: `{"signature":{…}}`, `{"checklist":{…}}`, `{"choice":{"of":[…]}}`, `{"text":{"max":…}}`.
    answer: Option<Answer>,
    /// The command line that answers; made of the shape.
    command: String,
    until: Option<String>,
    /// Whether the answer is on record, and only a driver has to take it in.
    answered: bool,
}

/// Something an operator can do now.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Offer {
    #[serde(flatten)]
    choice: Choice,
    /// The command line that does it.
    command: String,
}

/// Everything an operator can do now.
pub(crate) fn offers(run: &Run) -> Vec<Offer> {
    let choices = commands::options(run).into_iter();
    choices
        .map(|choice| Offer {
            command: commands::line(run, &choice.act),
            choice,
        })
        .collect()
}

/// What a run asks people, and everything that can be done: the same in `flow status --json`, `flow answer --json` and at
/// the control socket.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Questions {
    run: String,
    waiting: Vec<OpenQuestion>,
    options: Vec<Offer>,
}

impl Questions {
    /// Those of a run.
    pub(crate) fn of(run: &Run) -> Questions {
        Questions {
            run: run.id.to_string(),
            waiting: asked(run),
            options: offers(run),
        }
    }

    /// What one step asks, and how it is answered.
    pub(crate) fn only(mut self, step: &str) -> Questions {
        self.waiting.retain(|asked| asked.step == step);
        let answers = |offer: &Offer| match &offer.choice.act {
            Act::Answer(asked) => asked.step == step,
            _ => false,
        };
        self.options.retain(answers);
        self
    }
}

/// Whom a run waits for.
fn asked(run: &Run) -> Vec<OpenQuestion> {
    let waiting = run.waiting().map(|(step, wait)| OpenQuestion {
        step: run.plan.nodes[step as usize].key.clone(),
        who: wait.who.clone(),
        what: wait.what.clone(),
        answer: wait.answer.clone(),
        command: commands::of_wait(run, step, wait),
        until: wait.until.map(|t| t.to_string()),
        answered: again::is_answered(run, step),
    });
    waiting.collect()
}

/// A step and what undoes it.
#[derive(Debug, Clone, Serialize)]
struct Undoes {
    step: String,
    undo: String,
}

/// A notice to the team.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NoticeRow {
    /// The number of the record that caused it.
    record: u64,
    /// What the notice is about, in words.
    about: String,
    /// `pending`, `sent` or `undeliverable`.
    state: &'static str,
    /// When it was sent, or why it never will be.
    detail: Option<String>,
    /// Which addresses are known to have it while it is not sent to all.
    reached: Vec<String>,
}

impl Status {
    /// The state of a run at a moment.
    pub(crate) fn of(run: &Run, driver: &Driver, now: Timestamp) -> Status {
        let key = |step: u32| run.plan.nodes[step as usize].key.clone();
        let undoes = run.undo_order().into_iter().map(|step| Undoes {
            step: key(step),
            undo: run.plan.nodes[step as usize]
                .undo
                .clone()
                .unwrap_or_default(),
        });
        Status {
            summary: Summary::of(run, driver),
            plan_digest: run.plan_digest.to_string(),
            protocol: run.plan.protocol.clone(),
            starter: starter::of(run),
            keys: KeysFound::of(run),
            driven_by: if driver.has_it() {
                run.holder.clone()
            } else {
                String::new()
            },
            driver: driver.shown(),
            standing: flow_steps::means::standing::standing(run),
            host_says: Vec::new(),
            production_changed: run.production_changed(),
            seconds_since_update: now.since(run.updated).as_secs(),
            why_parked: next::why_parked(run),
            waiting: asked(run),
            next: next::commands_for(run, driver),
            options: offers(run),
            steps_detail: audit::rows(run),
            rollback_would_undo: undoes.collect(),
            notices: notices(run),
            contacts: next::contacts(&run.plan)
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
        }
    }
}

impl Status {
    /// The same, beside what is known of the world.
    pub(crate) fn beside(self, run: &Run, driver: &Driver, world: &Beside) -> Status {
        let mut status = Status {
            standing: flow_steps::means::standing::standing_beside(run, world.host.facts),
            host_says: world.host.lines.clone(),
            next: world.commands(run, driver),
            ..self
        };
        for notice in &mut status.notices {
            notice.reached = world.holders(notice.record);
        }
        status
    }
}

/// Every notice of a run.
pub(crate) fn notices(run: &Run) -> Vec<NoticeRow> {
    let told = run.notices.iter().map(|notice| {
        let (state, detail) = match &notice.delivery {
            Delivery::Pending => ("pending", None),
            Delivery::Sent(at) => ("sent", Some(at.to_string())),
            Delivery::Undeliverable(why) => ("undeliverable", Some(why.clone())),
        };
        NoticeRow {
            record: notice.id,
            about: about(run, &notice.topic),
            state,
            detail,
            reached: Vec::new(),
        }
    });
    told.collect()
}

/// What a notice is about, in words.
pub(crate) fn about(run: &Run, topic: &Topic) -> String {
    match topic {
        Topic::Started => "the run was started".into(),
        Topic::Waiting { step } => format!("`{}` asks", run.plan.nodes[*step as usize].key),
        Topic::Parked => "the run is parked".into(),
        Topic::RollbackStarted if was_cancelled(run) => "the run is being cancelled".into(),
        Topic::RollbackStarted if !run.production_changed() => "the run is being taken back".into(),
        Topic::RollbackStarted => "the rollback began".into(),
        Topic::Finished(_) => "the run is over".into(),
        Topic::Step { topic, .. } => topic.clone(),
    }
}

/// Whether what was undone was undone because a person cancelled, before production changed.
fn was_cancelled(run: &Run) -> bool {
    let ordered = run.orders.iter().any(|given| given.order == Order::Cancel);
    ordered || run.unwinding().is_some_and(|unwind| unwind.cancelled)
}
