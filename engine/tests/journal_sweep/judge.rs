//! Opening a journal that went through something, and saying what is left of what was promised.
//!
//! It is done in a child of bounded time and memory: sled may loop, allocate without end or abort on what it finds.

use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use flow_engine::id::Digest;
use flow_engine::journal::sled::{OpenReport, SledJournal};
use flow_engine::journal::{Append, Journal, JournalError};

use crate::workload::{Promise, RUNS, object, options, run, text};

const JUDGE: &str = "FLOW_SWEEP_JUDGE";
/// A journal of this size opens in some 20 ms.
const PATIENCE: Duration = Duration::from_secs(30);
/// Kilobytes of address space that the judge may have.
const MEMORY: u64 = 8 << 20;

/// What became of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All that was promised is there, and appending goes on. The repairs the report named.
    Complete { repairs: Vec<String>, cut: u64 },
    /// It did not open, or not everything could be read, and said why.
    Refused(String),
    /// It opened and something that was promised is not there, or not as written; or the journal is not usable.
    Wrong(String),
    /// It did not come back, or took all memory.
    Hung,
}

/// A child that judges one journal after the other.
pub(crate) struct Judge {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Judge {
    pub(crate) fn start() -> Judge {
        let exe = std::env::current_exe().unwrap();
        let limited = format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"");
        let mut child = Command::new("sh")
            .args(["-c", &limited])
            .arg(exe)
            .args(["--exact", "child_that_judges", "--nocapture"])
            .env(JUDGE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if let Some(verdict) = line.strip_prefix("VERDICT ") {
                    let _ = send.send(verdict.to_owned());
                }
            }
        });
        Judge {
            input: child.stdin.take().unwrap(),
            child,
            lines,
        }
    }

    /// Judges the journal in a folder, which is altered by that. At most `beyond` records of a run may be there on top
    /// of the promised ones.
    pub(crate) fn judge(&mut self, dir: &Path, promise: &Promise, beyond: u64) -> Verdict {
        let runs: Vec<String> = RUNS
            .iter()
            .map(|name| promise.acked.get(*name).copied().unwrap_or(0).to_string())
            .collect();
        let objects: Vec<String> = promise
            .objects
            .iter()
            .map(|(name, seq)| format!("{name}:{seq}"))
            .collect();
        let line = format!(
            "{}\t{beyond}\t{}\t{}\n",
            dir.display(),
            runs.join(","),
            objects.join(",")
        );
        if self.input.write_all(line.as_bytes()).is_ok() {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => return parse(&line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
        self.stop();
        *self = Judge::start();
        Verdict::Hung
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.stop();
    }
}

fn parse(line: &str) -> Verdict {
    let (kind, rest) = line.split_once('\t').unwrap_or((line, ""));
    match kind {
        "complete" => {
            let (cut, repairs) = rest.split_once('\t').unwrap();
            Verdict::Complete {
                repairs: repairs
                    .split('\t')
                    .filter(|r| !r.is_empty())
                    .map(str::to_owned)
                    .collect(),
                cut: cut.parse().unwrap(),
            }
        }
        "refused" => Verdict::Refused(rest.to_owned()),
        _ => Verdict::Wrong(rest.to_owned()),
    }
}

/// The child's side.
pub(crate) fn child() {
    if std::env::var_os(JUDGE).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let parts: Vec<&str> = line.split('\t').collect();
        let [dir, beyond, counts, objects] = parts[..] else {
            panic!("{line}");
        };
        let mut promise = Promise::default();
        for (name, n) in RUNS.iter().zip(counts.split(',')) {
            promise.acked.insert((*name).to_owned(), n.parse().unwrap());
        }
        promise.objects = objects
            .split(',')
            .filter_map(|o| o.split_once(':'))
            .map(|(name, seq)| (name.to_owned(), seq.parse().unwrap()))
            .collect();
        let look = AssertUnwindSafe(|| {
            runtime.block_on(look(Path::new(dir), &promise, beyond.parse().unwrap()))
        });
        let said = catch_unwind(look).unwrap_or_else(|panic| {
            let why = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(format!("wrong\ta panic: {}", why.unwrap_or_default()))
        });
        let said = said.unwrap_or_else(|e| e).replace('\n', " ");
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nVERDICT {said}").unwrap();
        out.flush().unwrap();
    }
}

fn refused(e: &JournalError) -> String {
    format!("refused\t{e}")
}

/// Opens, reads everything, appends, closes and opens again.
async fn look(dir: &Path, promise: &Promise, beyond: u64) -> Result<String, String> {
    let dir = PathBuf::from(dir);
    let (journal, report) = opened(&dir)?;
    let heads = contents(&journal, promise, beyond).await;
    let said = report.dropped.as_ref().map(|d| format!(" [said: {d}]"));
    let heads = heads.map_err(|e| e + &said.unwrap_or_default())?;
    for (name, there) in RUNS.iter().zip(&heads) {
        let batch = Append {
            run: run(name),
            first_seq: *there,
            epoch: 1,
            bodies: vec![text(name, *there), text(name, there + 1)],
        };
        let done = journal.append(batch).await;
        done.map_err(|e| format!("wrong\tappending to {name} does not go on: {e}"))?;
    }
    drop(journal);
    let (journal, second) = opened(&dir)?;
    if !second.repaired.is_empty() {
        return Err(format!(
            "wrong\ta second look repairs again: {second:?} after {report:?}"
        ));
    }
    let mut more = promise.clone();
    for (name, there) in RUNS.iter().zip(&heads) {
        more.acked.insert((*name).to_owned(), there + 2);
    }
    contents(&journal, &more, 0).await?;
    drop(journal);
    let repairs: Vec<String> = report
        .repaired
        .iter()
        .map(|r| format!("{} from {} ({})", r.what, r.from, r.records).replace('\t', " "))
        .collect();
    Ok(format!(
        "complete\t{}\t{}",
        report.cut_bytes,
        repairs.join("\t")
    ))
}

fn opened(dir: &Path) -> Result<(SledJournal, OpenReport), String> {
    SledJournal::open(dir, &options()).map_err(|e| refused(&e))
}

/// The number of records of each run, when all that was promised is there as it was written.
async fn contents(
    journal: &SledJournal,
    promise: &Promise,
    beyond: u64,
) -> Result<Vec<u64>, String> {
    let mut heads = Vec::new();
    for name in RUNS {
        let records = journal.read(&run(name)).await.map_err(|e| refused(&e))?;
        let (there, acked) = (records.len() as u64, promise.acked[name]);
        if there < acked {
            return Err(format!(
                "wrong\trun {name}: {there} of {acked} acknowledged records"
            ));
        }
        if there > acked + beyond {
            return Err(format!(
                "wrong\trun {name}: {there} records, {acked} acknowledged"
            ));
        }
        for (seq, record) in (0..).zip(&records) {
            if record.seq != seq || record.body != text(name, seq) {
                return Err(format!(
                    "wrong\trun {name} record {seq} is not what was written"
                ));
            }
        }
        heads.push(there);
    }
    for (name, seq) in &promise.objects {
        let digest = Digest::of(&object(name, *seq));
        journal.get(&digest).await.map_err(|e| refused(&e))?;
    }
    Ok(heads)
}
