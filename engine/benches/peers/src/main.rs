//! The same steps on `flow`, on Restate and on DBOS: side by side on one disk, in turn, each durable before the next.
//!
//! W1: one run of 1,000 steps that do nothing. W2: 100 runs of 100 such steps at once. Every round starts each contender
//! with an empty store, while nothing of the others runs; who is first changes from round to round. A loop that appends
//! and calls `fdatasync` runs before, between and after. One more round, under `strace`, counts syncs and no time.
//!
//! Start it with `run.sh`, which installs the peers. `BENCH_ROUNDS` sets the number of rounds, `BENCH_DIR` where the
//! files go, `BENCH_ONLY` the peers (`Restate;DBOS on PostgreSQL`), `BENCH_SCALE` divides the steps for a quick look.
//! Results and what they mean: `docs/performance-peers.md`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark's output is its purpose"
)]

mod child;
mod contender;
mod dbos;
mod ours;
mod raw;
mod report;
mod restate;
mod syncs;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use contender::{Contender, Ground, Running, Tools};
use raw::Raw;
use report::{Entry, Sample, Work};

/// Fails with a sentence; nothing here is handled but by telling it.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// No single piece of work may take longer; the slowest seen took a third of it.
const LIMIT: Duration = Duration::from_mins(5);

/// Runs and steps of each of the two works.
struct Works {
    w1: (u64, u64),
    w2: (u64, u64),
}

impl Works {
    fn scaled(by: u64) -> Self {
        Self {
            w1: (1, 1000 / by),
            w2: (100, 100 / by),
        }
    }
}

fn number(name: &str, otherwise: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .map_err(|e| format!("{name} is no number: {e}").into()),
        Err(_) => Ok(otherwise),
    }
}

/// A few steps first: connections, a leader for each partition, compiled statements.
fn warm_up(running: &mut dyn Running) -> Result<()> {
    running.drive(1, 20, LIMIT)?;
    running.drive(10, 5, LIMIT)?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn per_second((runs, steps): (u64, u64), took: Duration) -> f64 {
    (runs * steps) as f64 / took.as_secs_f64()
}

/// Measures one contender, with the disk's speed beside it.
fn measure(contender: &dyn Contender, ground: &Ground, works: &Works) -> Result<Sample> {
    let mut running = contender.start(ground, None)?;
    warm_up(&mut *running)?;
    let before = Raw::now(&ground.dir)?;
    let w1 = running.drive(works.w1.0, works.w1.1, LIMIT)?;
    let between = Raw::now(&ground.dir)?;
    let w2 = running.drive(works.w2.0, works.w2.1, LIMIT)?;
    let after = Raw::now(&ground.dir)?;
    running.stop()?;
    let both = |a: Duration, b: Duration| 2.0 / (a + b).as_secs_f64();
    Ok(Sample {
        w1: Work {
            steps: per_second(works.w1, w1),
            append: both(before.append, between.append),
            zeros: both(before.zeros, between.zeros),
        },
        w2: Work {
            steps: per_second(works.w2, w2),
            append: both(between.append, after.append),
            zeros: both(between.zeros, after.zeros),
        },
    })
}

/// Counts the syncs per step of both works.
fn count_syncs(contender: &dyn Contender, ground: &Ground, works: &Works) -> Result<report::Syncs> {
    // Its own folder: the contender's user writes there.
    let traces = ground.fresh("traces")?;
    std::fs::set_permissions(&traces, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    let trace = traces.join("syncs");
    let mut running = contender.start(ground, Some(&trace))?;
    warm_up(&mut *running)?;
    let mut spans = Vec::new();
    for (runs, steps) in [works.w1, works.w2] {
        let from = syncs::now();
        running.drive(runs, steps, LIMIT)?;
        spans.push((from, syncs::now()));
    }
    running.stop()?;
    let trace = std::fs::read_to_string(trace)?;
    let [(w1, opened), (w2, _)] =
        [spans[0], spans[1]].map(|(from, to)| syncs::count(&trace, from, to));
    if w1.full < works.w1.1 {
        let seen = w1.full;
        return Err(format!(
            "only {seen} full syncs in W1: not every step was durable before the next"
        )
        .into());
    }
    Ok(report::Syncs {
        w1: report::per_step(&w1, works.w1),
        w2: report::per_step(&w2, works.w2),
        opened,
    })
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

fn version(program: &Path, args: &[&str]) -> String {
    child::output(Command::new(program).args(args)).unwrap_or_else(|e| e.to_string())
}

/// What runs with which settings, in the words of the programs themselves.
fn introduce(ground: &Ground, restates: &[restate::Restate]) -> Result<()> {
    let tools = &ground.tools;
    println!("- {}", version(&tools.restate, &["--version"]));
    for restate in restates {
        println!("- {}: {}", restate.name, restate.settings(ground)?);
    }
    let dbos = "import importlib.metadata as m, sys; print('DBOS', m.version('dbos'), 'on Python', sys.version.split()[0])";
    println!("- {}", version(&tools.python, &["-c", dbos]));
    println!(
        "- {}",
        version(&tools.postgres.join("postgres"), &["--version"])
    );
    println!("- {}\n", dbos::settings(ground)?);
    Ok(())
}

fn compare() -> Result<()> {
    let rounds = usize::try_from(number("BENCH_ROUNDS", 5)?)?.clamp(1, 50);
    let works = Works::scaled(number("BENCH_SCALE", 1)?.clamp(1, 20));
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let peers = named("PEERS_TOOLS").ok_or("start this with run.sh")?;
    let postgres = named("PEERS_POSTGRES").ok_or("start this with run.sh")?;
    let tools = Tools::find(&peers, &postgres)?;
    let base = named("BENCH_DIR").unwrap_or_else(std::env::temp_dir);
    let ground = Ground::new(&base, tools)?;

    let restates = [
        ("Restate", "replicated"),
        ("Restate, local loglet", "local"),
    ]
    .map(|(name, provider)| restate::Restate { name, provider });
    introduce(&ground, &restates)?;
    let [replicated, local] = restates;
    let mut contenders: Vec<&dyn Contender> = vec![&ours::Ours, &replicated, &local, &dbos::Dbos];
    if let Ok(only) = std::env::var("BENCH_ONLY") {
        let wanted: Vec<&str> = only.split(';').collect();
        contenders.retain(|c| c.name() == ours::Ours.name() || wanted.contains(&c.name()));
    }
    let mut entries: Vec<Entry> = contenders.iter().map(|c| Entry::new(c.name())).collect();
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let who = (round + turn) % contenders.len();
            let name = contenders[who].name();
            let load = load();
            let sample = measure(contenders[who], &ground, &works)
                .map_err(|e| format!("{name}, round {}: {e}", round + 1))?;
            eprintln!(
                "round {} of {rounds}, load {load}: {name}: {sample}",
                round + 1
            );
            entries[who].samples.push(sample);
        }
    }
    for (entry, contender) in entries.iter_mut().zip(&contenders) {
        let syncs = count_syncs(*contender, &ground, &works)
            .map_err(|e| format!("{}, counted round: {e}", contender.name()))?;
        eprintln!("counted: {}: {syncs:?}", contender.name());
        entry.syncs = Some(syncs);
    }
    println!("{}", report::table(&entries));
    Ok(())
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["flow-worker", dir] => ours::work(Path::new(dir)),
        ["restate-service", address] => restate::work(address.parse()?),
        _ => Err("no arguments are expected; see run.sh".into()),
    }
}
