//! A step that measures the disk.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use async_trait::async_trait;
use flow_engine::clock::{Clock as _, SystemClock};
use flow_engine::codec;
use flow_engine::record::{Entry, Payload, Record};
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::measure::id;

/// Steps of a block of W1, and syncs of the raw block beside it.
pub(crate) const BLOCK: u64 = 100;
/// What a segment adds to a commit, and to the stored form of each record in it (`journal/segment.rs`).
const FRAME: usize = 20 + 4;
const PLACE: usize = 51;

/// Bytes of what a step of a sequence commits: its own result and the intent of the next one.
pub(crate) fn step_bytes() -> usize {
    let done = Record::Done {
        step: 7,
        output: Payload::Inline(b"null".to_vec()),
    };
    let started = Record::Started {
        step: 7,
        attempt: 1,
    };
    let stored = |record| {
        let at = SystemClock.now();
        let body = codec::encode(&Entry { at, record }).expect("a record");
        PLACE + id(0).as_str().len() + body.len()
    };
    stored(done) + stored(started)
}

/// A step that measures the disk.
#[derive(Serialize, Deserialize)]
pub(crate) struct Measured;

/// What [`Measured`] writes to, and when each of its measurements began and ended.
pub(crate) struct Disk {
    pub(crate) file: File,
    at: Mutex<u64>,
    pub(crate) spans: Mutex<Vec<(Instant, Instant)>>,
}

impl Disk {
    /// A file whose blocks are there already.
    pub(crate) fn new(path: &Path) -> Disk {
        let mut file = File::create(path).expect("a file");
        let zeros = vec![0; 1 << 18];
        for _ in 0..16 {
            file.write_all(&zeros).expect("a write");
        }
        file.sync_all().expect("a sync");
        Disk {
            file,
            at: Mutex::default(),
            spans: Mutex::default(),
        }
    }

    fn measure(&self) {
        let mut at = self.at.lock().expect("no panic");
        let commit = vec![1; FRAME + step_bytes()];
        let start = Instant::now();
        for _ in 0..BLOCK {
            self.file.write_all_at(&commit, *at).expect("a write");
            self.file.sync_data().expect("a sync");
            *at += commit.len() as u64;
        }
        let mut spans = self.spans.lock().expect("no panic");
        spans.push((start, Instant::now()));
    }
}

#[async_trait]
impl Step for Measured {
    const KIND: &'static str = "bench.measured";
    type Output = ();

    fn summary(&self) -> String {
        "measures the disk".into()
    }

    async fn run(&self, cx: &Cx) -> Result<(), StepError> {
        cx.resource::<Disk>()?.measure();
        Ok(())
    }
}
