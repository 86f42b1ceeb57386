//! What a release asks of whatever keeps processes running.

use async_trait::async_trait;
use flow_engine::step::{Cx, StepError};

use super::list::ProcessList;
use super::logs::{self, News, Place};
use crate::means::host::Host;

/// Everything a supervisor keeps on a host, by whose it is.
#[derive(Debug, Default)]
pub(crate) struct Population {
    /// The application's processes.
    pub(crate) own: ProcessList,
    /// In words, what is not the application's.
    pub(crate) others: Vec<String>,
}

/// Something that keeps an application's processes running on a host: pm2, systemd, docker compose.
///
/// What is not the application's is neither stopped, nor restarted, nor judged. Every question may be asked again.
#[async_trait]
pub(crate) trait Supervisor: Send + Sync {
    /// Where it runs.
    fn host(&self) -> &dyn Host;

    /// What it is called in messages.
    fn name(&self) -> &'static str;

    /// What it keeps now.
    async fn survey(&self) -> Result<Population, StepError>;

    /// The same, with how the application's processes are started kept in this folder of the host, under a run's name,
    /// so that [`Supervisor::bring_back`] can start them so again. Run twice: it is written anew.
    async fn record(&self, keep_in: Option<&str>, run: &str) -> Result<Population, StepError>;

    /// Makes what runs now what runs after a restart of the host, where the supervisor has to be told.
    async fn save(&self) -> Result<(), StepError> {
        Ok(())
    }

    /// Stops every process of the application so that it stays stopped, and looks twice; answers in words what was done.
    /// With none up there is nothing to do. Fails when one still runs a minute later.
    async fn stop(&self, cx: &Cx) -> Result<String, StepError>;

    /// Starts again what ran before, as it was started then; answers in words what was done.
    ///
    /// Fails when something that ran before does not run again and stay up for so many seconds, naming each.
    async fn bring_back(
        &self,
        cx: &Cx,
        before: &ProcessList,
        settle_seconds: u64,
    ) -> Result<String, StepError>;

    /// Number and size of each of these logs as it is now; zeros for one that does not exist yet.
    async fn log_sizes(&self, names: &[String]) -> Result<Vec<(u64, u64)>, StepError> {
        logs::sizes(self.host(), names).await
    }

    /// The end of a log as it is now.
    async fn log_end(&self, name: &str) -> Result<Place, StepError> {
        logs::end_of(self.host(), name).await
    }

    /// Whole lines of a log that were written since.
    async fn log_news(&self, name: &str, place: &mut Place) -> Result<News, StepError> {
        logs::read_on(self.host(), name, place).await
    }

    /// The application's processes now.
    async fn list(&self) -> Result<ProcessList, StepError> {
        Ok(self.survey().await?.own)
    }

    /// The application's processes now, with how far their logs are.
    async fn marked(&self) -> Result<ProcessList, StepError> {
        let mut list = self.list().await?;
        let mut names: Vec<String> = list.apps.iter().flat_map(|a| a.logs.clone()).collect();
        names.sort();
        names.dedup();
        let sizes = self.log_sizes(&names).await?;
        for (name, (number, size)) in names.into_iter().zip(sizes) {
            list.log_inodes.insert(name.clone(), number);
            list.log_sizes.insert(name, size);
        }
        Ok(list)
    }
}
