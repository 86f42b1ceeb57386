//! Writing a damaged or missing segment anew.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::wal::path_of;
use super::{Entry, HEADERS, Header, encode_frame, scan};
use crate::journal::files;
use crate::journal::segment::decode_payload;

/// A segment to write, with the frames to add to those that are still sound in it.
#[derive(Debug, Default)]
pub(crate) struct SegmentPlan {
    pub(crate) number: u64,
    /// The damaged file, unless it is missing.
    pub(crate) damaged: Option<PathBuf>,
    /// Frame number → its records, in order.
    pub(crate) add: BTreeMap<u64, Vec<Entry>>,
}

/// Writes the segment under its name, durably, and keeps the damaged file under another, which is returned.
///
/// The name never stands for less than it did: the old file gets its second name first and is then replaced in one
/// step, so a crash in between loses nothing and the next open does this again.
pub(crate) fn rewrite(dir: &Path, plan: SegmentPlan) -> io::Result<Option<PathBuf>> {
    let mut frames = plan.add;
    let mut header = None;
    if let Some(old) = &plan.damaged {
        let bytes = fs::read(old)?;
        header = scan(&bytes, |lsn, _, payload| {
            frames.insert(lsn, decode_payload(payload).0);
        })
        .header;
    }
    let mut salt = [0; 8];
    getrandom::fill(&mut salt).map_err(|e| io::Error::other(e.to_string()))?;
    let salt = u64::from_le_bytes(salt);
    let mut bytes = vec![0; HEADERS];
    for (lsn, entries) in &frames {
        encode_frame(&mut bytes, salt, *lsn, entries);
    }
    let header = Header {
        number: plan.number,
        first_lsn: frames
            .keys()
            .next()
            .copied()
            .or(header.map(|h| h.first_lsn))
            .unwrap_or(1),
        salt,
        size: Some(bytes.len() as u64),
    };
    bytes[..HEADERS].copy_from_slice(&header.encode());
    let path = path_of(dir, plan.number);
    let kept = plan.damaged.map(|old| (files::aside(&old), old));
    if let Some((kept, old)) = &kept {
        fs::hard_link(old, kept)?;
    }
    files::replace(&path, &dir.join("rewrite.tmp"), &bytes)?;
    Ok(kept.map(|(kept, _)| kept))
}
