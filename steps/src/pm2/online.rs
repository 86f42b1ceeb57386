//! Whether everything is up after a release.

use async_trait::async_trait;
use flow_engine::planner::Arg;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::{App, Application, ProcessList};
use crate::means::reach;
use crate::means::supervisor;
use crate::means::supervisor::settle::{self, Wanted};

/// Every process of the application is online: those that ran before, and those that came with the release.
///
/// What was stopped or crash-looping before the release may be so still; a job that ran to its end is no fault. A
/// process that restarts while it is looked at is not online.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Online {
    /// The host, by its configured name.
    pub host: String,
    /// As in [`Processes`](super::Processes).
    pub pm2: Vec<String>,
    /// As in [`Processes`](super::Processes).
    #[serde(default)]
    pub application: Application,
    /// What ran before the release, or [`ProcessList::named`].
    pub expected: Arg<ProcessList>,
    /// The list from [`Restarted`](super::Restarted), which has waited already: one look is enough when every counter
    /// and pid is still what it was then.
    #[serde(default)]
    pub since: Option<Arg<ProcessList>>,
    /// How long all restart counters must stand still, in seconds.
    pub settle_seconds: u64,
}

#[async_trait]
impl Step for Online {
    const KIND: &'static str = "pm2.online";
    type Output = ProcessList;

    fn summary(&self) -> String {
        format!(
            "every {} process of `{}` is online: {}",
            self.application.supervisor.name(),
            self.host,
            self.application.in_words()
        )
    }

    fn policy(&self) -> Policy {
        Policy::within(120 + self.settle_seconds)
    }

    async fn run(&self, cx: &Cx) -> Result<ProcessList, StepError> {
        let host = reach::host(cx, &self.host)?;
        let supervisor = supervisor::of(&*host, &self.pm2, &self.application);
        let expected = cx.arg(&self.expected)?;
        let since = self.since.as_ref().map(|s| cx.arg(s)).transpose()?;
        let gone = since.iter().flat_map(|since| &since.gone);
        let wanted = Wanted::as_before(&expected).without(gone);
        if let Some(since) = &since {
            let now = supervisor.list().await?;
            if now.counters() == since.counters() && down(&now, &expected).is_empty() {
                return Ok(now);
            }
        }
        let list = settle::up(cx, &*supervisor, &wanted, self.settle_seconds).await?;
        let down = down(&list, &expected);
        if down.is_empty() {
            Ok(list)
        } else {
            Err(StepError::fail(format!(
                "not online on `{}`: {}",
                self.host,
                down.join("; ")
            )))
        }
    }
}

/// What is down and should not be.
fn down(list: &ProcessList, expected: &ProcessList) -> Vec<String> {
    let excused = expected.no_witness(list);
    let fault = |a: &&App| !a.is_running() && !a.is_over() && !excused.contains(&a.id);
    list.apps.iter().filter(fault).map(App::in_words).collect()
}
