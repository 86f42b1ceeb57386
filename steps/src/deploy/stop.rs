//! Step 1 of the protocol's rollback: stop services. First of all the script itself.

use flow_engine::plan::Node;
use flow_engine::run::{StepState, Undo};
use flow_engine::signal::Order;
use flow_engine::step::{Cx, StepError};
use serde::{Deserialize, Serialize};

use super::kept::{GRACE, kept, of_job};
use super::{Deploy, jobs};
use crate::means::host::job::{self, JobError, JobSpec, Launch, Probe};
use crate::means::host::{Command, Host};
use crate::means::lease::guard::in_force;
use crate::means::lease::store::lock_state;
use crate::means::notes::{ScriptNotes, has_begun};
use crate::means::supervisor::{self, Application};
use crate::means::{kinds, reach};
use crate::pg::{BeforeStop, Halt, Question};

/// What is stopped when a deploy is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopSpec {
    /// The pm2 program and its leading arguments.
    pub pm2: Vec<String>,
    /// Which of its processes are the application's: only these are stopped.
    #[serde(default)]
    pub application: Application,
    /// What is looked at before anything is stopped; nothing in plans from before there was that.
    #[serde(default)]
    pub look: Option<BeforeStop>,
}

const NEVER: &str = "the script had never been started, and cannot be any more";

pub(super) async fn undo(cx: &Cx, step: &Deploy) -> Result<String, StepError> {
    let host = reach::host(cx, &step.host)?;
    still_ours(cx, step).await?;
    let attempts = cx
        .plan()
        .node(cx.key())
        .map_or(0, |(i, _)| cx.run().steps[i as usize].attempts);
    let mut ends = Vec::new();
    for attempt in 1..=attempts {
        let spec = step.spec(cx, attempt)?;
        ends.push(end(cx, &*host, &spec).await?);
    }
    let said = |(n, end): (usize, &&str)| format!("attempt {}: {end}", n + 1);
    let mut report: Vec<String> = ends.iter().enumerate().map(said).collect();
    // What never ran changed nothing: there is no reason to stop anybody, nor to restore.
    if !ends.is_empty() && ends.iter().all(|end| *end == NEVER) {
        let kept = kept(cx)?;
        let never_began = true;
        cx.note(&ScriptNotes {
            never_began,
            ..kept
        })
        .await?;
        return Ok(format!("{NEVER}; no service was stopped"));
    }
    if let Some(services) = &step.stop_on_undo {
        look_first(cx, step, services).await?;
        let supervisor = supervisor::of(&*host, &services.pm2, &services.application);
        report.push(supervisor.stop(cx).await?);
    }
    Ok(report.join("; "))
}

/// Asks, while services still run, about rows of others that the restore would set aside. A rollback that a person ordered
/// has its answer, and one answer is for all hosts whose services the same restore stops.
async fn look_first(cx: &Cx, step: &Deploy, services: &StopSpec) -> Result<(), StepError> {
    let Some(look) = &services.look else {
        return Ok(());
    };
    let stopped = Halt {
        here: step.host.clone(),
        elsewhere: stopped_before(cx, look),
    };
    let Some(rows) = look.rows(cx, &stopped).await? else {
        return Ok(());
    };
    cx.log(format!("a restore sets rows aside: {rows}"));
    let kept = kept(cx)?;
    let orders = &cx.run().orders;
    let ordered = orders.iter().any(|given| given.order == Order::Rollback);
    let question = |orders| Question { orders };
    if ordered || question(kept.orders).is_answered(orders) {
        return Ok(());
    }
    let mut asked = beside(cx, look).map(|(_, state)| question(script_notes(state).orders));
    if let Some(Question { orders }) = asked.find(|asked| asked.is_answered(orders)) {
        // Noted here too: the restore looks at the environment's own host only.
        cx.note(&ScriptNotes { orders, ..kept }).await?;
        return Ok(());
    }
    let orders = Some(orders.len());
    cx.note(&ScriptNotes { orders, ..kept }).await?;
    Err(StepError::ask(format!(
        "rows were written although the database is read-only, after the release's own script had ended: a client \
         overrides it ({rows}); restoring would set them aside, and nobody has said so. Nothing was stopped{}: services go \
         on with the new release{}",
        stopped.not(),
        stopped.but()
    ))
    .hint(format!(
        "to restore all the same (the replaced database is kept, with those rows in it): flow retry {}",
        cx.run_id()
    ))
    .hint(format!(
        "to take back the rest without the database, for this step and for the restore: flow skip {} STEP --reason …",
        cx.run_id()
    )))
}

/// The deploying steps of the run whose undo stops services for a restore of the same database, this one among them.
fn beside<'a>(cx: &'a Cx, look: &BeforeStop) -> impl Iterator<Item = (&'a Node, &'a StepState)> {
    let db = serde_json::to_value(&look.db).ok();
    let steps = cx.plan().nodes.iter().zip(&cx.run().steps);
    steps.filter(move |(node, _)| {
        let at = node.params.pointer("/stop_on_undo/look/db");
        node.kind == kinds::DEPLOY && at.is_some() && at == db.as_ref()
    })
}

/// The hosts whose services the rollback has stopped by now.
fn stopped_before(cx: &Cx, look: &BeforeStop) -> Vec<String> {
    let stopped = beside(cx, look)
        .filter(|(node, state)| state.undo == Undo::Undone && has_begun(cx.run(), &node.key));
    let named = stopped.filter_map(|(node, _)| node.params.get("host")?.as_str());
    named.map(str::to_owned).collect()
}

fn script_notes(state: &StepState) -> ScriptNotes {
    let note = state.note.as_deref();
    note.and_then(|note| serde_json::from_slice(note).ok())
        .unwrap_or_default()
}

/// An old run must not undo over a newer release: whoever holds the lease now has the host. Where the lease was given back
/// for good, as on test, only the script itself is looked at.
async fn still_ours(cx: &Cx, step: &Deploy) -> Result<(), StepError> {
    let Some(lease) = in_force(cx.run(), &step.host)? else {
        return Ok(());
    };
    let host = reach::unguarded(cx, &step.host)?;
    let held = lock_state(&*host, &lease.dir).await?.held;
    match held.filter(|h| h.run != cx.run_id().as_str()) {
        None => Ok(()),
        Some(other) => Err(StepError::ask(format!(
            "the lease of `{}` is held by run {} ({}), not by this run; nothing was stopped",
            step.host, other.run, other.holder
        ))
        .hint(format!(
            "let run {} end first, then: flow retry {}",
            other.run,
            cx.run_id()
        ))
        .hint(format!(
            "when its release is to stay: flow skip {} {} --reason …",
            cx.run_id(),
            cx.key()
        ))),
    }
}

/// Makes sure that the script of an attempt neither runs nor ever starts.
async fn end(cx: &Cx, host: &dyn Host, spec: &JobSpec) -> Result<&'static str, StepError> {
    let mut probe = jobs::look(cx, host, spec).await.map_err(retry)?;
    if probe == Probe::Absent && kept(cx)?.has_launched(spec.attempt) {
        return vanished(host, spec).await;
    }
    if probe == Probe::Absent {
        // A launch may still be on its way from a process that died. Whoever makes the folder first wins.
        let nothing = JobSpec {
            script: "exit 125\n".into(),
            // It only keeps the script from starting: that must not depend on who has the lease.
            lease: None,
            frozen: None,
            ..spec.clone()
        };
        match job::launch(host, &nothing).await {
            Ok(Launch::Started) => {
                return Ok(NEVER);
            }
            Ok(Launch::Exists) => probe = jobs::look(cx, host, spec).await.map_err(retry)?,
            Err(JobError::Host(e)) => return Err(reach::error(&e)),
            Err(e) => return Err(StepError::fail(e.to_string())),
        }
    }
    match probe {
        Probe::Running { .. } | Probe::Orphaned { .. } | Probe::Claimed => {
            let left = job::kill(host, spec, GRACE)
                .await
                .map_err(|e| retry(of_job(cx, &e)))?;
            match left {
                Probe::Running { .. } | Probe::Orphaned { .. } | Probe::Claimed => Err(StepError::fail(format!(
                    "the release script in {} cannot be ended; the database must not be restored while it runs",
                    spec.folder()
                ))
                .hint("end its processes on the host, then retry")),
                Probe::Never => Ok(NEVER),
                _ => Ok("the script was ended"),
            }
        }
        Probe::Never => Ok(NEVER),
        Probe::Done { .. } => Ok("the script had ended"),
        _ => Ok("the script was gone"),
    }
}

/// The script was started, and its folder is gone: its keeper, which waits for it, is known by the words it was started
/// with. What the script left behind to run on is no part of it.
async fn vanished(host: &dyn Host, spec: &JobSpec) -> Result<&'static str, StepError> {
    let script = r#"
for file in /proc/[0-9]*/cmdline; do
  if tr '\0' '\n' <"$file" 2>/dev/null | grep -qxF "$1/job.sh"; then
    pid=${file#/proc/}
    printf '%s ' "${pid%/cmdline}"
  fi
done"#;
    let look = Command::script(script).args(["sh", &spec.folder()]);
    let alive = reach::run(host, &look).await?;
    if alive.trim().is_empty() {
        return Ok("its folder was removed, and no process of it was found");
    }
    Err(StepError::fail(format!(
        "the folder {} of the release script was removed, and it still runs (pids {}); the database must not be restored meanwhile",
        spec.folder(),
        alive.trim()
    ))
    .hint("end its processes on the host, then retry"))
}

/// Undoing may be tried again as often as it takes: looking and ending twice is the same as once.
fn retry(e: StepError) -> StepError {
    match e {
        StepError::Ask(failure) => StepError::Retry(failure),
        other => other,
    }
}
