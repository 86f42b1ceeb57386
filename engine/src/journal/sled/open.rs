//! Opening: look at both copies, decide, and only then mend.

use std::collections::BTreeMap;

use super::index::Index;
use super::look::look;
use super::places::Places;
use super::store::Store;
use super::{OpenOptions, OpenReport};
use super::{doubt, repair};
use crate::id::RunId;
use crate::journal::{Head, JournalError};

/// A journal whose copies agree.
pub(super) struct Sound {
    pub(super) heads: BTreeMap<RunId, Head>,
    pub(super) store: Store,
    pub(super) index: Index,
    pub(super) report: OpenReport,
}

/// The lock is held by the caller.
pub(super) fn open(places: &Places, options: &OpenOptions) -> Result<Sound, JournalError> {
    let looked = look(places, options)?;
    let mut report = OpenReport {
        dropped: doubt::dropped(looked.noted, &looked.index, looked.again()),
        cut_bytes: looked.index.torn() as u64,
        records_verified: looked.verdict.verified,
        ..OpenReport::default()
    };
    let (store, index, verdict) = repair::mend(places, options, looked, &mut report)?;
    report.runs = verdict.heads.len();
    Ok(Sound {
        heads: verdict.heads,
        store,
        index,
        report,
    })
}
