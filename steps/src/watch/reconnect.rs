//! Where the logs stood when the application had had its time to connect again after the thaw.

use std::time::Duration;

use async_trait::async_trait;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::reach;
use crate::means::supervisor::{self, Application, ProcessList};

/// So much later than meant, a mark says nothing any more about what was written before it.
const LATE: Duration = Duration::from_secs(30);

/// Gives the application some seconds after the thaw, which ended its sessions, and marks where its logs and restart
/// counters are then. Up to that mark, what ended sessions and refused writes leave behind is `flow`'s own doing; from
/// there on the same words are errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconnect {
    /// The host, by its configured name.
    pub host: String,
    /// The pm2 program and its leading arguments.
    pub pm2: Vec<String>,
    /// Which of its processes are the application's.
    pub application: Application,
    /// The key of the step that opened the database.
    pub thaw: String,
    /// How long the application has, in seconds.
    pub seconds: u64,
}

/// A place in all logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The processes and the sizes of their logs.
    pub processes: ProcessList,
    /// Whether it was made so late (after a crash, a sleep) that what stands before it may be older or newer than that
    /// time.
    pub late: bool,
}

#[async_trait]
impl Step for Reconnect {
    const KIND: &'static str = "watch.reconnect";
    type Output = Mark;

    fn summary(&self) -> String {
        format!(
            "give the application on `{}` {} s to connect again after {}; only until then its lost sessions are forgiven",
            self.host, self.seconds, self.thaw
        )
    }

    fn policy(&self) -> Policy {
        Policy::within(120 + self.seconds)
    }

    async fn run(&self, cx: &Cx) -> Result<Mark, StepError> {
        let thaw = cx.plan().node(&self.thaw);
        let thawed = thaw.and_then(|(index, _)| cx.run().steps[index as usize].ended);
        let Some(thawed) = thawed else {
            return Err(StepError::fail(format!("{} has not ended", self.thaw)));
        };
        let host = reach::host(cx, &self.host)?;
        let supervisor = supervisor::of(&*host, &self.pm2, &self.application);
        let meant = Duration::from_secs(self.seconds);
        cx.sleep(meant.saturating_sub(cx.now().since(thawed)))
            .await?;
        let processes = supervisor.marked().await?;
        let late = cx.now().since(thawed) > meant + LATE;
        if late {
            cx.log(format!(
                "made {} s after the database was opened: what its logs say of lost sessions is for a person to judge",
                cx.now().since(thawed).as_secs()
            ));
        }
        Ok(Mark { processes, late })
    }
}
