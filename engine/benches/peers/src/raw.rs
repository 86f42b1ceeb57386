//! The baseline: loops that write and sync, once a step.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Result;

/// Bytes of a commit of two short records as it lies in a segment of `flow`'s journal; `engine/benches/journal.rs` too.
const COMMIT: usize = 20 + 4 + 2 * (51 + 15 + 12);
/// Few, to stay close in time to what they are compared with.
const COMMITS: u32 = 300;

/// Time a commit takes on this disk now, the mean of some hundred.
#[derive(Clone, Copy)]
pub(crate) struct Raw {
    /// Into a file that grows: the file's size is written too.
    pub(crate) append: Duration,
    /// Into a file of zeros: what a store with preallocated files can reach at best.
    pub(crate) zeros: Duration,
}

impl Raw {
    /// Measures syncs and appends in that folder now.
    pub(crate) fn now(dir: &Path) -> Result<Self> {
        let path = dir.join("raw");
        let mut file = File::create(&path)?;
        let append = commits(&mut file)?;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(&vec![0; COMMIT * COMMITS as usize])?;
        file.sync_all()?;
        file.rewind()?;
        let zeros = commits(&mut file)?;
        std::fs::remove_file(path)?;
        Ok(Self { append, zeros })
    }
}

fn commits(file: &mut File) -> Result<Duration> {
    file.sync_all()?;
    let start = Instant::now();
    for _ in 0..COMMITS {
        file.write_all(&[1; COMMIT])?;
        file.sync_data()?;
    }
    Ok(start.elapsed() / COMMITS)
}
