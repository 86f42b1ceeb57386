//! Counts the syncs a program makes, from what `strace` saw.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Result;

/// The calls that are counted. `openat` tells of files whose every write is a sync.
pub(crate) const CALLS: [&str; 7] = [
    "fsync",
    "fdatasync",
    "sync_file_range",
    "msync",
    "sync",
    "syncfs",
    "openat",
];

/// The wall clock, as `strace -ttt` writes it.
pub(crate) fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// What was seen in a span of time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// `fsync` and `fdatasync`: these reach the medium.
    pub(crate) full: u64,
    /// `sync_file_range`, `msync`, `sync`, `syncfs`.
    pub(crate) other: u64,
}

/// Counts the calls that began between two times, and over the whole trace the files opened with `O_SYNC` or `O_DSYNC`.
pub(crate) fn count(trace: &str, from: f64, to: f64) -> (Count, u64) {
    let mut count = Count::default();
    let mut opened = 0;
    for line in trace.lines() {
        // PID SECONDS CALL(…; the second half of an interrupted call has no such form.
        let mut words = line.split_ascii_whitespace();
        let (Some(_), Some(at), Some(call)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let (Ok(at), Some((call, _))) = (at.parse::<f64>(), call.split_once('(')) else {
            continue;
        };
        if call == "openat" {
            opened += u64::from(line.contains("O_SYNC") || line.contains("O_DSYNC"));
        } else if (from..=to).contains(&at) {
            match call {
                "fsync" | "fdatasync" => count.full += 1,
                _ if CALLS.contains(&call) => count.other += 1,
                _ => {}
            }
        }
    }
    (count, opened)
}

/// Waits until `strace` has written the end of this process.
pub(crate) fn wait_for_end(trace: &Path, pid: u32) -> Result<()> {
    let start = Instant::now();
    let pid = pid.to_string();
    while start.elapsed() < Duration::from_secs(20) {
        let text = fs::read_to_string(trace)?;
        let ended = |line: &str| line.starts_with(&pid) && line.contains("+++");
        if text.lines().rev().any(ended) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err("strace did not write the end of the process".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_call_counts_once_and_only_within_its_span() {
        let trace = "\
7 10.0 fsync(3) = 0
7 11.0 fdatasync(3 <unfinished ...>
8 11.1 sync_file_range(4, 0, 0, 7) = 0
7 11.2 <... fdatasync resumed>) = 0
8 11.3 openat(AT_FDCWD, \"x\", O_WRONLY|O_DSYNC) = 5
8 12.0 +++ exited with 0 +++
";
        let expected = Count { full: 1, other: 1 };
        assert_eq!(count(trace, 10.5, 11.5), (expected, 1));
        assert_eq!(count(trace, 9.0, 13.0).0.full, 2);
    }
}
