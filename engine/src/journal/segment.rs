//! The write-ahead segment: the file a commit is durable in, at the disk's own speed.
//!
//! A segment is a preallocated, zeroed file, so that a commit is one write and one `fdatasync` that has no metadata to
//! wait for (measured: 1.15 × a growing file). It holds frames; one commit is one frame.
//!
//! ```text
//! file    header (64 bytes), the same header again, frames, zeros
//! header  "FLOWSEG2" number:u64 first_lsn:u64 salt:u64 size:u64 crc:u32 zeros
//! frame   "FWF1" len:u32 lsn:u64 crc:u32 payload[len]          crc over salt ‖ len ‖ lsn ‖ payload
//! opening "FWO1" 8:u32 lsn:u64 crc:u32 mark:u64                the same; lsn is that of the frame to come
//! payload count:u32 record*                                    little-endian throughout
//! record  run_len:u8 run seq:u64 epoch:u64 hash[32] body_len:u16 body
//! ```
//!
//! `size` is that of the whole file, so that a file that was cut shows; "FLOWSEG1" had none and is still read. An
//! opening is no frame and has no number: it is written when the journal is opened, and [`end`] names its mark, so that a
//! segment from before that opening shows.
//!
//! Frames are numbered without gaps over all segments (`lsn`, from 1), so a missing frame, and even a missing file,
//! shows. The salt keeps a body that looks like a frame from being taken for one. It is assumed that rewriting part of
//! a sector does not harm the bytes of it that stay the same, as `SQLite` and `PostgreSQL` assume too.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::JournalError;
use crate::id::{Digest, RunId};

mod direct;
pub(crate) mod end;
mod rewrite;
mod scan;
mod wal;

pub(crate) use direct::{BLOCK, unbuffered};
pub(crate) use rewrite::{SegmentPlan, rewrite};
pub(crate) use scan::{Scan, scan};
pub(crate) use wal::{
    FrameAt, Layout, Segment, Wal, discard_leftovers, list, number_of, prepare_spare, read_at,
};

/// What a commit writes to. A file, or in tests a file that fails.
pub trait SegmentFile: Send {
    /// Writes all bytes at an offset.
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when what was written would survive a power cut.
    fn sync_data(&mut self) -> io::Result<()>;
}

impl SegmentFile for File {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }
}

/// Bytes before the first frame: the header, twice, because without its salt no frame of the file could be verified.
pub(crate) const HEADERS: usize = 128;
const HEADER: usize = 64;
/// Without a size; no longer written.
const FILE_MAGIC_1: [u8; 8] = *b"FLOWSEG1";
const FILE_MAGIC: [u8; 8] = *b"FLOWSEG2";
const FRAME_MAGIC: [u8; 4] = *b"FWF1";
const OPENING_MAGIC: [u8; 4] = *b"FWO1";
const FRAME_HEADER: usize = 20;

/// A record on its way to disk or back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) run: RunId,
    pub(crate) seq: u64,
    pub(crate) epoch: u64,
    pub(crate) hash: Digest,
    pub(crate) body: Vec<u8>,
}

/// What the start of a segment file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) number: u64,
    pub(crate) first_lsn: u64,
    pub(crate) salt: u64,
    /// Bytes of the whole file; files of the first layout do not say.
    pub(crate) size: Option<u64>,
}

impl Header {
    /// Both copies, in the layout that fits what is known.
    pub(crate) fn encode(&self) -> [u8; HEADERS] {
        let mut bytes = [0u8; HEADERS];
        bytes[..8].copy_from_slice(&FILE_MAGIC_1);
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_lsn.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.salt.to_le_bytes());
        let mut end = 32;
        if let Some(size) = self.size {
            bytes[..8].copy_from_slice(&FILE_MAGIC);
            bytes[32..40].copy_from_slice(&size.to_le_bytes());
            end = 40;
        }
        let crc = crc32fast::hash(&bytes[..end]);
        bytes[end..end + 4].copy_from_slice(&crc.to_le_bytes());
        bytes.copy_within(..HEADER, HEADER);
        bytes
    }

    /// The header, and whether both copies were sound.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Header, bool)> {
        let one = bytes.get(..HEADER).and_then(Header::decode_one);
        let two = bytes.get(HEADER..HEADERS).and_then(Header::decode_one);
        Some((one.or(two)?, one == two))
    }

    fn decode_one(bytes: &[u8]) -> Option<Header> {
        let mut r = Reader(bytes);
        let sized = match r.array()? {
            FILE_MAGIC => true,
            FILE_MAGIC_1 => false,
            _ => return None,
        };
        let header = Header {
            number: r.u64()?,
            first_lsn: r.u64()?,
            salt: r.u64()?,
            size: if sized { Some(r.u64()?) } else { None },
        };
        let end = bytes.len() - r.0.len();
        let crc = u32::from_le_bytes(r.array()?);
        (crc == crc32fast::hash(&bytes[..end]) && r.0.iter().all(|b| *b == 0)).then_some(header)
    }
}

/// Appends the frame of one commit to `out`.
pub(crate) fn encode_frame(out: &mut Vec<u8>, salt: u64, lsn: u64, entries: &[Entry]) {
    let start = out.len();
    out.extend_from_slice(&FRAME_MAGIC);
    out.extend_from_slice(&[0; FRAME_HEADER - 4]);
    let count = u32::try_from(entries.len()).expect("a commit has fewer than 2^32 records");
    out.extend_from_slice(&count.to_le_bytes());
    for e in entries {
        let run = e.run.as_str().as_bytes();
        out.push(u8::try_from(run.len()).expect("a run's name has at most 64 bytes"));
        out.extend_from_slice(run);
        out.extend_from_slice(&e.seq.to_le_bytes());
        out.extend_from_slice(&e.epoch.to_le_bytes());
        out.extend_from_slice(&e.hash.0);
        let len = u16::try_from(e.body.len()).expect("a body has at most BODY_MAX bytes");
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&e.body);
    }
    let len = u32::try_from(out.len() - start - FRAME_HEADER).expect("a commit is under 4 GiB");
    let crc = frame_crc(salt, len, lsn, &out[start + FRAME_HEADER..]);
    out[start + 4..start + 8].copy_from_slice(&len.to_le_bytes());
    out[start + 8..start + 16].copy_from_slice(&lsn.to_le_bytes());
    out[start + 16..start + 20].copy_from_slice(&crc.to_le_bytes());
}

/// Appends the mark of an opening to `out`.
fn encode_opening(out: &mut Vec<u8>, salt: u64, lsn: u64, mark: u64) {
    let payload = mark.to_le_bytes();
    let crc = frame_crc(salt, 8, lsn, &payload);
    out.extend_from_slice(&OPENING_MAGIC);
    out.extend_from_slice(&8u32.to_le_bytes());
    out.extend_from_slice(&lsn.to_le_bytes());
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&payload);
}

/// Bytes of the frame of these records.
pub(crate) fn frame_len<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> usize {
    let record = |e: &Entry| e.run.as_str().len() + 51 + e.body.len();
    FRAME_HEADER + 4 + entries.into_iter().map(record).sum::<usize>()
}

/// An upper bound for the bytes a record takes in a frame.
pub(crate) fn frame_cost(body: &[u8]) -> usize {
    body.len() + 64 + 51
}

fn frame_crc(salt: u64, len: u32, lsn: u64, payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&salt.to_le_bytes());
    crc.update(&len.to_le_bytes());
    crc.update(&lsn.to_le_bytes());
    crc.update(payload);
    crc.finalize()
}

/// The number and payload of the frame (or opening) at the start of `bytes`, when it is what was written.
fn verify_frame(magic: [u8; 4], bytes: &[u8], salt: u64) -> Option<(u64, &[u8])> {
    let mut r = Reader(bytes);
    if r.array()? != magic {
        return None;
    }
    let len = u32::from_le_bytes(r.array()?);
    let lsn = r.u64()?;
    let crc = u32::from_le_bytes(r.array()?);
    let payload = r.take(usize::try_from(len).ok()?)?;
    (crc == frame_crc(salt, len, lsn, payload)).then_some((lsn, payload))
}

/// The records of a payload; as many as make sense when it is damaged.
pub(crate) fn decode_payload(payload: &[u8]) -> (Vec<Entry>, bool) {
    let mut r = Reader(payload);
    let mut entries = Vec::new();
    let Some(count) = r.array().map(u32::from_le_bytes) else {
        return (entries, false);
    };
    for _ in 0..count {
        match decode_record(&mut r) {
            Some(entry) => entries.push(entry),
            None => return (entries, false),
        }
    }
    let whole = r.0.is_empty();
    (entries, whole)
}

fn decode_record(r: &mut Reader<'_>) -> Option<Entry> {
    let [len] = r.array()?;
    let run = std::str::from_utf8(r.take(len.into())?).ok()?;
    Some(Entry {
        run: run.parse().ok()?,
        seq: r.u64()?,
        epoch: r.u64()?,
        hash: Digest(r.array()?),
        body: {
            let len = u16::from_le_bytes(r.array()?);
            r.take(len.into())?.to_vec()
        },
    })
}

/// Reads numbers off the front of a slice.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
}

/// The name of a segment's file, for people.
pub(crate) fn path_name(path: &std::path::Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// A file that could not be read or written while the journal was being opened.
pub(crate) fn unusable(path: &std::path::Path, why: &io::Error) -> JournalError {
    JournalError::Unusable {
        path: path.display().to_string(),
        why: format!("{why}; nothing runs until this is mended"),
    }
}

#[cfg(test)]
mod tests;
