//! `schema/nullable-access`: code that takes for granted what may be missing now.

use async_trait::async_trait;
use flow_engine::answer::{Asked, Refusal};
use flow_engine::retry::Policy;
use flow_engine::signal::Signal;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::{CodeAt, CodeChecked, MOST, Subjects, accepted, line};
use crate::means::signature::waiver;
use flow_lint::code::schema::Changes;

/// Type-checks the new code and the deployed code against the new schema, and looks in both for unguarded access to what
/// may be null now or is gone.
///
/// Only what the new schema adds counts: an error that the old one shows, too, is not this release's. What is found, and
/// that types could not be checked, waits for one signed waiver of exactly that. Reads only; run twice, it looks twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NullableAccess {
    /// The code, new and deployed.
    pub code: CodeAt,
    /// Who may accept what is found, such as `tech-lead`.
    pub waiver_role: String,
}

#[async_trait]
impl Step for NullableAccess {
    const KIND: &'static str = "schema.nullable-access";
    type Output = CodeChecked;

    fn summary(&self) -> String {
        format!(
            "type-check the new code and that on `{}` against the new schema; find unguarded access",
            self.code.host
        )
    }

    fn answered_by(&self) -> Option<String> {
        Some(self.waiver_role.clone())
    }

    fn policy(&self) -> Policy {
        Policy::within(3600)
    }

    async fn accepts(&self, asked: &Asked<'_>, signal: &Signal) -> Result<(), Refusal> {
        waiver::accepts(asked, signal).await
    }

    async fn run(&self, cx: &Cx) -> Result<CodeChecked, StepError> {
        let (deployed, changes, mut found, not_typed) = match self.code.look(cx).await? {
            Subjects::Nothing(deployed, changes) => {
                cx.log("the new schema changes nothing that code can notice");
                (Some(deployed), changes, Vec::new(), None)
            }
            Subjects::NoSchema(why) | Subjects::OneSchema(why) => {
                (None, Changes::default(), Vec::new(), Some(why))
            }
            Subjects::Both(looked) => {
                let (typed, not_typed) = self.code.types(&looked, &|line| cx.log(line)).await;
                let mut found = looked
                    .syntax(|p| cx.progress(p), |hit| !hit.is_about_values())
                    .await?;
                found.extend(typed);
                let deployed = looked.versions[1].1.commit.clone();
                (Some(deployed), looked.changes.clone(), found, not_typed)
            }
        };
        found.sort();
        found.dedup();
        for one in &found {
            cx.log(line(one));
        }
        if let Some(why) = &not_typed {
            cx.log(format!("not type-checked: {why}"));
        }
        let waiver = accepted(cx, &self.waiver_role, &found, not_typed.as_deref()).await?;
        let omitted = found.len().saturating_sub(MOST);
        found.truncate(MOST);
        Ok(CodeChecked {
            deployed,
            changes,
            found,
            omitted,
            not_typed,
            waiver,
        })
    }
}
