//! The step of the golden runs, then and now, and how a run is kept in a file.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use flow_engine::clock::Timestamp;
use flow_engine::codec;
use flow_engine::id::Digest;
use flow_engine::record::{Entry, Payload, Record, Verdict};
use flow_engine::signal::Order;
use flow_engine::step::{Cx, DecodeError, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::golden_support::{hex, wait};

/// When all of it happened; long ago, so that every retry is due.
pub(crate) const THEN: Timestamp = Timestamp(1_750_000_000_000);

/// What was done to the world, in order.
pub(crate) type Ledger = Mutex<Vec<String>>;

pub(crate) fn folder(format: u8) -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.join(format!("tests/golden/v{format}"))
}

/// The step as version 1.0.0 planned it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Then {
    pub(crate) name: String,
}

#[async_trait]
impl Step for Then {
    const KIND: &'static str = "golden.step";
    type Output = String;

    fn summary(&self) -> String {
        format!("does {}", self.name)
    }

    fn undo_in_words(&self) -> Option<String> {
        matches!(&*self.name, "change" | "after").then(|| "undo it".to_owned())
    }

    fn skippable(&self) -> bool {
        true
    }

    fn settles(&self) -> bool {
        true
    }

    async fn run(&self, _: &Cx) -> Result<String, StepError> {
        Err(StepError::fail("version 1.0.0 is gone"))
    }
}

/// The same step today: it has other parameters, and reads the old ones.
#[derive(Serialize, Deserialize)]
pub(crate) struct Now {
    title: String,
    more: More,
}

#[derive(Serialize, Deserialize)]
struct More {
    count: u8,
}

#[async_trait]
impl Step for Now {
    const KIND: &'static str = "golden.step";
    const VERSION: u16 = 2;
    type Output = String;

    fn summary(&self) -> String {
        self.title.clone()
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("undo it".into())
    }

    fn decode(version: u16, params: &serde_json::Value) -> Result<Self, DecodeError> {
        let malformed = |e: serde_json::Error| DecodeError::Malformed(e.to_string());
        match version {
            1 => Ok(Now {
                title: Then::deserialize(params).map_err(malformed)?.name,
                more: More { count: 1 },
            }),
            2 => Now::deserialize(params).map_err(malformed),
            _ => Err(DecodeError::Version {
                kind: Self::KIND.into(),
                stored: version,
                reads: Self::VERSION,
            }),
        }
    }

    async fn run(&self, cx: &Cx) -> Result<String, StepError> {
        if cx.settled() == Some(true) {
            return Ok("settled".into());
        }
        if self.title == "ask" && cx.signals().next().is_none() {
            return Err(StepError::Wait(wait("qa", None)));
        }
        let ledger = cx.resource::<Ledger>()?;
        ledger.lock().unwrap().push(format!("run {}", self.title));
        Ok("done".into())
    }

    async fn undo(&self, cx: &Cx, _: Option<String>) -> Result<String, StepError> {
        let ledger = cx.resource::<Ledger>()?;
        ledger.lock().unwrap().push(format!("undo {}", self.title));
        Ok("undone".into())
    }
}

/// A run as it was left, and what must come of it.
pub(crate) struct State {
    /// The file's name.
    pub(crate) name: &'static str,
    pub(crate) records: Vec<Record>,
    /// What a person orders before it goes on.
    pub(crate) order: Option<Order>,
    /// How it ends.
    pub(crate) ends: Verdict,
    /// What is done for that.
    pub(crate) does: Vec<&'static str>,
}

impl State {
    /// The same with another plan.
    pub(crate) fn changed(mut self, change: &dyn Fn(&mut serde_json::Value)) -> State {
        let payload = self.records[0].payload_mut().unwrap();
        let mut plan = serde_json::from_slice(payload.inline().unwrap()).unwrap();
        change(&mut plan);
        *payload = Payload::Inline(serde_json::to_vec(&plan).unwrap());
        self
    }

    /// As a golden file: what lies in the journal, line by line.
    pub(crate) fn text(&self, format: u8) -> String {
        let (mut text, mut epoch) = (String::new(), 0);
        for (seq, record) in self.records.iter().enumerate() {
            let mut record = record.clone();
            epoch += u64::from(matches!(record, Record::Acquired { .. }));
            if let Some(payload) = record.payload_mut()
                && payload.inline().unwrap().len() > Payload::INLINE_MAX
            {
                let bytes = payload.inline().unwrap().to_vec();
                writeln!(text, "object {}", hex(&bytes)).unwrap();
                *payload = Payload::Object(Digest::of(&bytes));
            }
            let entry = Entry { at: THEN, record };
            let body = match format {
                1 => postcard::to_extend(&entry, vec![1]).unwrap(),
                _ => codec::encode(&entry).unwrap(),
            };
            writeln!(text, "record {seq} {epoch} {}", hex(&body)).unwrap();
        }
        text
    }
}
