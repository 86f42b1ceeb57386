//! Proofs on the real store: real sled, real segments, real processes that die, disks that lose power, files that rot.
//!
//! A sample runs with the other tests. All of it, which takes some minutes:
//!
//! ```sh
//! FLOW_SWEEP=full cargo test -p flow-engine --release --test journal_sweep -- --nocapture
//! ```
//!
//! Each test prints what it did: deaths, images, violations. A violation is never expected.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::PathBuf;

mod disk;
mod errors;
mod judge;
mod kills;
mod matrix;
mod power;
mod strace;
mod trace;
mod workload;

/// Everything, or a sample that fits the time of a test run.
pub(crate) fn full() -> bool {
    std::env::var("FLOW_SWEEP").is_ok_and(|v| v == "full")
}

/// Says something where a reader of the test's output sees it, captured or not.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "journal_sweep: {line}");
}

/// A folder of its own, in memory where that is possible: what is tested is the order of the calls, not the disk.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() {
        tempfile::Builder::new()
            .prefix("flow-sweep")
            .tempdir_in(memory)
            .or_else(|_| tempfile::tempdir())
            .unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// Copies a folder, keeping holes: the databases are mostly empty.
pub(crate) fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy(&item.path(), &target);
        } else {
            std::fs::copy(item.path(), target).unwrap();
        }
    }
}

/// What one sweep found.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) tried: u64,
    pub(crate) violations: Vec<String>,
    pub(crate) notes: std::collections::BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn note(&mut self, what: &str) {
        *self.notes.entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Tally) {
        self.tried += other.tried;
        self.violations.extend(other.violations);
        for (what, n) in other.notes {
            *self.notes.entry(what).or_default() += n;
        }
    }

    /// Prints the numbers and fails on a violation, and when nothing was tried.
    pub(crate) fn conclude(self, what: &str) {
        let size = if full() { "full" } else { "sample" };
        let notes: Vec<String> = self.notes.iter().map(|(k, n)| format!("{n} {k}")).collect();
        say(&format!(
            "{what} ({size}): {}, {} violations",
            notes.join(", "),
            self.violations.len()
        ));
        for violation in self.violations.iter().take(20) {
            say(&format!("VIOLATION {violation}"));
        }
        assert!(self.violations.is_empty(), "{what}: see above");
        assert!(self.tried > 0, "{what}: nothing was tried");
    }
}

/// The process that is killed; without its variable it is no child and has nothing to do.
#[test]
fn child_that_works() {
    workload::child();
}

/// The process that opens damaged journals, so that a hang or an abort in there is survived.
#[test]
fn child_that_judges() {
    judge::child();
}
