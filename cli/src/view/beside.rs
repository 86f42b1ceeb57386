//! What is known of the world beside the journal, for whoever looks at a run.

use std::collections::{BTreeMap, BTreeSet};

use flow_engine::run::Run;
use flow_workflows::production::HostSays;

use super::next::{self, Next};
use crate::driver::Driver;

/// What was found out beside the journal; empty where nobody asked.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// What production's host says.
    pub(crate) host: HostSays,
    /// Which addresses have a notice, by its number.
    pub(crate) mailed: BTreeMap<u64, BTreeSet<String>>,
    /// Whether the lock that the rollback of this run left is lifted.
    pub(crate) unlocked: bool,
}

impl Beside {
    /// What to type next; nobody is sent to lift a lock that is lifted.
    pub(crate) fn commands(&self, run: &Run, driver: &Driver) -> Vec<Next> {
        let mut commands = next::commands_for(run, driver);
        let unlock = format!("flow unlock {} ", run.plan.environment);
        commands.retain(|next| !(self.unlocked && next.command.starts_with(&unlock)));
        commands
    }

    /// Who has a notice.
    pub(crate) fn holders(&self, notice: u64) -> Vec<String> {
        let holders = self.mailed.get(&notice).into_iter().flatten();
        holders.cloned().collect()
    }
}
