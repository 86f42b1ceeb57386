//! Durable steps per second, beside what the disk can do at that moment.
//!
//! W1: one run of 1,000 steps that do nothing, driven by the real driver: each step's result and the next one's start
//! are durable before that one begins. W2: 100 runs of 100 such steps at once. The baseline is a loop that appends as
//! many bytes as such a commit has to a file and calls `fdatasync`, once a step; half of it runs before and half after
//! the run, in several rounds, and the median is taken, because a shared disk changes its speed by a factor of ten
//! within seconds.
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

use async_trait::async_trait;
use flow_engine::clock::SystemClock;
use flow_engine::driver::{Driver, Engine, NewRun, Stop};
use flow_engine::event::Observers;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::record::Verdict;
use flow_engine::registry::Registry;
use flow_engine::signal::Actor;
use flow_engine::step::{Cx, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

const W1_STEPS: u64 = 1000;
const W2_RUNS: u64 = 100;
const W2_STEPS: u64 = 100;
/// Bytes of a commit of two short records as it lies in a segment, for the baseline.
const COMMIT: usize = 20 + 4 + 2 * (51 + 15 + 12);

/// A step that does nothing.
#[derive(Serialize, Deserialize)]
struct Nothing;

#[async_trait]
impl Step for Nothing {
    const KIND: &'static str = "bench.nothing";
    type Output = ();

    fn summary(&self) -> String {
        "nothing".into()
    }

    async fn run(&self, _cx: &Cx) -> Result<(), StepError> {
        Ok(())
    }
}

fn plan(steps: u64) -> Plan {
    let mut planner = Planner::new("bench", "1", "nowhere", "bench");
    planner.phase("all", "all", OnFailure::Park, |p| {
        for n in 0..steps {
            p.step(&format!("all/{n}"), Nothing);
        }
    });
    planner.finish().expect("a plan")
}

/// A journal in a folder of its own, and something to drive on.
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
            .enable_time()
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

    async fn begin(&self, n: u64, steps: u64) -> Driver {
        let engine = Engine {
            journal: Arc::clone(&self.journal) as _,
            registry: Arc::new(Registry::default().with::<Nothing>()),
            resources: Resources::default(),
            clock: Arc::new(SystemClock),
            observers: Observers::default(),
            notifier: None,
            version: "bench".into(),
            wait_for_people: false,
        };
        let by = Actor {
            name: "bench".into(),
            from: "here".into(),
        };
        let id = format!("r-bench-{n:04}").parse().expect("a run's name");
        let new = NewRun {
            id,
            plan: plan(steps),
            by,
            reason: String::new(),
            request: None,
        };
        let (driver, _handle) = engine.start(new).await.expect("it starts");
        driver
    }

    /// How long a number of runs of so many steps take at once, from their first step on.
    fn drive(&self, runs: u64, steps: u64) -> Duration {
        self.runtime.block_on(async {
            let mut drivers = Vec::new();
            for n in 0..runs {
                drivers.push(self.begin(n, steps).await);
            }
            let start = Instant::now();
            let tasks: Vec<_> = drivers
                .into_iter()
                .map(|d| tokio::spawn(d.drive()))
                .collect();
            for task in tasks {
                let (_, stop) = task.await.expect("no panic").expect("it drives");
                assert_eq!(stop, Stop::Finished(Verdict::Completed));
            }
            start.elapsed()
        })
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
    let half = W1_STEPS / 2;
    let mut raw = raw_append(&mut grows, half);
    let mut pre = raw_prezeroed(&zeros, 0, half);
    let one = Bench::open(dir);
    let w1 = one.drive(1, W1_STEPS);
    one.close();
    raw += raw_append(&mut grows, half);
    pre += raw_prezeroed(&zeros, half, half);
    let many = Bench::open(dir);
    let w2 = many.drive(W2_RUNS, W2_STEPS);
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
