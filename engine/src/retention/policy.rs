//! Which runs may be put away, and which may be forgotten. Pure: no store, no clock.

use std::collections::BTreeSet;
use std::time::Duration;

use super::RunSummary;
use crate::clock::Timestamp;
use crate::id::RunId;
use crate::record::Verdict;
use crate::run::{Delivery, Run};
use crate::signal::Order;

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
    use super::super::tests::summary;
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

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
}
