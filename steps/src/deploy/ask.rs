//! The question about a script of which nobody here knows what became.

use flow_engine::step::{Cx, StepError};

use super::Deploy;
use super::in_place::head;
use super::kept::{kept, statements};
use crate::means::host::job::{JobSpec, Probe};
use crate::means::host::{Host, HostExt as _};
use crate::means::notes::ScriptNotes;

/// Nobody here knows what became of the script: what is known, and the commands that state it.
pub(super) async fn ask(
    cx: &Cx,
    step: &Deploy,
    host: &dyn Host,
    job: &JobSpec,
    probe: &Probe,
) -> StepError {
    let what = match probe {
        Probe::Claimed => {
            "was claimed but never started: the host stopped in that moment".to_owned()
        }
        Probe::Never => "was stopped before it began".to_owned(),
        Probe::Orphaned { pids } => format!(
            "lost its keeper, and its processes still run (pids {pids:?}): end them or wait before stating anything"
        ),
        Probe::Running { .. } => {
            "still runs: wait for it, or end it, before stating anything".to_owned()
        }
        Probe::LostByReboot => "was cut off by a restart of the host".to_owned(),
        Probe::Absent => "is not there any more: its folder was removed".to_owned(),
        _ => "is gone and left no result".to_owned(),
    };
    if let Ok(kept) = kept(cx) {
        let statements = statements(cx);
        // If this cannot be stored, the run is stopping and the question is asked again.
        let _ = cx.note(&ScriptNotes { statements, ..kept }).await;
    }
    let (run, key) = (cx.run_id(), cx.key());
    StepError::ask(format!(
        "the release script (attempt {}, {}) {what}. {}",
        job.attempt,
        job.folder(),
        facts(step, host).await
    ))
    .hint(format!(
        "when it did its work: flow settle {run} {key} --done --reason …"
    ))
    .hint(format!(
        "when it did not, to run it again: flow settle {run} {key} --not-done --reason …"
    ))
    .hint(format!(
        "or undo everything: flow rollback {run} --reason …"
    ))
}

/// What can be seen without touching anything. It decides nothing: the right commit may be there half installed.
async fn facts(step: &Deploy, host: &dyn Host) -> String {
    match host.run(&head(&step.cwd)).await {
        Ok(head) if head == step.commit => format!(
            "The code in {} is at the commit to be released; whether the script got to its end is not known.",
            step.cwd
        ),
        Ok(head) => format!(
            "The code in {} is at {head}, not at the commit to be released.",
            step.cwd
        ),
        Err(_) => format!("What is in {} could not be seen.", step.cwd),
    }
}
