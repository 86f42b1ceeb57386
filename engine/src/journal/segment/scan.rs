//! Finding the frames of a segment, and telling a torn tail from damage.

use super::{
    FRAME_HEADER, FRAME_MAGIC, HEADERS, Header, OPENING_MAGIC, decode_payload, verify_frame,
};
use crate::journal::segment::Entry;

/// What a segment file turned out to hold.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Nothing when neither copy of the header is sound: then no frame can be verified.
    pub(crate) header: Option<Header>,
    /// Both copies of the header are as written.
    pub(crate) header_sound: bool,
    /// The file is smaller than it was made.
    pub(crate) short: bool,
    /// The marks that openings of the journal left.
    pub(crate) openings: Vec<u64>,
    /// Offset behind the last sound frame or opening.
    pub(crate) end: usize,
    /// Bytes between `end` and the last one that is not zero: a write that was never acknowledged, or a damaged last
    /// frame; only the other copy can tell which.
    pub(crate) tail: usize,
    /// Offsets of frames that do not verify though a later one in the file does.
    pub(crate) damaged: Vec<usize>,
    /// What the damaged or torn parts seem to say: good enough to name a record, never to use one.
    pub(crate) suspects: Vec<Entry>,
    /// The first record of the tail, as far as one can be made out.
    pub(crate) tail_begins: Option<Entry>,
}

/// Goes through the bytes of a segment and hands each sound frame to `found` as (number, offset, payload).
pub(crate) fn scan(bytes: &[u8], mut found: impl FnMut(u64, usize, &[u8])) -> Scan {
    let Some((header, header_sound)) = Header::decode(bytes) else {
        return Scan {
            tail: bytes.len(),
            ..Scan::default()
        };
    };
    let mut scan = Scan {
        header: Some(header),
        header_sound,
        short: header.size.is_some_and(|size| (bytes.len() as u64) < size),
        end: HEADERS,
        ..Scan::default()
    };
    let mut at = HEADERS;
    let mut next = header.first_lsn;
    loop {
        match frame_at(bytes, at, header.salt, next) {
            Some((lsn, payload)) => {
                found(lsn, at, payload);
                at += FRAME_HEADER + payload.len();
                next = lsn + 1;
                scan.end = at;
            }
            None if let Some(mark) = opening_at(bytes, at, header.salt) => {
                scan.openings.push(mark);
                at += FRAME_HEADER + size_of::<u64>();
                scan.end = at;
            }
            None => match next_sound(bytes, at, header.salt, next) {
                Some(later) => {
                    scan.damaged.push(at);
                    scan.suspects.extend(suspects(&bytes[at..later]));
                    at = later;
                }
                None => break,
            },
        }
    }
    let rest = bytes.get(scan.end..).unwrap_or_default();
    scan.tail = used(rest);
    if scan.tail > 0 {
        let suspects = suspects(rest);
        scan.tail_begins = suspects.first().cloned();
        scan.suspects.extend(suspects);
    }
    scan
}

/// A frame numbered below `least` is a leftover of something else and counts as none.
fn frame_at(bytes: &[u8], at: usize, salt: u64, least: u64) -> Option<(u64, &[u8])> {
    verify_frame(FRAME_MAGIC, bytes.get(at..)?, salt).filter(|(lsn, _)| *lsn >= least)
}

fn opening_at(bytes: &[u8], at: usize, salt: u64) -> Option<u64> {
    let (_, mark) = verify_frame(OPENING_MAGIC, bytes.get(at..)?, salt)?;
    Some(u64::from_le_bytes(mark.try_into().ok()?))
}

fn next_sound(bytes: &[u8], from: usize, salt: u64, least: u64) -> Option<usize> {
    let stop = from + used(bytes.get(from..)?);
    (from + 1..stop)
        .filter(|at| bytes[*at] == FRAME_MAGIC[0] && bytes[*at..].starts_with(&FRAME_MAGIC))
        .find(|at| frame_at(bytes, *at, salt, least).is_some())
}

/// The number of bytes up to and with the last one that is not zero.
pub(crate) fn used(bytes: &[u8]) -> usize {
    const BLOCK: usize = 4096;
    let zeros = [0u8; BLOCK];
    let mut end = bytes.len();
    while end >= BLOCK && bytes[end - BLOCK..end] == zeros {
        end -= BLOCK;
    }
    bytes[..end]
        .iter()
        .rposition(|b| *b != 0)
        .map_or(0, |last| last + 1)
}

fn suspects(bytes: &[u8]) -> Vec<Entry> {
    bytes
        .get(FRAME_HEADER..)
        .map(|payload| decode_payload(payload).0)
        .unwrap_or_default()
}
