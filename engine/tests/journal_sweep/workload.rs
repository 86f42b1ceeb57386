//! What the killed process does, and what it said before it died.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flow_engine::id::RunId;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::journal::{Append, Journal, JournalError};

pub(crate) const RUNS: [&str; 3] = ["a", "b", "c"];
/// Records of one batch at most, so that much of a run may be there beyond what was acknowledged.
pub(crate) const BATCH: u64 = 3;
pub(crate) const DIR: &str = "FLOW_SWEEP_DIR";
pub(crate) const GOAL: &str = "FLOW_SWEEP_GOAL";

/// Small segments and frequent checkpoints: a short run goes through everything.
pub(crate) fn options() -> OpenOptions {
    OpenOptions {
        segment_bytes: 8 << 10,
        cache_bytes: 4 << 20,
        checkpoint_every: Duration::from_millis(8),
        ..OpenOptions::default()
    }
}

pub(crate) fn run(name: &str) -> RunId {
    name.parse().unwrap()
}

/// What a record says: no two are alike, and some are larger than a sector.
pub(crate) fn text(name: &str, seq: u64) -> Vec<u8> {
    let times = if seq % 7 == 3 { 60 } else { 3 };
    format!("<{name} says {seq:06}>").repeat(times).into_bytes()
}

pub(crate) fn object(name: &str, seq: u64) -> Vec<u8> {
    format!("<{name} keeps {seq:06}>").repeat(300).into_bytes()
}

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Appends until every run has `GOAL` records; says `ACK run next` after each acknowledgement.
pub(crate) fn child() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else {
        return;
    };
    let goal: u64 = std::env::var(GOAL).unwrap().parse().unwrap();
    let opened = SledJournal::open(&dir, &options());
    let (journal, report) = match opened {
        Ok(opened) => opened,
        Err(e) => {
            tell(&format!("REFUSED {e}"));
            std::process::exit(3);
        }
    };
    tell(&format!("OPENED {}", report.repaired.len()));
    for repair in &report.repaired {
        tell(&format!("REPAIR {repair:?}"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let broken = runtime.block_on(work(Arc::new(journal), goal));
    drop(runtime);
    if broken {
        std::process::exit(9);
    }
    tell("END");
}

async fn work(journal: Arc<SledJournal>, goal: u64) -> bool {
    let writers = RUNS.map(|name| {
        let journal = Arc::clone(&journal);
        tokio::spawn(async move { write_run(&journal, name, goal).await })
    });
    let mut failed = None;
    for writer in writers {
        failed = writer.await.unwrap().err().or(failed);
    }
    let Some(why) = failed else {
        return false;
    };
    tell(&format!("BROKEN {why}"));
    for name in RUNS {
        for first_seq in 0..goal {
            let batch = batch_of(name, first_seq, 1);
            if journal.append(batch).await.is_ok() {
                tell(&format!("AFTER {name} {first_seq}"));
            }
        }
    }
    true
}

fn batch_of(name: &str, first_seq: u64, count: u64) -> Append {
    Append {
        run: run(name),
        first_seq,
        epoch: 1,
        bodies: (first_seq..first_seq + count)
            .map(|s| text(name, s))
            .collect(),
    }
}

async fn write_run(journal: &SledJournal, name: &str, goal: u64) -> Result<(), JournalError> {
    let mut next = journal.head(&run(name)).await?.map_or(0, |h| h.seq + 1);
    while next < goal {
        if next % 8 == 5 {
            journal.put(&object(name, next)).await?;
            tell(&format!("OBJ {name} {next}"));
        }
        let count = 1 + next % BATCH;
        journal.append(batch_of(name, next, count)).await?;
        next += count;
        tell(&format!("ACK {name} {next}"));
    }
    Ok(())
}

/// What is promised: records per run and objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Promise {
    /// Run → number of acknowledged records.
    pub(crate) acked: BTreeMap<String, u64>,
    /// Run and number of the record that an object was stored for.
    pub(crate) objects: Vec<(String, u64)>,
}

impl Promise {
    /// Takes in one line of a child.
    pub(crate) fn hear(&mut self, line: &str) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["ACK", name, next] => {
                // The last line may have been cut by the kill.
                if let (true, Ok(next)) = (RUNS.contains(&name), next.parse()) {
                    self.acked.insert(name.to_owned(), next);
                }
            }
            ["OBJ", name, seq] => {
                let seq = seq.parse().ok().filter(|_| RUNS.contains(&name));
                self.objects.extend(seq.map(|seq| (name.to_owned(), seq)));
            }
            _ => {}
        }
    }
}

/// How a child ended.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) promise: Promise,
    pub(crate) repairs: u64,
    pub(crate) lines: Vec<String>,
    pub(crate) ended: bool,
    pub(crate) killed: bool,
    pub(crate) hung: bool,
}

impl Session {
    pub(crate) fn heard(text: &str) -> Session {
        let mut session = Session::default();
        for line in text.lines() {
            session.promise.hear(line);
            if let Some(n) = line.strip_prefix("OPENED ") {
                session.repairs = n.parse().unwrap_or(0);
            }
            session.ended |= line == "END";
            session.lines.push(line.to_owned());
        }
        session
    }

    /// The rest of the first line that starts with a word.
    pub(crate) fn said(&self, word: &str) -> Option<&str> {
        self.lines.iter().find_map(|l| l.strip_prefix(word))
    }
}

/// A closed journal in a folder, made in this process.
pub(crate) fn made(dir: &Path, goal: u64) -> Promise {
    made_until(dir, goal, || ())
}

/// The same; `last` looks at it when everything is acknowledged and it is not closed yet.
pub(crate) fn made_until(dir: &Path, goal: u64, last: impl FnOnce()) -> Promise {
    let mut promise = Promise::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (journal, _) = SledJournal::open(dir, &options()).unwrap();
    runtime.block_on(async {
        for round in 0..goal {
            for name in RUNS {
                let head = journal.head(&run(name)).await.unwrap();
                let next = head.map_or(0, |h| h.seq + 1);
                if next > round {
                    continue;
                }
                if next % 8 == 5 {
                    journal.put(&object(name, next)).await.unwrap();
                    promise.objects.push((name.to_owned(), next));
                }
                let count = 1 + next % BATCH;
                journal.append(batch_of(name, next, count)).await.unwrap();
                promise.acked.insert(name.to_owned(), next + count);
            }
        }
    });
    last();
    promise
}
