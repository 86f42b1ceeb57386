//! Which policy counts: today's file, for the one that a plan froze may be what has to be put right.
//!
//! A copy fails closed on a table or column that the policy does not name, so the file is corrected while the run is
//! parked, and the next try must see that. Each try therefore reads the policy anew and records its digest where it is
//! another than the plan's. One thing needs more than an edited file: a column that the plan called personal and that
//! would leave production now. That is accepted by signature, over exactly these columns.

use flow_engine::id::Digest;
use flow_engine::record::Wait;
use flow_engine::step::{Cx, StepError};
use serde::{Deserialize, Serialize};

use super::{KEEP, Policy};
use crate::means::psql::text::{some_of, table_key};
use crate::means::reports::people::Waiver;
use crate::means::signature::statement::Subject;
use crate::means::signature::waiver::waived;
use crate::means::signature::{origin, waiver};

/// A policy that was corrected after the run was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    /// Digest of the plan's policy.
    pub planned: Digest,
    /// Digest of the one that was used.
    pub used: Digest,
    /// Columns that the plan called personal and that were copied as they are.
    pub released: Vec<String>,
    /// Who accepted that.
    pub waiver: Option<Waiver>,
}

/// The policy to copy by, and how it differs from the plan's.
///
/// # Errors
/// [`StepError::Wait`] for a signature where more leaves production than was planned; [`StepError::Refuse`] where the
/// plan names nobody who may give one.
pub(super) async fn in_force(
    cx: &Cx,
    planned: &Policy,
    role: &str,
) -> Result<(Policy, Option<Corrected>), StepError> {
    let Ok(today) = cx.resource::<Policy>() else {
        return Ok((planned.clone(), None));
    };
    let today = Policy::clone(&today);
    if today == *planned {
        return Ok((today, None));
    }
    let mut corrected = Corrected {
        planned: digest(planned),
        used: digest(&today),
        released: released(planned, &today),
        waiver: None,
    };
    if !corrected.released.is_empty() {
        corrected.waiver = Some(accepted(cx, &corrected, role).await?);
    }
    Ok((today, Some(corrected)))
}

fn digest(policy: &Policy) -> Digest {
    let json = serde_json::to_vec(policy).expect("a policy is plain data");
    Digest::of(&json)
}

/// Columns that were not to leave production as they are, and would now. One that the plan's policy did not name was not
/// to leave either, but nobody had called it personal: naming it is what a correction is for.
fn released(planned: &Policy, today: &Policy) -> Vec<String> {
    let mut all = Vec::new();
    for (table, columns) in &today.tables {
        let key = table_key(table);
        let before = planned
            .tables
            .iter()
            .filter(|(name, _)| table_key(name) == key);
        let before: Vec<_> = before.map(|(_, columns)| columns).collect();
        let kept = columns.iter().filter(|(_, class)| *class == KEEP);
        for (column, _) in kept {
            let was_personal = before
                .iter()
                .any(|columns| columns.get(column).is_some_and(|class| class != KEEP));
            if was_personal {
                all.push(format!("{key}.{column}"));
            }
        }
    }
    all.sort();
    all
}

async fn accepted(cx: &Cx, corrected: &Corrected, role: &str) -> Result<Waiver, StepError> {
    let columns = some_of(&corrected.released, 10);
    if role.is_empty() {
        return Err(StepError::refuse(format!(
            "flow.data.toml lets columns leave production that this run's plan calls personal: {columns}; the plan names \
             nobody who may accept that"
        ))
        .hint("call them personal again, or cancel this run and start a new one"));
    }
    let json = serde_json::to_vec(&(&corrected.planned, &corrected.used, &corrected.released));
    let finding = Digest::of(&json.expect("plain data")).to_string();
    let people = origin::needed(cx).await?;
    let subject = (Subject::Waiver, finding.as_str());
    let found = waived(cx.run(), cx.key(), &people, subject, role, cx.now()).await;
    let found = found.map_err(|e| StepError::retry("a waiver could not be judged").because(&e))?;
    found.ok_or_else(|| {
        StepError::Wait(Wait {
            who: role.to_owned(),
            what: format!(
                "flow.data.toml was changed: columns that the plan calls personal would be copied to staging: {columns}"
            ),
            answer: Some(waiver::question(role, &finding)),
            until: None,
        })
    })
}

#[cfg(test)]
mod tests;
