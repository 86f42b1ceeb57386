//! W1 and W2.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow_engine::driver::Stop;
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::record::Verdict;
use flow_engine::step::Resources;
use tokio::sync::{mpsc, oneshot};

use crate::common::{self, Nothing};
use crate::disk::{BLOCK, Disk, Measured, step_bytes};
use crate::measure::{median, milliseconds, peak_memory, per_second, rounds};

const RUNS: u64 = 100;
const STEPS: u64 = 100;

/// W1: blocks of steps and blocks of plain syncs in turn, within runs of 1,000 steps.
pub(crate) fn alone(dir: &Path) -> String {
    let runtime = common::runtime();
    let journal = common::open(&dir.join("alone"));
    let mut pairs: Vec<(f64, f64)> = Vec::new();
    for n in 0..rounds(7) {
        let disk = Disk::new(&dir.join("raw"));
        let resources = Resources::default().with(disk);
        let engine = common::engine(&journal, resources.clone());
        runtime.block_on(async {
            let driver = common::begin(engine, n as u64, measured_plan()).await;
            let ended = tokio::spawn(driver.drive()).await.expect("no panic");
            let (_, stop) = ended.expect("it drives");
            assert_eq!(stop, Stop::Finished(Verdict::Completed));
        });
        let disk = resources.get::<Disk>().expect("it is there");
        let spans = disk.spans.lock().expect("no panic");
        // Between two measurements lie the commits of a hundred steps and of the first one's own result.
        pairs.extend(spans.windows(2).map(|w| {
            let raw = (w[0].1 - w[0].0 + (w[1].1 - w[1].0)) / 2;
            let ours = w[1].0 - w[0].1;
            (per_second(BLOCK + 1, ours), per_second(BLOCK, raw))
        }));
    }
    format!(
        "W1 steps/s={:.0} raw/s={:.0} ratio={:.2} rss_mb={:.0}",
        median(pairs.iter().map(|p| p.0)),
        median(pairs.iter().map(|p| p.1)),
        median(pairs.iter().map(|p| p.0 / p.1)),
        peak_memory(),
    )
}

/// A measurement, a hundred steps, a measurement, and so on: 1,000 steps.
fn measured_plan() -> Plan {
    let mut planner = common::planner();
    planner.phase("all", "all", OnFailure::Park, |p| {
        for block in 0..10 {
            p.step(&format!("all/disk-{block}"), Measured);
            for n in 0..BLOCK {
                p.step(&format!("all/{block}-{n}"), Nothing);
            }
        }
        p.step("all/disk-10", Measured);
    });
    planner.finish().expect("a plan")
}

/// W2: many runs at once, beside tasks that hand plain bytes to a thread.
pub(crate) fn together(dir: &Path) -> String {
    let mut pairs = Vec::new();
    for round in 0..rounds(9) {
        let before = raw_group(&dir.join("group"));
        let ours = drive_all(&dir.join(format!("together-{round}")));
        let after = raw_group(&dir.join("group"));
        let count = RUNS * STEPS;
        pairs.push((
            per_second(count, ours),
            per_second(count, (before + after) / 2),
        ));
    }
    format!(
        "W2 steps/s={:.0} raw/s={:.0} ratio={:.2} rss_mb={:.0}",
        median(pairs.iter().map(|p| p.0)),
        median(pairs.iter().map(|p| p.1)),
        median(pairs.iter().map(|p| p.0 / p.1)),
        memory(&dir.join("memory")),
    )
}

/// The most memory that a process needs which does nothing else.
fn memory(dir: &Path) -> f64 {
    let exe = std::env::current_exe().expect("it has a path");
    let done = Command::new(exe).arg("--memory-w2").arg(dir).output();
    let said = done.expect("it starts").stdout;
    let said = String::from_utf8_lossy(&said);
    said.trim().parse().expect("a number")
}

/// The process whose memory is measured.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub(crate) fn child(dir: &Path) {
    drive_all(dir);
    println!("{}", peak_memory());
}

fn drive_all(dir: &Path) -> Duration {
    let runtime = common::runtime();
    let journal = common::open(dir);
    let took = runtime.block_on(async {
        let mut drivers = Vec::new();
        for n in 0..RUNS {
            let engine = common::engine(&journal, Resources::default());
            drivers.push(common::begin(engine, n, common::plan(STEPS)).await);
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
    });
    drop(journal);
    std::fs::remove_dir_all(dir).expect("it can be removed");
    took
}

type Handed = (Vec<u8>, oneshot::Sender<()>);

/// The baseline of W2: what gathers is written at once and synced once.
fn raw_group(path: &Path) -> Duration {
    let disk = Disk::new(path);
    let (send, mut receive) = mpsc::channel::<Handed>(1024);
    let committer = std::thread::spawn(move || {
        let mut at = 0;
        while let Some((mut bytes, first)) = receive.blocking_recv() {
            let mut waiting = vec![first];
            while let Ok((more, reply)) = receive.try_recv() {
                bytes.extend(more);
                waiting.push(reply);
            }
            disk.file.write_all_at(&bytes, at).expect("a write");
            disk.file.sync_data().expect("a sync");
            at += bytes.len() as u64;
            for reply in waiting {
                let _gone = reply.send(());
            }
        }
    });
    let runtime = common::runtime();
    let records = step_bytes();
    let took = runtime.block_on(async {
        let start = Instant::now();
        let send = Arc::new(send);
        let tasks: Vec<_> = (0..RUNS)
            .map(|_| {
                let send = Arc::clone(&send);
                tokio::spawn(async move {
                    for _ in 0..STEPS {
                        let (reply, done) = oneshot::channel();
                        send.send((vec![1; records], reply))
                            .await
                            .expect("it is taken");
                        done.await.expect("it is written");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        start.elapsed()
    });
    committer.join().expect("no panic");
    assert!(milliseconds(took) > 0.0);
    took
}
