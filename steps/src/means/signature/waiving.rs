//! Findings that somebody has to accept by signature, one by one.

use flow_engine::record::Wait;
use flow_engine::step::{Cx, StepError};

use crate::means::reports::people::Waiver;
use crate::means::signature::statement::Subject;
use crate::means::signature::waiver::{AskedWaivers, waived};
use crate::means::signature::{origin, waiver};
use flow_lint::migration::Finding;

/// The waivers of all of them, by people of a role; waits for the first that is missing.
pub(crate) async fn all(
    cx: &Cx,
    role: &str,
    findings: &[&Finding],
) -> Result<Vec<Waiver>, StepError> {
    let mut waivers = Vec::new();
    let mut open = Vec::new();
    for finding in findings {
        // Without a roster nobody can waive anything.
        let people = origin::needed(cx).await?;
        let subject = (Subject::Waiver, finding.digest.as_str());
        let found = waived(cx.run(), cx.key(), &people, subject, role, cx.now())
            .await
            .map_err(|e| StepError::unreached("a waiver could not be judged").because(&e))?;
        match found {
            Some(waiver) => waivers.push(waiver),
            None => open.push(finding),
        }
    }
    let Some(first) = open.first() else {
        return Ok(waivers);
    };
    let asked = AskedWaivers {
        role: role.to_owned(),
        findings: open.iter().map(|f| f.digest.clone()).collect(),
    };
    asked.ask(cx).await?;
    Err(StepError::Wait(Wait {
        who: role.to_owned(),
        what: format!(
            "{} warnings; next: {} {}:{}: {}",
            open.len(),
            first.rule,
            first.file,
            first.line,
            first.message.chars().take(300).collect::<String>()
        ),
        answer: Some(waiver::question(role, &first.digest)),
        until: None,
    }))
}
