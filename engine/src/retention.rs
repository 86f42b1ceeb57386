//! Which finished runs may leave the live store, and what the list says of them afterwards.
//!
//! The live store is what opening compares and hashes, so only runs that may still change belong in it: unfinished
//! ones, those with notices to deliver, and of each environment the completed run that can still be rolled back.
//! Everything else is sealed: verified, written to an archive file, and readable from there like any other run.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::codec;
use crate::id::{Digest, RunId};
use crate::journal::sled::ToSeal;
use crate::journal::{Archived, Journal, Stored};
use crate::record::{Payload, Verdict};
use crate::run::{Delivery, LoadError, Run, Status};
use crate::signal::{Actor, Order};

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
struct Dated<'a> {
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

    fn encode(&self) -> Result<Vec<u8>, codec::CodecError> {
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
        let dated = || postcard::take_from_bytes::<Dated<'_>>(rest).ok();
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

/// How long notices that were not delivered keep a run in the live store, where `flow resume` can still deliver them.
/// Without a mail server they never are.
const NOTICES_WAIT: Duration = Duration::from_hours(24);

/// Which of these runs may be sealed: over for at least `older_than`, notices delivered or given up, and not the one of their
/// environment that can still be rolled back.
pub fn sealable(runs: &[Run], now: Timestamp, older_than: Duration) -> Vec<&Run> {
    let summaries: Vec<RunSummary> = runs.iter().map(RunSummary::of).collect();
    let may = |(run, summary): &(&Run, &RunSummary)| {
        let pending = run.notices.iter().any(|n| n.delivery == Delivery::Pending);
        let told = !pending || now.since(run.updated) >= NOTICES_WAIT;
        let can_be_undone = run.accepts(&Order::Rollback).is_ok()
            && !summaries.iter().any(|other| other.overtakes(summary));
        run.is_finished() && told && !can_be_undone && now.since(run.updated) >= older_than
    };
    let all = runs.iter().zip(&summaries);
    all.filter(may).map(|(run, _)| run).collect()
}

/// What [`Upkeep::seal`](crate::journal::sled::Upkeep::seal) needs to put these runs away.
///
/// # Errors
/// When a record cannot be read.
pub async fn prepare(journal: &dyn Journal, runs: &[&Run]) -> Result<Vec<ToSeal>, LoadError> {
    let mut all = Vec::with_capacity(runs.len());
    for run in runs {
        let unreadable = |seq| {
            move |source| LoadError::Codec {
                run: run.id.clone(),
                seq,
                source,
            }
        };
        let records = journal.read(&run.id).await?;
        let objects = objects_of(&records).map_err(|(seq, e)| unreadable(seq)(e))?;
        let Some(head) = journal.head(&run.id).await? else {
            continue;
        };
        let summary = RunSummary::of(run).encode().map_err(unreadable(head.seq))?;
        all.push(ToSeal {
            run: run.id.clone(),
            head,
            summary,
            objects: objects.into_iter().collect(),
        });
    }
    Ok(all)
}

/// The stored objects that these records name.
///
/// # Errors
/// With the number of the record that cannot be read, for what it names is not known.
pub(crate) fn objects_of(records: &[Stored]) -> Result<BTreeSet<Digest>, (u64, codec::CodecError)> {
    let mut objects = BTreeSet::new();
    for stored in records {
        let entry = codec::decode(&stored.body).map_err(|e| (stored.seq, e))?;
        if let Some(Payload::Object(digest)) = entry.record.payload() {
            objects.insert(*digest);
        }
    }
    Ok(objects)
}

/// Which sealed runs are older than `older_than`, the newest `keep` of each environment apart.
pub fn prunable(
    summaries: &[RunSummary],
    sealed: &BTreeSet<RunId>,
    now: Timestamp,
    older_than: Duration,
    keep: usize,
) -> Vec<RunId> {
    let mut newest_first: Vec<&RunSummary> = summaries.iter().collect();
    newest_first.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
    let mut seen: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    let mut gone = Vec::new();
    for summary in newest_first.into_iter().filter(|s| !s.pruned) {
        let count = seen.entry(&summary.environment).or_default();
        *count += 1;
        let old = now.since(summary.updated) >= older_than;
        if *count > keep
            && old
            && sealed.contains(&summary.id)
            && !may_be_undone(summary, summaries)
        {
            gone.push(summary.id.clone());
        }
    }
    gone
}

/// Whether nothing newer stands on a completed run, so that a rollback of it may be asked for.
fn may_be_undone(summary: &RunSummary, all: &[RunSummary]) -> bool {
    summary.verdict == Some(Verdict::Completed) && !all.iter().any(|other| other.overtakes(summary))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn summary(n: i64, environment: &str, verdict: Verdict) -> RunSummary {
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

    fn pruned(all: &[RunSummary], now: Timestamp, keep: usize) -> Vec<String> {
        let sealed = all.iter().map(|s| s.id.clone()).collect();
        let gone = prunable(all, &sealed, now, DAY, keep);
        gone.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_run_that_can_be_rolled_back_is_never_pruned_however_old_it_is() {
        let all = [
            summary(1, "prod", Verdict::Completed),
            summary(2, "prod", Verdict::Completed),
            summary(3, "prod", Verdict::RolledBack),
            summary(4, "stage", Verdict::Completed),
            summary(5, "stage", Verdict::Cancelled),
        ];
        let later = Timestamp(1_000_000_000);
        assert_eq!(pruned(&all, later, 0), ["r-005", "r-003", "r-001"]);
        assert_eq!(pruned(&all, later, 2), ["r-001"]);
        assert_eq!(pruned(&all, Timestamp(10_000), 0), [] as [String; 0]);
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
