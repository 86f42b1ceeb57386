//! Which finished runs may leave the live store, and what the list says of them afterwards.
//!
//! The live store is what opening compares and hashes, so only runs that may still change belong in it: unfinished
//! ones, those with notices to deliver, and of each environment the completed run that can still be rolled back.
//! Everything else is sealed: verified, written to an archive file, and readable from there like any other run.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::codec;
use crate::id::RunId;
use crate::journal::{Archived, Journal};
use crate::record::Verdict;
use crate::run::{LoadError, Run, Status};
use crate::signal::Actor;

mod policy;

pub use policy::{prunable, sealable};

/// A run in a few words: all that lists and the rules between runs need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The name of the run.
    pub id: RunId,
    /// The workflow: `release` or `promote`.
    pub workflow: String,
    /// The environment it changes last.
    pub environment: String,
    /// The commit, when planning recorded one.
    pub commit: String,
    /// The subject of the commit, when planning recorded one.
    pub subject: String,
    /// When it was started.
    pub created: Timestamp,
    /// When its last record was written.
    pub updated: Timestamp,
    /// Who started it.
    pub by: Actor,
    /// Why it was started; may be empty.
    pub reason: String,
    /// The starter's own key for it.
    pub request: Option<String>,
    /// How it ended; nothing when it is not over.
    pub verdict: Option<Verdict>,
    /// Its state in words, as [`Run::in_a_word`] has it.
    pub in_a_word: String,
    /// Steps that are done or were skipped.
    pub steps_done: u32,
    /// Steps in all.
    pub steps: u32,
    /// Its records are gone; only this is left.
    #[serde(skip)]
    pub pruned: bool,
}

/// How a stored [`RunSummary`] begins.
#[derive(Deserialize)]
#[expect(dead_code, reason = "they lie before what is wanted")]
struct Beginning<'a> {
    id: &'a str,
    workflow: &'a str,
    environment: &'a str,
    commit: &'a str,
    subject: &'a str,
    created: Timestamp,
}

/// The format of a stored summary.
const FORMAT: u8 = 1;

impl RunSummary {
    /// The summary of a run as it is now.
    pub fn of(run: &Run) -> RunSummary {
        let over = |s: &&crate::run::StepState| matches!(s.status, Status::Done | Status::Skipped);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        RunSummary {
            id: run.id.clone(),
            workflow: run.plan.workflow.clone(),
            environment: run.plan.environment.clone(),
            commit: run.plan.fact("commit").into(),
            subject: run.plan.fact("subject").into(),
            created: run.created,
            updated: run.updated,
            by: run.by.clone(),
            reason: run.reason.clone(),
            request: run.request.clone(),
            verdict: run.verdict(),
            in_a_word: run.in_a_word().into(),
            steps_done: count(run.steps.iter().filter(over).count()),
            steps: count(run.steps.len()),
            pruned: false,
        }
    }

    /// Whether it is over.
    pub fn is_finished(&self) -> bool {
        self.verdict.is_some()
    }

    /// Whether this run stands in the way of rolling back an older one of its environment: it is under way, or what it
    /// did is still there.
    pub fn overtakes(&self, older: &RunSummary) -> bool {
        let kept = |v| matches!(v, Verdict::Completed | Verdict::RolledBackInPart);
        self.id != older.id
            && self.environment == older.environment
            && (self.created, &self.id) > (older.created, &older.id)
            && self.verdict.is_none_or(kept)
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, codec::CodecError> {
        postcard::to_extend(self, vec![FORMAT])
            .map_err(|e| codec::CodecError::Malformed(e.to_string()))
    }

    /// What was kept of a run when it was put away; nothing when a newer version wrote it.
    pub fn of_archived(filed: &Archived) -> Option<RunSummary> {
        let mut summary = RunSummary::decode(&filed.summary)?;
        summary.pruned = filed.pruned;
        Some(summary)
    }

    /// When a run that was put away was started, without reading the rest of its summary. Nothing as in
    /// [`RunSummary::of_archived`].
    pub fn created_of_archived(filed: &Archived) -> Option<Timestamp> {
        let (format, rest) = filed.summary.split_first()?;
        let dated = || postcard::take_from_bytes::<Beginning<'_>>(rest).ok();
        (*format == FORMAT)
            .then(dated)
            .flatten()
            .map(|(dated, _)| dated.created)
    }

    fn decode(bytes: &[u8]) -> Option<RunSummary> {
        let (format, rest) = bytes.split_first()?;
        let known = *format == FORMAT;
        known.then(|| postcard::from_bytes(rest).ok()).flatten()
    }
}

/// All runs in short, newest first. Only those in the live store are read.
///
/// # Errors
/// As [`Run::load`] for the runs of the live store.
pub async fn summaries(journal: &dyn Journal) -> Result<Vec<RunSummary>, LoadError> {
    let mut all = Vec::new();
    for run in live(journal).await? {
        all.push(RunSummary::of(&run));
    }
    for filed in journal.archived().await? {
        match RunSummary::of_archived(&filed) {
            Some(summary) => all.push(summary),
            // Written by a newer version: the run itself still says everything.
            None if !filed.pruned => {
                all.push(RunSummary::of(&Run::load(journal, &filed.run).await?));
            }
            None => {}
        }
    }
    all.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
    Ok(all)
}

/// The runs of the live store, newest first: every unfinished run is among them.
///
/// # Errors
/// As [`Run::load`].
pub async fn live(journal: &dyn Journal) -> Result<Vec<Run>, LoadError> {
    let archived = journal.archived().await?;
    let sealed: BTreeSet<&RunId> = archived.iter().map(|filed| &filed.run).collect();
    let mut runs = Vec::new();
    for id in journal.runs().await? {
        if !sealed.contains(&id) {
            runs.push(Run::load(journal, &id).await?);
        }
    }
    runs.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn summary(n: i64, environment: &str, verdict: Verdict) -> RunSummary {
        let id = format!("r-{n:03}").parse().expect("a name");
        RunSummary {
            id,
            workflow: "release".into(),
            environment: environment.into(),
            commit: "abc".into(),
            subject: "a change".into(),
            created: Timestamp(n * 1000),
            updated: Timestamp(n * 1000 + 500),
            by: Actor {
                name: "anna".into(),
                from: "box".into(),
            },
            reason: "a test".into(),
            request: Some("key".into()),
            verdict: Some(verdict),
            in_a_word: "is over".into(),
            steps_done: 3,
            steps: 4,
            pruned: false,
        }
    }

    #[test]
    fn a_summary_survives_and_one_of_another_format_is_not_guessed() {
        let one = summary(1, "prod", Verdict::Completed);
        let bytes = one.encode().expect("encodes");
        assert_eq!(RunSummary::decode(&bytes), Some(one));
        assert_eq!(RunSummary::decode(&[9, 9]), None);
        assert_eq!(bytes[..7], [1, 5, b'r', b'-', b'0', b'0', b'1']);
    }
}
