//! Every run of a journal, those that cannot be read included.

use std::collections::HashSet;

use flow_engine::clock::Timestamp;
use flow_engine::codec;
use flow_engine::id::RunId;
use flow_engine::journal::{Archived, Journal, JournalError};
use flow_engine::plan::Plan;
use flow_engine::record::{Payload, Record};
use flow_engine::retention::RunSummary;
use flow_engine::run::{LoadError, Run};

use crate::diagnostic::Diagnostic;
use crate::view;

/// What to type about a damaged run.
pub(crate) const LOOK: &str = "flow journal verify";

/// All runs. One that is damaged hides no other.
#[derive(Debug)]
pub(crate) struct Past {
    /// Those of the live store that can be read, newest first: every unfinished run is among them.
    pub(crate) runs: Vec<Run>,
    /// Those that were sealed or pruned, in short.
    pub(crate) sealed: Vec<RunSummary>,
    /// The others, by name.
    pub(crate) damaged: Vec<DamagedRun>,
}

/// A run that is in the journal and cannot be read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DamagedRun {
    /// The run that cannot be read.
    pub(crate) id: RunId,
    /// What is wrong with it.
    pub(crate) why: String,
    /// Where it released to, when at least its first record and its plan can be read.
    pub(crate) environment: Option<String>,
    /// When it was started, when at least its first record can be read.
    pub(crate) created: Option<Timestamp>,
}

impl Past {
    /// Reads all runs.
    ///
    /// # Errors
    /// When the journal itself fails or does not answer; not for a run that is damaged.
    pub(crate) async fn of(journal: &dyn Journal) -> Result<Past, Diagnostic> {
        let archived = journal.archived().await?;
        let mut past = Past::live(journal, &archived).await?;
        for filed in &archived {
            match RunSummary::of_archived(filed) {
                Some(summary) => past.sealed.push(summary),
                // Written by a newer version: the run itself still says everything.
                None if !filed.pruned => {
                    if let Some(run) = past.load(journal, &filed.run).await? {
                        past.sealed.push(RunSummary::of(&run));
                    }
                }
                None => {}
            }
        }
        Ok(past)
    }

    /// Reads the runs that were not put away.
    async fn live(journal: &dyn Journal, archived: &[Archived]) -> Result<Past, Diagnostic> {
        let away: HashSet<&RunId> = archived.iter().map(|filed| &filed.run).collect();
        let mut past = Past {
            runs: Vec::new(),
            sealed: Vec::new(),
            damaged: Vec::new(),
        };
        for id in journal.runs().await? {
            if !away.contains(&id)
                && let Some(run) = past.load(journal, &id).await?
            {
                past.runs.push(run);
            }
        }
        let newest_first = |a: &Run, b: &Run| (b.created, &b.id).cmp(&(a.created, &a.id));
        past.runs.sort_by(newest_first);
        Ok(past)
    }

    async fn load(&mut self, journal: &dyn Journal, id: &RunId) -> Result<Option<Run>, Diagnostic> {
        match Run::load(journal, id).await {
            Ok(run) => Ok(Some(run)),
            Err(error) if is_damage(&error) => {
                let (created, environment) = beginning(journal, id).await;
                self.damaged.push(DamagedRun {
                    why: error.to_string(),
                    environment,
                    created,
                    id: id.clone(),
                });
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// All that can be read, in short, newest first.
    pub(crate) fn summaries(&self) -> Vec<RunSummary> {
        let mut all: Vec<_> = self.runs.iter().map(RunSummary::of).collect();
        all.extend(self.sealed.iter().cloned());
        all.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        all
    }

    /// The newest run that can be read, once the damaged ones passed a judgement. Of the runs that were put away only
    /// the age is looked at.
    pub(super) async fn newest(
        journal: &dyn Journal,
        judge: impl FnOnce(&Past, Option<Timestamp>) -> Result<(), Diagnostic>,
    ) -> Result<Run, Diagnostic> {
        let archived = journal.archived().await?;
        let mut past = Past::live(journal, &archived).await?;
        let mut newest: Option<(Timestamp, &RunId)> = None;
        for filed in &archived {
            let created = match RunSummary::created_of_archived(filed) {
                Some(created) => created,
                // Written by a newer version: the run itself still says everything.
                None if !filed.pruned => match past.load(journal, &filed.run).await? {
                    Some(run) => run.created,
                    None => continue,
                },
                None => continue,
            };
            newest = newest.max(Some((created, &filed.run)));
        }
        judge(&past, newest.map(|(created, _)| created))?;
        match (past.runs.into_iter().next(), newest) {
            (None, None) => Err(super::no_runs()),
            (Some(run), sealed) if sealed <= Some((run.created, &run.id)) => Ok(run),
            (_, Some((_, sealed))) => Ok(Run::load(journal, sealed).await?),
            (Some(run), None) => Ok(run),
        }
    }

    /// Says which runs are damaged, beside what was asked for.
    pub(crate) fn remark(&self) {
        for damaged in &self.damaged {
            view::note(&format!(
                "run {} is damaged: {}\n  {LOOK}\n",
                damaged.id, damaged.why
            ));
        }
    }

    /// The damaged run that may be the latest: none that can be read is known to be newer.
    /// `sealed` is when the newest of those that were put away was started.
    fn maybe_latest(&self, sealed: Option<Timestamp>) -> Option<&DamagedRun> {
        let newest = self.runs.iter().map(|run| run.created).chain(sealed).max();
        let may_be_newer = |damaged: &&DamagedRun| match (damaged.created, newest) {
            (Some(damaged), Some(newest)) => damaged >= newest,
            _ => true,
        };
        self.damaged.iter().find(may_be_newer)
    }

    /// The damaged run of this name; of several that may be the latest the first.
    pub(super) fn damaged(&self, named: &str) -> Option<&DamagedRun> {
        let sealed = self.sealed.iter().map(|run| run.created).max();
        match named {
            "latest" => self.maybe_latest(sealed),
            named => self.damaged.iter().find(|d| d.id.as_str() == named),
        }
    }

    /// Remarks on damaged runs, and refuses to show an older run in the place of one.
    pub(super) fn refuse_older(&self, sealed: Option<Timestamp>) -> Result<(), Diagnostic> {
        let Some(damaged) = self.maybe_latest(sealed) else {
            self.remark();
            return Ok(());
        };
        let message = format!(
            "run {} is the latest as far as can be told, and it is damaged",
            damaged.id
        );
        let mut diagnostic = Diagnostic::usage(message)
            .world("What it left the world in is not known from its records. Nothing was changed.");
        diagnostic.causes.push(damaged.why.clone());
        Err(diagnostic
            .hint(format!("{LOOK}     what is damaged"))
            .hint("flow journal repair     rebuild what can be rebuilt")
            .hint("flow list     the other runs"))
    }

    /// Refuses to take one run for the latest while another one cannot be dated.
    pub(super) fn refuse_latest(&self, _: Option<Timestamp>) -> Result<(), Diagnostic> {
        let Some(damaged) = self.damaged.first() else {
            return Ok(());
        };
        let message = format!(
            "run {} is damaged and may be the latest; name the run that is meant",
            damaged.id
        );
        let mut diagnostic = Diagnostic::usage(message);
        diagnostic.causes.push(damaged.why.clone());
        Err(diagnostic
            .hint("flow list     show the runs there are")
            .hint(LOOK))
    }

    /// Refuses a new run of an environment that a damaged run may have left in any state.
    pub(crate) fn refuse_unknown(&self, environment: &str) -> Result<(), Diagnostic> {
        let may_be_here = |run: &&DamagedRun| {
            let known = run.environment.as_deref();
            known.is_none_or(|known| known == environment)
        };
        let Some(damaged) = self.damaged.iter().find(may_be_here) else {
            return Ok(());
        };
        let message = format!(
            "run {} is damaged, and whether it left {environment} changed cannot be known",
            damaged.id
        );
        let mut diagnostic = Diagnostic::usage(message);
        diagnostic.causes.push(damaged.why.clone());
        Err(diagnostic
            .world("Nothing was started.")
            .hint(format!("{LOOK}     look at every record of every run"))
            .hint(format!(
                "flow lock {environment} --show     whether it still holds the host"
            ))
            .hint("a newer flow may have written it: try that version; or put a copy of the journal back")
            .hint(format!(
                "lost for good: look at {environment} yourself, then begin a new journal with --state DIR"
            )))
    }
}

fn is_damage(error: &LoadError) -> bool {
    matches!(
        error,
        LoadError::Codec { .. }
            | LoadError::Illegal(_)
            | LoadError::Journal(JournalError::Corrupt { .. } | JournalError::NoObject(_))
    )
}

/// What the first record says, whatever follows it: when the run was started, and where it releases to.
async fn beginning(journal: &dyn Journal, id: &RunId) -> (Option<Timestamp>, Option<String>) {
    let first = async {
        let stored = journal.read(id).await.ok()?;
        codec::decode(&stored.first()?.body).ok()
    };
    let Some(entry) = first.await else {
        return (None, None);
    };
    let environment = async {
        let Record::Created { plan, .. } = entry.record else {
            return None;
        };
        let json = match plan {
            Payload::Inline(json) => json,
            Payload::Object(digest) => journal.get(&digest).await.ok()?,
        };
        let plan: Plan = serde_json::from_slice(&json).ok()?;
        Some(plan.environment)
    };
    (Some(entry.at), environment.await)
}
