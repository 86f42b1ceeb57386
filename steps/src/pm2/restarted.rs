//! Whether a release really replaced what ran.

use std::collections::BTreeSet;

use async_trait::async_trait;
use flow_engine::plan::OnFailure;
use flow_engine::planner::Arg;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::{Application, ProcessList, Released, place};
use crate::means::reports::code::Deployed;
use crate::means::supervisor::settle::{self, Wanted};
use crate::means::{reach, supervisor};

/// Every process that ran before was really restarted and stays up: it has another pid, and where the release says what
/// and where it is, it runs from that folder, with that version and that commit.
///
/// A name that pm2 no longer knows fails it: a release may remove a process, or lose it. Where a failure parks, a retry
/// is a person's word that it was meant; a later environment takes that word from here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restarted {
    /// The host, by its configured name.
    pub host: String,
    /// As in [`Processes`](super::Processes).
    pub pm2: Vec<String>,
    /// As in [`Processes`](super::Processes).
    #[serde(default)]
    pub application: Application,
    /// What ran before the release.
    pub before: Arg<ProcessList>,
    /// How long all restart counters must stand still, in seconds.
    pub settle_seconds: u64,
    /// What was released, where it can be looked for.
    #[serde(default)]
    pub released: Option<Released>,
    /// The release script that ran: what was started before it began is old. A process that lost its sessions and ended
    /// is started again by pm2 with another pid, and the old code.
    #[serde(default)]
    pub script: Option<Arg<Deployed>>,
    /// The list of this step on another environment, with the names that were accepted there as removed.
    #[serde(default)]
    pub removed: Option<Arg<ProcessList>>,
}

/// Names that were missing when the step failed; a later attempt by a person's order accepts them.
#[derive(Serialize, Deserialize)]
struct Missing {
    attempt: u16,
    names: BTreeSet<String>,
}

#[async_trait]
impl Step for Restarted {
    const KIND: &'static str = "pm2.restarted";
    type Output = ProcessList;

    fn summary(&self) -> String {
        format!(
            "the {} processes of `{}` were restarted and stay up for {} s: {}",
            self.application.supervisor.name(),
            self.host,
            self.settle_seconds,
            self.application.in_words()
        )
    }

    fn policy(&self) -> Policy {
        Policy::within(120 + self.settle_seconds)
    }

    async fn run(&self, cx: &Cx) -> Result<ProcessList, StepError> {
        let host = reach::host(cx, &self.host)?;
        let supervisor = supervisor::of(&*host, &self.pm2, &self.application);
        let before = cx.arg(&self.before)?;
        // Taken first: what is written from here on is for the watch to see.
        let first = supervisor.marked().await?;
        let gone = self.gone(cx, &before, &first).await?;
        let wanted = Wanted::as_before(&before).without(&gone);
        let mut list = settle::up(cx, &*supervisor, &wanted, self.settle_seconds).await?;
        let mut old = before.same_process_in(&list);
        if old.is_empty()
            && let Some(released) = &self.released
        {
            let mut apps = wanted.witnesses(&list);
            apps.retain(|a| a.is_running());
            let script = self.script.as_ref().map(|s| cx.arg(s)).transpose()?;
            let job = script.map(|script| script.folder);
            old = place::old(&*host, released, job.as_deref(), &apps).await?;
        }
        if !old.is_empty() {
            return Err(StepError::fail(format!(
                "not restarted on `{}`, the old code still runs: {}",
                self.host,
                old.join("; ")
            ))
            .hint("the release script must restart them, for example with `pm2 reload`, from the folder of the release"));
        }
        // What was no witness before the release is none after it.
        let excused = before.no_witness(&list);
        for app in &mut list.apps {
            app.restless = excused.contains(&app.id);
        }
        for app in before.woken(&list) {
            cx.log(format!(
                "{}: it was stopped before the release, which started it; it is no witness, and a rollback stops it again",
                app.in_words()
            ));
        }
        Ok(ProcessList {
            log_sizes: first.log_sizes,
            log_inodes: first.log_inodes,
            gone,
            ..list
        })
    }
}

impl Restarted {
    /// The names that ran before and that pm2 no longer knows, when that is accepted.
    async fn gone(
        &self,
        cx: &Cx,
        before: &ProcessList,
        now: &ProcessList,
    ) -> Result<BTreeSet<String>, StepError> {
        let known = |name: &String| now.apps.iter().any(|a| a.name == *name);
        let mut gone = before.names_at_work();
        gone.retain(|name| !known(name));
        if gone.is_empty() {
            return Ok(gone);
        }
        let removed = self.removed.as_ref().map(|r| cx.arg(r)).transpose()?;
        if removed.is_some_and(|removed| gone.is_subset(&removed.gone)) {
            return Ok(gone);
        }
        let parks = cx
            .plan()
            .node(cx.key())
            .is_some_and(|(_, node)| cx.plan().phase_of(node).on_failure == OnFailure::Park);
        let noted: Option<Missing> = cx.noted()?;
        let ordered = noted.is_some_and(|m| m.attempt < cx.attempt() && gone.is_subset(&m.names));
        let names: Vec<&str> = gone.iter().map(String::as_str).collect();
        let names = names.join(", ");
        if parks && ordered {
            cx.log(format!(
                "going on without {names}: a retry was ordered after they were missed"
            ));
            return Ok(gone);
        }
        let attempt = cx.attempt();
        cx.note(&Missing {
            attempt,
            names: gone.clone(),
        })
        .await?;
        let failed = StepError::fail(format!(
            "`{}`: {names} ran before, and {} no longer knows it: lost or removed",
            self.host,
            self.application.supervisor.name()
        ));
        Err(if parks {
            failed.hint(format!(
                "when it is lost, start it there, then: flow retry {}; when it is meant to be gone, the same: the step goes on without it",
                cx.run_id()
            ))
        } else {
            failed.hint(format!(
                "when the release is meant to remove it, name the processes that stay: [env.{}] processes = [\"…\"]",
                self.host
            ))
        })
    }
}
