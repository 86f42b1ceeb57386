//! `flow journal`: looks after the store of runs.

use std::fmt::Write as _;

use serde::Serialize;

use flow_engine::id::Digest;
use flow_engine::journal::Journal as _;
use flow_engine::journal::sled::{OpenReport, SledJournal, Stats};
use flow_engine::run::Run;

use crate::args::Journal;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;
use crate::state::State;
use crate::store::{self, Store};
use crate::upkeep::{self, SealReport, blocking};
use crate::view;

mod plans;
mod prune;
mod repair;

/// Looks after the store of runs.
pub(crate) async fn run(session: &Session, args: Journal) -> Result<Exit, Diagnostic> {
    let state = session.state()?;
    match args {
        Journal::Verify(args) => verify(state, args.json).await,
        Journal::Repair(args) if args.dry_run => repair::rehearse(session, state, args.json).await,
        Journal::Repair(args) => repair::repair(session, state, args.json).await,
        Journal::Seal(args) => {
            let (journal, _) = upkeep::hold(state).await?;
            let done = upkeep::seal(journal, args.older_than, 1, session.now()).await?;
            Ok(show(args.json, &done, &sealed(&done), Exit::Done))
        }
        Journal::Unseal { run, json } => unseal(state, &run, json).await,
        Journal::Prune(args) => prune::prune(state, &args, session.now()).await,
        Journal::Compact(args) => compact(state, args.json).await,
        Journal::Stats(args) => {
            let (journal, _) = upkeep::hold(state).await?;
            let found = journal.stats().await?;
            Ok(show(args.json, &found, &stats(&found), Exit::Done))
        }
    }
}

fn show(json: bool, value: &impl Serialize, text: &str, exit: Exit) -> Exit {
    if json {
        view::out_json(value);
    } else {
        view::out(text);
    }
    exit
}

/// What reading everything found.
#[derive(Debug, Default, Serialize)]
struct Inspection {
    runs: usize,
    records: u64,
    repaired: Vec<String>,
    damaged: Vec<String>,
    /// Only the segments were read, not sled's copy.
    one_copy: bool,
}

/// Reads every record of every run: its hash chain, its form, and that it follows from the ones before. A journal that
/// cannot be opened in full, because its holder does not answer or nothing can be written, is verified as it lies.
async fn verify(state: &State, json: bool) -> Result<Exit, Diagnostic> {
    let mut found = Inspection::default();
    let store = match opened(state).await {
        Some((journal, report)) => {
            found.repaired = repairs(&report);
            let (done, lost) = journal.mend_objects().await?;
            found.repaired.extend(done);
            for digest in lost {
                // The archive may have it.
                if journal.get(&digest).await.is_err() {
                    found.damaged.push(lost_object(&digest));
                }
            }
            Store::Held(std::sync::Arc::new(journal))
        }
        None => Store::look(state).await?,
    };
    found.one_copy = matches!(store, Store::Lying { .. });
    found.read(&store).await?;
    let exit = if found.damaged.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    };
    Ok(show(json, &found, &in_words(&found), exit))
}

/// The journal, opened by this process; nothing where it is better asked for or only looked at.
async fn opened(state: &State) -> Option<(SledJournal, OpenReport)> {
    let dir = state.journal();
    if !dir.exists() || SledJournal::holder(&dir).is_some() {
        return None;
    }
    // Why it does not open is said by whoever looks at it next.
    store::open(&dir).await.ok()
}

impl Inspection {
    /// Reads all runs.
    async fn read(&mut self, store: &Store) -> Result<(), Diagnostic> {
        for id in store.journal().runs().await? {
            self.runs += 1;
            match Run::load(store.journal(), &id).await {
                Ok(run) => self.records += run.next_seq,
                Err(error) => self.damaged.push(format!("{id}: {error}")),
            }
        }
        Ok(())
    }
}

fn lost_object(digest: &Digest) -> String {
    format!(
        "object {digest}: both copies are damaged, and no archive file has it (`flow journal prune` removes it where no \
         run needs it)"
    )
}

fn repairs(report: &OpenReport) -> Vec<String> {
    let line = |r: &flow_engine::journal::sled::Repair| {
        let kept = r.kept.as_ref().map_or_else(String::new, |path| {
            format!("; the damaged one is kept as {}", path.display())
        });
        format!(
            "{}: {} records written anew from {}{kept}",
            r.what, r.records, r.from
        )
    };
    let dropped = report.dropped.iter().map(ToString::to_string);
    report.repaired.iter().map(line).chain(dropped).collect()
}

fn in_words(found: &Inspection) -> String {
    let mut text = format!(
        "{} records of {} runs verified\n",
        found.records, found.runs
    );
    for repaired in &found.repaired {
        let _infallible = writeln!(text, "repaired: {repaired}");
    }
    for damaged in &found.damaged {
        let _infallible = writeln!(text, "damaged: {damaged}");
    }
    if found.one_copy {
        text.push_str(
            "Only one copy was read, that of the segments, for the journal cannot be opened now.\n",
        );
    }
    text
}

fn sealed(done: &SealReport) -> String {
    if done.sealed == 0 {
        return "There is nothing to seal.\n".into();
    }
    format!(
        "{} runs with {} records sealed in {}; the live store went from {} to {}\n",
        done.sealed,
        done.records,
        size(done.archive_bytes),
        size(done.before),
        size(done.after)
    )
}

/// What compacting did.
#[derive(Debug, Serialize)]
struct Compaction {
    runs: usize,
    before: u64,
    after: u64,
}

impl From<flow_engine::journal::sled::Compacted> for Compaction {
    fn from(done: flow_engine::journal::sled::Compacted) -> Self {
        Compaction {
            runs: done.runs,
            before: done.before,
            after: done.after,
        }
    }
}

async fn compact(state: &State, json: bool) -> Result<Exit, Diagnostic> {
    let (journal, _) = upkeep::hold(state).await?;
    let upkeep = upkeep::begin(journal).await?;
    let done: Compaction = blocking(move || upkeep.compact()).await?.into();
    let text = format!(
        "the live store went from {} to {}; {} sealed runs left it\n",
        size(done.before),
        size(done.after),
        done.runs
    );
    Ok(show(json, &done, &text, Exit::Done))
}

async fn unseal(state: &State, named: &str, json: bool) -> Result<Exit, Diagnostic> {
    let (journal, _) = upkeep::hold(state).await?;
    let store = Store::Held(std::sync::Arc::new(journal));
    let run = store.find(named).await?.id;
    drop(store);
    let (journal, _) = upkeep::hold(state).await?;
    let upkeep = upkeep::begin(journal).await?;
    let id = run.clone();
    let done: Compaction = blocking(move || upkeep.unseal(&id)).await?.into();
    let text = format!("run {run} is in the live store\n");
    Ok(show(json, &done, &text, Exit::Done))
}

fn stats(s: &Stats) -> String {
    let largest = s.largest_run.as_ref().map_or_else(String::new, |run| {
        format!(
            "largest    run {run} with {} records\n",
            s.largest_run_records
        )
    });
    let aside = match s.kept_aside {
        0 => String::new(),
        n => format!("aside      {n} damaged files or folders that were kept\n"),
    };
    format!(
        "live       {} runs, {} records\n\
         sealed     {} runs, {} records in {} archive files\n\
         pruned     {} runs\n\
         segments   {} in {} files\n\
         sled       {}\n\
         objects    {}\n\
         archive    {}\n{largest}{aside}",
        s.live_runs,
        s.live_records,
        s.sealed_runs,
        s.sealed_records,
        s.archives,
        s.pruned_runs,
        size(s.segment_bytes),
        s.segments,
        size(s.sled_bytes),
        size(s.object_bytes),
        size(s.archive_bytes),
    )
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
