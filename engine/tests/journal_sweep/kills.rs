//! A process killed at every system call that matters, while it works and again while it recovers.

use std::path::Path;

use crate::judge::{Judge, Verdict};
use crate::strace::{self, Injection};
use crate::workload::{BATCH, Promise, Session};
use crate::{Tally, copy, full, scratch};

/// Records per run that the child writes.
const GOAL: u64 = 30;
/// More calls of one kind than any thread of the child makes.
const MOST: u64 = 3_000;

const WRITES: &str = "write,pwrite64,writev,pwritev";
const SYNCS: &str = "fdatasync,fsync,sync_file_range";
const NAMES: &str = "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat";
const SIZES: &str = "ftruncate,fallocate";
const OPENS: &str = "openat";
const ALL: &str = "write,pwrite64,fdatasync,fsync,sync_file_range,rename,renameat2,link,linkat,\
                   unlink,mkdir,ftruncate,fallocate,openat";

/// The segments by the names they have and will have.
pub(crate) fn segments(dir: &Path) -> Vec<String> {
    let wal = dir.join("wal");
    let mut paths = vec![wal.join("spare.tmp"), wal.join("rewrite.tmp"), wal.clone()];
    paths.extend((1..=9).map(|n| wal.join(format!("wal-{n:08}.seg"))));
    paths.iter().map(|p| p.display().to_string()).collect()
}

/// What is not the segments'.
pub(crate) fn others(dir: &Path) -> Vec<String> {
    [
        "",
        "LOCK",
        "checkpoint",
        "checkpoint.tmp",
        "END",
        "END.tmp",
        "FENCE",
        "sled",
        "sled/db",
        "sled/conf",
        "objects",
        "copies",
    ]
    .iter()
    .map(|name| {
        dir.join(name)
            .display()
            .to_string()
            .trim_end_matches('/')
            .to_owned()
    })
    .collect()
}

/// Kinds of calls, each swept on its own: strace counts per thread, so a kind that only one thread makes, or one
/// file that only one thread writes, is swept without a gap.
fn groups(dir: &Path) -> Vec<(&'static str, Injection)> {
    let group = |calls, paths| Injection {
        calls,
        paths,
        what: String::new(),
    };
    vec![
        ("writes to segments", group(WRITES, segments(dir))),
        ("syncs of segments", group(SYNCS, segments(dir))),
        ("writes elsewhere", group(WRITES, others(dir))),
        ("syncs elsewhere", group(SYNCS, others(dir))),
        ("names", group(NAMES, Vec::new())),
        ("sizes", group(SIZES, Vec::new())),
        ("opens", group(OPENS, [segments(dir), others(dir)].concat())),
        ("any call", group(ALL, Vec::new())),
    ]
}

/// Every k, or a few that lie further and further apart.
fn points() -> impl Iterator<Item = u64> {
    let step = |k: u64| if full() { k + 1 } else { k + 1 + k * 2 };
    std::iter::successors(Some(1), move |k| Some(step(*k))).take_while(|k| *k < MOST)
}

fn check(tally: &mut Tally, at: &str, verdict: &Verdict) {
    tally.tried += 1;
    match verdict {
        Verdict::Complete { repairs, .. } if repairs.is_empty() => {}
        other => tally.violations.push(format!("{at}: {other:?}")),
    }
}

fn sound(tally: &mut Tally, at: &str, session: &Session) {
    if session.hung || session.repairs > 0 || session.said("REFUSED").is_some() {
        tally.violations.push(format!("{at}: {:?}", session.lines));
    }
}

/// Kills at the k-th call of a group, for all k, until the child lives to its end.
fn sweep(group: usize, tally: &mut Tally) {
    let mut judge = Judge::start();
    for k in points() {
        let scratch = scratch();
        let dir = scratch.path().join("journal");
        let (name, mut fault) = groups(&dir).swap_remove(group);
        fault.what = format!("signal=SIGKILL:when={k}");
        let at = format!("{name}, call {k}");
        let session = strace::injected(&dir, GOAL, &fault, &scratch.path().join("log"));
        sound(tally, &at, &session);
        if session.killed {
            tally.note("deaths at work");
        } else {
            assert!(session.ended, "{at}: {:?}", session.lines);
        }
        if session.killed && (if full() { k % 5 == 2 } else { k == 13 }) {
            recover(&dir, &session.promise, &at, tally, &mut judge);
        }
        check(tally, &at, &judge.judge(&dir, &session.promise, BATCH));
        if !session.killed {
            break;
        }
    }
}

/// Kills at the k-th call of opening the journal that a first kill left behind.
fn recover(left: &Path, promise: &Promise, first: &str, tally: &mut Tally, judge: &mut Judge) {
    if !left.exists() {
        return;
    }
    for k in points() {
        let scratch = scratch();
        let dir = scratch.path().join("journal");
        copy(left, &dir);
        let fault = Injection {
            calls: ALL,
            paths: [segments(&dir), others(&dir)].concat(),
            what: format!("signal=SIGKILL:when={k}"),
        };
        let at = format!("{first}, then call {k} of the recovery");
        let session = strace::injected(&dir, 0, &fault, &scratch.path().join("log"));
        sound(tally, &at, &session);
        check(tally, &at, &judge.judge(&dir, promise, BATCH));
        if !session.killed {
            break;
        }
        tally.note("deaths while recovering");
    }
}

#[test]
fn a_process_killed_at_any_call_loses_nothing_it_acknowledged() {
    if !strace::usable() {
        return;
    }
    let count = groups(Path::new("/")).len();
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            scope.spawn(move || {
                let mut tally = Tally::default();
                for group in (half..count).step_by(2) {
                    sweep(group, &mut tally);
                }
                tally
            })
        });
        for half in halves {
            all.add(half.join().unwrap());
        }
    });
    all.conclude("kills");
}
