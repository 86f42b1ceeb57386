//! The gate of rule 1: test, then stage, then production, for exactly this commit.

use async_trait::async_trait;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::promotion::{Passed, PromotionRule, judge};

/// The gate of rule 1 as a step. Run twice: judged anew, on what is true then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// Which phases must have passed for this commit, and how long ago at most.
    pub rule: PromotionRule,
}

#[async_trait]
impl Step for Promotion {
    const KIND: &'static str = "gate.promotion";
    type Output = Vec<Passed>;

    fn summary(&self) -> String {
        format!(
            "{} passed for this very commit",
            self.rule.phases.join(" and ")
        )
    }

    async fn run(&self, cx: &Cx) -> Result<Vec<Passed>, StepError> {
        judge(cx, &self.rule).await
    }
}

#[cfg(test)]
mod tests;
