//! Durable steps per second, beside what the disk can do at that moment.
//!
//! W1: one run of 1,000 steps that do nothing. W2: 100 runs of 100 such steps at once. A step is one durable commit
//! of two records, the result of the step before and the start of this one. The baseline is a loop that appends the
//! same number of bytes to a file and calls `fdatasync`, once a step. All are run in turn in several rounds and the
//! median is taken, because a shared disk changes its speed by a factor of ten within minutes.
//!
//! Prints one line a work. `ratio` is the median over the rounds of steps/s ÷ raw/s of the same round; `pre/s` is
//! the same loop over a file of zeros. `BENCH_ROUNDS` sets the number of rounds, `BENCH_DIR` where the files go.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use flow_engine::id::RunId;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::journal::{Append, Journal};

const W1_STEPS: u64 = 1000;
const W2_RUNS: u64 = 100;
const W2_STEPS: u64 = 100;
/// Bytes of a body.
const BODY: usize = 100;
/// Bytes of a commit of two bodies as it lies in a segment, for the baseline.
const COMMIT: usize = 20 + 4 + 2 * (51 + 15 + BODY);

/// The workload: what a driver makes a journal do. To be replaced by the driver itself.
async fn run_of_steps(journal: Arc<SledJournal>, run: RunId, steps: u64) {
    for step in 0..steps {
        let batch = Append {
            run: run.clone(),
            first_seq: 2 * step,
            epoch: 1,
            bodies: vec![vec![1; BODY], vec![2; BODY]],
        };
        journal.append(batch).await.expect("the commit succeeds");
    }
}

fn name(round: usize, n: u64) -> RunId {
    format!("r-20260101-{round:02}{n:02}")
        .parse()
        .expect("this is a run's name")
}

/// Steps per second of a number of runs at once.
fn durable(dir: &Path, round: usize, runs: u64, steps: u64) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    let (journal, _) =
        SledJournal::open(&dir.join("journal"), &OpenOptions::default()).expect("it opens");
    let journal = Arc::new(journal);
    let start = Instant::now();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..runs)
            .map(|n| tokio::spawn(run_of_steps(Arc::clone(&journal), name(round, n), steps)))
            .collect();
        for task in tasks {
            task.await.expect("the run ends");
        }
    });
    let rate = per_second(runs * steps, start);
    drop(journal);
    std::fs::remove_dir_all(dir.join("journal")).expect("it can be removed");
    rate
}

fn raw_append(dir: &Path, commits: u64) -> f64 {
    let path = dir.join("raw");
    let mut file = File::create(&path).expect("a file");
    file.sync_all().expect("a sync");
    let start = Instant::now();
    for _ in 0..commits {
        file.write_all(&[1; COMMIT]).expect("a write");
        file.sync_data().expect("a sync");
    }
    let rate = per_second(commits, start);
    std::fs::remove_file(path).expect("it can be removed");
    rate
}

fn raw_prezeroed(dir: &Path, commits: u64) -> f64 {
    let path = dir.join("raw");
    let mut file = File::create(&path).expect("a file");
    file.write_all(&vec![0; 4 << 20]).expect("a write");
    file.sync_all().expect("a sync");
    let start = Instant::now();
    for n in 0..commits {
        file.write_all_at(&[1; COMMIT], n * COMMIT as u64)
            .expect("a write");
        file.sync_data().expect("a sync");
    }
    let rate = per_second(commits, start);
    std::fs::remove_file(path).expect("it can be removed");
    rate
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn per_second(count: u64, start: Instant) -> f64 {
    count as f64 / start.elapsed().as_secs_f64()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One round: each rate beside the others.
struct Round {
    raw: f64,
    pre: f64,
    w1: f64,
    w2: f64,
}

fn main() {
    let rounds = std::env::var("BENCH_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(7);
    let base = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let dir = base.join(format!("flow-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    let rounds: Vec<Round> = (0..rounds)
        .map(|n| {
            let before = raw_append(&dir, W1_STEPS / 2);
            let w1 = durable(&dir, n, 1, W1_STEPS);
            let after = raw_append(&dir, W1_STEPS / 2);
            Round {
                raw: 2.0 / (1.0 / before + 1.0 / after),
                w1,
                pre: raw_prezeroed(&dir, W1_STEPS),
                w2: durable(&dir, n, W2_RUNS, W2_STEPS),
            }
        })
        .collect();
    std::fs::remove_dir_all(&dir).expect("it can be removed");
    if std::env::var_os("BENCH_VERBOSE").is_some() {
        for r in &rounds {
            println!(
                "raw={:.0} pre={:.0} w1={:.0} w2={:.0}",
                r.raw, r.pre, r.w1, r.w2
            );
        }
    }
    let raw = median(rounds.iter().map(|r| r.raw));
    println!(
        "W1 steps/s={:.0} raw/s={raw:.0} ratio={:.2} pre/s={:.0}",
        median(rounds.iter().map(|r| r.w1)),
        median(rounds.iter().map(|r| r.w1 / r.raw)),
        median(rounds.iter().map(|r| r.pre)),
    );
    println!(
        "W2 steps/s={:.0} raw/s={raw:.0} ratio={:.2} x_w1={:.1}",
        median(rounds.iter().map(|r| r.w2)),
        median(rounds.iter().map(|r| r.w2 / r.raw)),
        median(rounds.iter().map(|r| r.w2 / r.w1)),
    );
}
