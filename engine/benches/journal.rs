//! Durable steps per second, beside what the disk can do at that moment.
//!
//! W1: one run of 1,000 steps that do nothing. W2: 100 runs of 100 such steps at once. A step is one durable commit
//! of two records, the result of the step before and the start of this one. The baseline is a loop that appends the
//! same number of bytes to a file and calls `fdatasync`, once a step. All take turns in slices of 100 commits, in several
//! rounds, and the median is taken, because a shared disk changes its speed by a factor of ten within seconds.
//!
//! Prints one line a work. `ratio` is the median over the rounds of steps/s ÷ raw/s of the same round; `pre/s` and
//! `to_pre` say the same of the loop over a file of zeros. `BENCH_ROUNDS` sets the number of rounds, `BENCH_DIR` where the files go.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark's output is its purpose"
)]

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow_engine::id::RunId;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::journal::{Append, Journal};

const W1_STEPS: u64 = 1000;
/// Parts of a round, between which the things compared take turns.
const SLICES: u64 = 10;
const W2_RUNS: u64 = 100;
const W2_STEPS: u64 = 100;
/// Bytes of a body.
const BODY: usize = 100;
/// Bytes of a commit of two bodies as it lies in a segment, for the baseline.
const COMMIT: usize = 20 + 4 + 2 * (51 + 15 + BODY);

/// The workload: what a driver makes a journal do. To be replaced by the driver itself.
async fn run_of_steps(journal: Arc<SledJournal>, run: RunId, from: u64, count: u64) {
    for step in from..from + count {
        let batch = Append {
            run: run.clone(),
            first_seq: 2 * step,
            epoch: 1,
            bodies: vec![vec![1; BODY], vec![2; BODY]],
        };
        journal.append(batch).await.expect("the commit succeeds");
    }
}

fn name(runs: u64, n: u64) -> RunId {
    let name = format!("r-2026010{}-{n:04}", runs % 7);
    name.parse().expect("this is a run's name")
}

/// A journal in a folder of its own, and something to run callers on.
struct Bench {
    runtime: tokio::runtime::Runtime,
    journal: Arc<SledJournal>,
    dir: PathBuf,
}

impl Bench {
    fn open(dir: &Path) -> Bench {
        let dir = dir.join("journal");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .expect("a runtime");
        let (journal, _) = SledJournal::open(&dir, &OpenOptions::default()).expect("it opens");
        let journal = Arc::new(journal);
        Bench {
            runtime,
            journal,
            dir,
        }
    }

    /// How long a number of runs take that go on from a step at once.
    fn steps(&self, runs: u64, from: u64, count: u64) -> Duration {
        let start = Instant::now();
        self.runtime.block_on(async {
            let tasks: Vec<_> = (0..runs)
                .map(|n| {
                    let journal = Arc::clone(&self.journal);
                    tokio::spawn(run_of_steps(journal, name(runs, n), from, count))
                })
                .collect();
            for task in tasks {
                task.await.expect("the run ends");
            }
        });
        start.elapsed()
    }

    fn close(self) {
        drop(self.journal);
        std::fs::remove_dir_all(self.dir).expect("it can be removed");
    }
}

/// The baseline: appends and syncs.
fn raw_append(file: &mut File, commits: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..commits {
        file.write_all(&[1; COMMIT]).expect("a write");
        file.sync_data().expect("a sync");
    }
    start.elapsed()
}

/// The same into a file whose blocks are there already.
fn raw_prezeroed(file: &File, from: u64, commits: u64) -> Duration {
    let start = Instant::now();
    for n in from..from + commits {
        let at = n * COMMIT as u64;
        file.write_all_at(&[1; COMMIT], at).expect("a write");
        file.sync_data().expect("a sync");
    }
    start.elapsed()
}

fn new_file(path: &Path, zeros: usize) -> File {
    let mut file = File::create(path).expect("a file");
    file.write_all(&vec![0; zeros]).expect("a write");
    file.sync_all().expect("a sync");
    file
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Rates of one round, measured in turn.
struct Round {
    raw: f64,
    pre: f64,
    w1: f64,
    w2: f64,
}

fn round(dir: &Path) -> Round {
    let mut grows = new_file(&dir.join("raw"), 0);
    let zeros = new_file(&dir.join("pre"), 4 << 20);
    let [mut raw, mut pre, mut w1, mut w2] = [Duration::ZERO; 4];
    let one = Bench::open(dir);
    for slice in 0..SLICES {
        let (from, count) = (slice * W1_STEPS / SLICES, W1_STEPS / SLICES);
        raw += raw_append(&mut grows, count);
        w1 += one.steps(1, from, count);
        pre += raw_prezeroed(&zeros, from, count);
    }
    one.close();
    let many = Bench::open(dir);
    for slice in 0..SLICES {
        let (from, count) = (slice * W2_STEPS / SLICES, W2_STEPS / SLICES);
        w2 += many.steps(W2_RUNS, from, count);
    }
    many.close();
    Round {
        raw: per_second(W1_STEPS, raw),
        pre: per_second(W1_STEPS, pre),
        w1: per_second(W1_STEPS, w1),
        w2: per_second(W2_RUNS * W2_STEPS, w2),
    }
}

fn main() {
    let rounds = std::env::var("BENCH_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(9);
    let base = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let dir = base.join(format!("flow-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    let rounds: Vec<Round> = (0..rounds).map(|_| round(&dir)).collect();
    std::fs::remove_dir_all(&dir).expect("it can be removed");
    if std::env::var_os("BENCH_VERBOSE").is_some() {
        for Round { raw, pre, w1, w2 } in &rounds {
            eprintln!("raw={raw:.0} pre={pre:.0} w1={w1:.0} w2={w2:.0}");
        }
    }
    let raw = median(rounds.iter().map(|r| r.raw));
    println!(
        "W1 steps/s={:.0} raw/s={raw:.0} ratio={:.2} pre/s={:.0} to_pre={:.2}",
        median(rounds.iter().map(|r| r.w1)),
        median(rounds.iter().map(|r| r.w1 / r.raw)),
        median(rounds.iter().map(|r| r.pre)),
        median(rounds.iter().map(|r| r.w1 / r.pre)),
    );
    println!(
        "W2 steps/s={:.0} raw/s={raw:.0} ratio={:.2} x_w1={:.1}",
        median(rounds.iter().map(|r| r.w2)),
        median(rounds.iter().map(|r| r.w2 / r.raw)),
        median(rounds.iter().map(|r| r.w2 / r.w1)),
    );
}
