//! Asking an application whether it is well.

use std::time::Duration;

use async_trait::async_trait;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::probes::Healthy;
use crate::means::probes::checks::Checks;
use crate::means::probes::probe::Probe;

/// The application answers as it should. Run twice: it is asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What is asked: one question, or several that must all be answered well.
    pub check: Checks,
    /// How long it may take to become healthy, in seconds.
    pub within_seconds: u64,
    /// How long it must stay healthy, in seconds.
    pub stable_for_seconds: u64,
}

#[async_trait]
impl Step for Health {
    const KIND: &'static str = "http.health";
    type Output = Healthy;

    fn summary(&self) -> String {
        let name = |probe: &Probe| {
            let from = probe.via_host().map(|h| format!(" (asked from `{h}`)"));
            format!("{}{}", probe.name(), from.unwrap_or_default())
        };
        let names: Vec<String> = self.check.probes().iter().map(name).collect();
        if let [Probe::Http(check)] = self.check.probes() {
            let from = check
                .via_host
                .as_deref()
                .map(|h| format!(" (asked from `{h}`)"));
            return format!(
                "{} is healthy within {} s and stays so for {} s{}",
                check.url,
                self.within_seconds,
                self.stable_for_seconds,
                from.unwrap_or_default()
            );
        }
        format!(
            "healthy within {} s and for {} s: {}",
            self.within_seconds,
            self.stable_for_seconds,
            names.join(", ")
        )
    }

    fn policy(&self) -> Policy {
        Policy::within(
            self.within_seconds + self.stable_for_seconds + 2 * self.check.timeout_seconds() + 60,
        )
    }

    async fn run(&self, cx: &Cx) -> Result<Healthy, StepError> {
        let within = Duration::from_secs(self.within_seconds);
        let stable = Duration::from_secs(self.stable_for_seconds);
        self.check.until_healthy(cx, within, stable).await
    }
}

#[cfg(test)]
pub(crate) mod tests;
