//! From runs that may be put away to what their archive will hold.

use std::collections::BTreeSet;

use super::ToSeal;
use crate::codec;
use crate::id::Digest;
use crate::journal::{Journal, Stored};
use crate::record::Payload;
use crate::retention::RunSummary;
use crate::run::{LoadError, Run};

/// What [`Upkeep::seal`](super::Upkeep::seal) needs to put these runs away.
///
/// # Errors
/// When a record cannot be read.
pub async fn prepare(journal: &dyn Journal, runs: &[&Run]) -> Result<Vec<ToSeal>, LoadError> {
    let mut all = Vec::with_capacity(runs.len());
    for run in runs {
        let unreadable = |seq| {
            move |source| LoadError::Codec {
                run: run.id.clone(),
                seq,
                source,
            }
        };
        let records = journal.read(&run.id).await?;
        let objects = objects_of(&records).map_err(|(seq, e)| unreadable(seq)(e))?;
        let Some(head) = journal.head(&run.id).await? else {
            continue;
        };
        let summary = RunSummary::of(run).encode().map_err(unreadable(head.seq))?;
        all.push(ToSeal {
            run: run.id.clone(),
            head,
            summary,
            objects: objects.into_iter().collect(),
        });
    }
    Ok(all)
}

/// The stored objects that these records name.
///
/// # Errors
/// With the number of the record that cannot be read, for what it names is not known.
pub(crate) fn objects_of(records: &[Stored]) -> Result<BTreeSet<Digest>, (u64, codec::CodecError)> {
    let mut objects = BTreeSet::new();
    for stored in records {
        let entry = codec::decode(&stored.body).map_err(|e| (stored.seq, e))?;
        if let Some(Payload::Object(digest)) = entry.record.payload() {
            objects.insert(*digest);
        }
    }
    Ok(objects)
}
