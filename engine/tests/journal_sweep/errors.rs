//! Writes and syncs that fail: the process stops, no acknowledgement follows, and what was acknowledged is there.

use std::collections::BTreeSet;
use std::path::Path;

use crate::judge::{Judge, Verdict};
use crate::kills::{others, segments};
use crate::strace::{self, Injection};
use crate::workload::{BATCH, RUNS, Session};
use crate::{Tally, full, scratch};

const GOAL: u64 = 24;
const MOST: u64 = 3_000;

struct Kind {
    name: &'static str,
    calls: &'static str,
    on_segments: bool,
    error: &'static str,
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "write to a segment",
        calls: "pwrite64",
        on_segments: true,
        error: "ENOSPC",
    },
    Kind {
        name: "write to a segment",
        calls: "pwrite64",
        on_segments: true,
        error: "EIO",
    },
    Kind {
        name: "sync of a segment",
        calls: "fdatasync,fsync",
        on_segments: true,
        error: "EIO",
    },
    Kind {
        name: "sync of a segment",
        calls: "fdatasync,fsync",
        on_segments: true,
        error: "ENOSPC",
    },
    Kind {
        name: "write elsewhere",
        calls: "write,pwrite64",
        on_segments: false,
        error: "ENOSPC",
    },
    Kind {
        name: "sync elsewhere",
        calls: "fdatasync,fsync,sync_file_range",
        on_segments: false,
        error: "EIO",
    },
];

fn points() -> impl Iterator<Item = u64> {
    let step = |k: u64| if full() { k + 1 } else { k + 1 + k * 2 };
    std::iter::successors(Some(1), move |k| Some(step(*k))).take_while(|k| *k < MOST)
}

/// What was written and not synced must not have been acknowledged. A write repeats what its block holds already, so
/// what an earlier sync of the same file made durable does not count.
fn acknowledged_in_spite(session: &Session, log: &str) -> Option<String> {
    let said = |line: &str| -> BTreeSet<(&str, u64)> {
        let all = RUNS.iter().flat_map(|name| {
            let acked = session.promise.acked.get(*name).copied().unwrap_or(0);
            (0..acked).map(move |seq| (*name, seq))
        });
        all.filter(|(name, seq)| line.contains(&format!("<{name} says {seq:06}>")))
            .collect()
    };
    let (mut written, mut durable) = (BTreeSet::new(), BTreeSet::new());
    for line in log.lines().filter(|line| line.contains(".seg>")) {
        let is_write = line.contains("pwrite64(");
        if is_write {
            written.extend(said(line));
        }
        if line.contains("(INJECTED)") {
            if let Some((name, seq)) = written.difference(&durable).next() {
                return Some(format!("{name} {seq} was acknowledged though {line:.120}"));
            }
        } else if !is_write {
            durable.append(&mut written);
        }
    }
    None
}

fn one(kind: &Kind, k: u64, onwards: bool, tally: &mut Tally, judge: &mut Judge) -> bool {
    let scratch = scratch();
    let dir = scratch.path().join("journal");
    let paths = if kind.on_segments {
        segments(&dir)
    } else {
        others(&dir)
    };
    let plus = if onwards { "+" } else { "" };
    let fault = Injection {
        calls: kind.calls,
        paths,
        what: format!("error={}:when={k}{plus}", kind.error),
    };
    let at = format!("{} on {} {k}{plus}", kind.error, kind.name);
    let log = scratch.path().join("log");
    let session = faulty(&dir, &fault, &log);
    let text = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
    if !text.contains("(INJECTED)") {
        return false;
    }
    tally.tried += 1;
    tally.note("failing calls");
    if session.hung {
        tally.violations.push(format!("{at}: it hangs"));
    }
    if let Some(after) = session.said("AFTER ") {
        tally
            .violations
            .push(format!("{at}: {after} was taken after the failure"));
    }
    if let Some(why) = acknowledged_in_spite(&session, &text) {
        tally.violations.push(format!("{at}: {why}"));
    }
    let stopped = session.said("BROKEN ").is_some() || session.said("REFUSED ").is_some();
    tally.note(match (stopped, session.ended) {
        (true, _) => "stopped by them",
        (false, true) => "that did not matter",
        (false, false) => "that ended in a panic",
    });
    if !stopped && !session.ended {
        let err = std::fs::read_to_string(log.with_extension("err")).unwrap_or_default();
        tally
            .violations
            .push(format!("{at}: it ended without a word: {err:.400}"));
    }
    match judge.judge(&dir, &session.promise, BATCH) {
        Verdict::Complete { repairs, .. } if repairs.is_empty() => {}
        other => tally.violations.push(format!("{at}: {other:?}")),
    }
    true
}

fn faulty(dir: &Path, fault: &Injection, log: &Path) -> Session {
    let mut options = vec![
        "-y".to_owned(),
        "-s100000".to_owned(),
        // Beside the calls that fail, what tells which bytes were durable when they did.
        format!("-etrace={},pwrite64,fdatasync,fsync", fault.calls),
        format!("-einject={}:{}", fault.calls, fault.what),
    ];
    for path in &fault.paths {
        options.extend(["-P".to_owned(), path.clone()]);
    }
    strace::run(dir, GOAL, &options, log)
}

#[test]
fn after_a_failed_write_or_sync_the_process_stops_and_nothing_is_lost() {
    if !strace::usable() {
        return;
    }
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let halves = [false, true].map(|onwards| {
            scope.spawn(move || {
                let (mut tally, mut judge) = (Tally::default(), Judge::start());
                for kind in &KINDS {
                    let mut struck =
                        points().map(|k| one(kind, k, onwards, &mut tally, &mut judge));
                    assert!(struck.next().unwrap(), "{}: nothing struck", kind.name);
                    while struck.next().is_some_and(|s| s) {}
                }
                tally
            })
        });
        for half in halves {
            all.add(half.join().unwrap());
        }
    });
    all.conclude("errors");
}
