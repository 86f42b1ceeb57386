//! A plan that is damaged in every copy, computed again.
//!
//! The record that begins a run names the digest of its plan. So what the project's files and a commit give today is
//! that plan, to the byte, or it is not taken.

use flow_engine::codec;
use flow_engine::id::{Digest, RunId};
use flow_engine::journal::Journal;
use flow_engine::record::{Payload, Record};
use flow_workflows::setup::Setup;
use flow_workflows::workflow::Workflows;

use crate::diagnostic::Diagnostic;

/// So many of the newest commits are tried, beside those that the run's own records name.
const NEWEST: usize = 100;
/// And so many in all.
const MOST: usize = 300;

/// Computes the plan of a run again when it is what is missing, and stores it; in words what was done.
pub(super) async fn again(
    (workflows, setup): (&Workflows, &Setup),
    journal: &dyn Journal,
    run: &RunId,
) -> Result<Option<String>, Diagnostic> {
    let Some((wanted, named)) = missing(journal, run).await else {
        return Ok(None);
    };
    let project = setup.project()?;
    for commit in candidates(setup, named) {
        let facts = [("commit".to_owned(), commit.clone())].into();
        for workflow in workflows.all() {
            // A commit that cannot be planned today is not the one.
            let Ok(Some(plan)) = workflow.plan_again(&project, &facts) else {
                continue;
            };
            let json = plan.to_json();
            if Digest::of(&json) == wanted {
                journal.put(&json).await?;
                return Ok(Some(format!(
                    "the plan of run {run}, computed again from the configuration and commit {commit}; its digest is that \
                     on record"
                )));
            }
        }
    }
    Ok(None)
}

/// The digest of the plan, when it cannot be had, and whatever in the run's records may be a commit.
async fn missing(journal: &dyn Journal, run: &RunId) -> Option<(Digest, Vec<String>)> {
    let records = journal.read(run).await.ok()?;
    let first = codec::decode(&records.first()?.body).ok()?;
    let Record::Created {
        plan: Payload::Object(wanted),
        ..
    } = first.record
    else {
        return None;
    };
    if journal.get(&wanted).await.is_ok() {
        return None;
    }
    let named = records.iter().flat_map(|record| hex_words(&record.body));
    Some((wanted, named.collect()))
}

/// Words of exactly 40 hexadecimal digits.
fn hex_words(bytes: &[u8]) -> Vec<String> {
    let words = bytes.split(|byte| !byte.is_ascii_hexdigit());
    words
        .filter(|word| word.len() == 40)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// Commits of the repository, the likely ones first.
fn candidates(setup: &Setup, named: Vec<String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    // Where git does not answer, those that the records name are all there is.
    let newest = setup.newest_commits(NEWEST).unwrap_or_default();
    for word in named.into_iter().take(MOST).chain(newest) {
        if !all.contains(&word) && setup.commit(&word).is_ok() {
            all.push(word);
        }
    }
    all.truncate(MOST);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_forty_digits_are_taken_for_commits_and_longer_ones_are_not() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let digest = "a".repeat(64);
        let body = format!("\x01\"{commit}\" {digest} {commit}8");
        assert_eq!(hex_words(body.as_bytes()), [commit]);
    }
}
