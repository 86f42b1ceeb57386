//! What the benchmarks measure with, and how they sum it up.

use std::path::PathBuf;
use std::time::Duration;

use flow_engine::id::RunId;

/// The folder that holds what cargo built.
pub(crate) fn target() -> PathBuf {
    let exe = std::env::current_exe().expect("it has a path");
    let target = exe.ancestors().nth(3).expect("target/release/deps/bench");
    target.to_owned()
}

/// The binary beside the benchmarks, when it was built.
pub(crate) fn flow() -> Option<PathBuf> {
    let flow = target().join("release/flow");
    flow.exists().then_some(flow)
}

pub(crate) fn rounds(default: usize) -> usize {
    let set = std::env::var("BENCH_ROUNDS").ok();
    set.and_then(|n| n.parse().ok()).unwrap_or(default)
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
pub(crate) fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(crate) fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

/// The most memory this process ever used, in MB of 10^6 bytes.
pub(crate) fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
    kib.unwrap_or(f64::NAN) * 1024.0 / 1e6
}

pub(crate) fn id(n: u64) -> RunId {
    format!("r-bench-{n:05}").parse().expect("a run's name")
}
