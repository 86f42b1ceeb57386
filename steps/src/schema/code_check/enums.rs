//! `schema/enum-usage`: code that still uses a value that an enum no longer has.

use async_trait::async_trait;
use flow_engine::answer::{Asked, Refusal};
use flow_engine::retry::Policy;
use flow_engine::signal::Signal;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::{CodeAt, CodeChecked, MOST, Subjects, accepted, line};
use crate::means::signature::waiver;
use flow_lint::code::Hit;
use flow_lint::code::schema::Changes;

/// Looks in the new code and in the deployed code for values that the new schema no longer has; those it adds are told,
/// with the places that do not know them.
///
/// Rows that still hold a removed value are `schema/unique-safe`'s to find, and what the compiler says of values
/// `schema/nullable-access`'s. What is found waits for one signed waiver of exactly that. Reads only; run twice, it
/// looks twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnumUsage {
    /// The code, new and deployed.
    pub code: CodeAt,
    /// Who may accept what is found, such as `tech-lead`.
    pub waiver_role: String,
}

#[async_trait]
impl Step for EnumUsage {
    const KIND: &'static str = "schema.enum-usage";
    type Output = CodeChecked;

    fn summary(&self) -> String {
        format!(
            "find removed enum values in the new code and in that on `{}`",
            self.code.host
        )
    }

    fn answered_by(&self) -> Option<String> {
        Some(self.waiver_role.clone())
    }

    fn policy(&self) -> Policy {
        Policy::within(900)
    }

    async fn accepts(&self, asked: &Asked<'_>, signal: &Signal) -> Result<(), Refusal> {
        waiver::accepts(asked, signal).await
    }

    async fn run(&self, cx: &Cx) -> Result<CodeChecked, StepError> {
        let (deployed, changes, mut found, not_read) = match self.code.look(cx).await? {
            Subjects::Nothing(deployed, changes) => (Some(deployed), changes, Vec::new(), None),
            // Said, and accepted by a person, in the step before.
            Subjects::NoSchema(_) => (None, Changes::default(), Vec::new(), None),
            Subjects::OneSchema(why) => (None, Changes::default(), Vec::new(), Some(why)),
            Subjects::Both(looked) => {
                let concerned = !looked.changes.values_removed.is_empty()
                    || !looked.changes.values_added.is_empty();
                let found = if concerned {
                    looked
                        .syntax(|p| cx.progress(p), Hit::is_about_values)
                        .await?
                } else {
                    Vec::new()
                };
                let deployed = looked.versions[1].1.commit.clone();
                (Some(deployed), looked.changes.clone(), found, None)
            }
        };
        if changes.values_removed.is_empty() && changes.values_added.is_empty() {
            cx.log("the new schema changes no value of an enum that was there");
        }
        found.sort();
        found.dedup();
        for one in &found {
            cx.log(line(one));
        }
        let waiver = accepted(cx, &self.waiver_role, &found, not_read.as_deref()).await?;
        let omitted = found.len().saturating_sub(MOST);
        found.truncate(MOST);
        Ok(CodeChecked {
            deployed,
            changes,
            found,
            omitted,
            not_typed: not_read,
            waiver,
        })
    }
}
