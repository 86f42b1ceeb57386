//! Which job to follow: an earlier one that still counts, or a new one.

use std::time::Duration;

use flow_engine::step::{Cx, StepError};

use super::kept::{GRACE, PATIENCE, kept, of_job, statements};
use super::{Deploy, ask, migrate, secrets};
use crate::means::freezes::freeze_in_force;
use crate::means::host::job::{self, JobError, JobSpec, Probe};
use crate::means::host::{Host, HostError, quote};
use crate::means::notes::ScriptNotes;
use crate::means::promotion::PromotionRule;
use crate::means::psql::Database;
use crate::means::read_only::is_frozen;
use crate::means::signature::origin;
use crate::means::signature::sign_off::{NotValid, still_valid};
use crate::means::{kinds, reach, secret};

impl Deploy {
    /// The job of one attempt.
    pub(super) fn spec(&self, cx: &Cx, attempt: u16) -> Result<JobSpec, StepError> {
        let mut words = Vec::new();
        for word in &self.script {
            words.push(quote::word(word).map_err(|e| StepError::fail(e.to_string()))?);
        }
        if words.is_empty() {
            return Err(StepError::fail("no release script is configured"));
        }
        // `_` cannot stand in a key, so two keys never share a folder.
        let step = cx.key().replace('/', "_");
        let mut spec = JobSpec::new(&self.jobs_dir, cx.run_id().as_str(), step, String::new());
        spec.script = format!("exec {}\n", words.join(" "));
        if self.may_migrate {
            spec.script = migrate::with_wrapper(&spec.script);
        }
        spec.attempt = attempt;
        spec.epoch = cx.epoch();
        spec.cwd = Some(reach::absolute(&self.cwd)?.to_owned());
        let own = [
            ("FLOW_RUN", cx.run_id().to_string()),
            ("FLOW_STEP", cx.key().to_owned()),
            ("FLOW_ATTEMPT", attempt.to_string()),
            ("FLOW_COMMIT", self.commit.clone()),
        ];
        let plain = self.env.iter().filter(|(_, v)| !secret::is_name(v));
        spec.env = plain.map(|(n, v)| (n.clone(), v.clone())).collect();
        spec.env.extend(own.map(|(n, v)| (n.to_owned(), v)));
        if self.may_migrate {
            let more = migrate::env();
            spec.env
                .extend(more.map(|(n, v)| (n.to_owned(), v.to_owned())));
        }
        if let Some(arg) = &self.lease {
            let lease = cx.arg(arg)?;
            spec.expect_machine_id = Some(lease.machine_id);
            spec.frozen = freeze_in_force(cx.run(), arg).then(|| lease.dir.clone());
            spec.lease = Some(lease.dir);
        }
        Ok(spec)
    }
}

/// The job to follow. Every earlier attempt is looked at first; a new one is launched only when all of them are known
/// to have ended, or never began.
pub(super) async fn ready(
    cx: &Cx,
    step: &Deploy,
    host: &dyn Host,
    mut own: JobSpec,
) -> Result<JobSpec, StepError> {
    let kept = kept(cx)?;
    let stated = statements(cx) > kept.statements;
    for attempt in (1..own.attempt).rev() {
        let earlier = step.spec(cx, attempt)?;
        match look(cx, host, &earlier).await? {
            Probe::Never => {}
            Probe::Absent if stated || !kept.has_launched(attempt) || attempt <= kept.judged => {}
            Probe::Running { .. } => {
                cx.log(format!(
                    "attempt {attempt} still runs on `{}`: following it",
                    step.host
                ));
                return Ok(earlier);
            }
            Probe::Done { .. } if attempt <= kept.judged => {}
            // Nobody saw it end, but it did: what it left is the truth, whatever a person said in the meantime.
            // An orphan is asked about once it was looked at more closely.
            Probe::Done { .. } | Probe::Orphaned { .. } => return Ok(earlier),
            Probe::Lost | Probe::LostByReboot if stated => {}
            // It may still begin, unless it is told that it must not.
            Probe::Claimed if stated => match job::kill(host, &earlier, GRACE).await {
                Ok(Probe::Never) => {}
                Ok(_) => return Ok(earlier),
                Err(e) => return Err(of_job(cx, &e)),
            },
            unknown => return Err(ask::ask(cx, step, host, &earlier, &unknown).await),
        }
    }
    match look(cx, host, &own).await? {
        // Launched, and its folder is gone: whether it ran to its end is not known, and a second one must not follow it.
        Probe::Absent if kept.has_launched(own.attempt) && !stated => {
            Err(ask::ask(cx, step, host, &own, &Probe::Absent).await)
        }
        Probe::Absent => {
            about_to_act(cx, step.gate.as_ref()).await?;
            let mut kept = kept;
            let launched_at = Some(cx.now());
            own.env.extend(secrets::for_launch(cx, step, &own).await?);
            launch(cx, step, host, &own, &mut kept).await?;
            let launched = own.attempt;
            cx.note(&ScriptNotes {
                launched,
                launched_at,
                ..kept
            })
            .await?;
            Ok(own)
        }
        _ => Ok(own),
    }
}

/// Sign-offs that were good once may have expired or been withdrawn by the time of a later attempt. A deploy that comes
/// before the people are asked, as on test and stage, needs none.
async fn signed(cx: &Cx) -> Result<(), StepError> {
    let Some(people) = origin::at_hand(cx).await? else {
        return Ok(());
    };
    let plan = cx.plan();
    let last = (0u32..)
        .zip(&plan.nodes)
        .filter(|(_, n)| n.kind == kinds::SIGN_OFF)
        .last();
    let ours = plan.node(cx.key()).map(|(own, _)| own);
    if last.is_none_or(|(last, _)| Some(last) > ours) {
        return Ok(());
    }
    match still_valid(cx.run(), &people, cx.now()).await {
        Ok(_) => Ok(()),
        Err(NotValid::Unchecked(e)) => Err(StepError::unreached(
            "a signature could not be judged; nothing was started",
        )
        .because(&e)),
        Err(no) => {
            let refused = StepError::refuse(format!("{no}; nothing was started"));
            let hints = no.hints(cx.run_id()).into_iter();
            Err(hints.fold(refused, StepError::hint))
        }
    }
}

/// The gates of the moment of action.
async fn about_to_act(cx: &Cx, gate: Option<&PromotionRule>) -> Result<(), StepError> {
    if let Some(rule) = gate {
        let others = cx.other_runs(|r| r.commit == rule.commit).await?;
        rule.judge(cx.run(), &others, cx.now())
            .map_err(StepError::Refuse)?;
    }
    signed(cx).await
}

/// Whether the database on another host still keeps writers out: what they write after the decisive backup would be in no
/// baseline of this run.
async fn still_frozen(cx: &Cx, db: &Database) -> Result<(), StepError> {
    if is_frozen(cx, db).await? {
        return Ok(());
    }
    let opened = format!(
        "the database `{}` on `{}` lets writers in again: its timer, or a person, opened it; nothing was started",
        db.name, db.host
    );
    Err(StepError::ask(opened)
        .hint("what was written since is in no baseline of this run, and a rollback asks about it")
        .hint(format!(
            "take back what was done, then start again: flow rollback {} --reason …",
            cx.run_id()
        )))
}

/// How long a host may be out of reach before a person is asked.
const OUT_OF_REACH: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// A launch whose answer was lost is repeated: for one attempt, any number of launches is one execution. Each time the
/// database is asked first, since any time may have passed; not any more once the script is there, which may be at work.
async fn launch(
    cx: &Cx,
    step: &Deploy,
    host: &dyn Host,
    spec: &JobSpec,
    kept: &mut ScriptNotes,
) -> Result<(), StepError> {
    let begun = cx.now();
    loop {
        keep_shut(cx, step, kept).await?;
        match job::launch(host, spec).await {
            Ok(_) => break,
            Err(e) if passing(&e) && cx.now().since(begun) < OUT_OF_REACH => {
                cx.sleep(LOOK_AGAIN).await?;
            }
            Err(e) => return Err(of_job(cx, &e)),
        }
        if look(cx, host, spec).await? != Probe::Absent {
            break;
        }
    }
    cx.log(format!("started on `{}` in {}", step.host, spec.folder()));
    Ok(())
}

/// Right before the start: the database elsewhere is still frozen, or is frozen once more, as the step says.
async fn keep_shut(cx: &Cx, step: &Deploy, kept: &mut ScriptNotes) -> Result<(), StepError> {
    if let Some(db) = &step.frozen_elsewhere {
        still_frozen(cx, db).await?;
    }
    if let Some(freeze) = &step.freeze
        && freeze.anew(cx).await?
        && !kept.refrozen
    {
        kept.refrozen = true;
        cx.note(&*kept).await?;
    }
    Ok(())
}

pub(super) async fn look(cx: &Cx, host: &dyn Host, spec: &JobSpec) -> Result<Probe, StepError> {
    let begun = cx.now();
    loop {
        match job::probe(host, spec).await {
            Ok(Probe::Claimed) if cx.now().since(begun) < PATIENCE => {
                cx.sleep(Duration::from_secs(1)).await?;
            }
            Ok(probe) => return Ok(probe),
            Err(e) if passing(&e) && cx.now().since(begun) < OUT_OF_REACH => {
                cx.sleep(LOOK_AGAIN).await?;
            }
            Err(e) => return Err(of_job(cx, &e)),
        }
    }
}

fn passing(e: &JobError) -> bool {
    matches!(
        e,
        JobError::Host(
            HostError::Unreachable { .. } | HostError::Lost { .. } | HostError::Deadline { .. }
        )
    )
}
