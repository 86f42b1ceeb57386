//! The stored form of a record: an envelope that says what is in it, then postcard.
//!
//! ```text
//! format 2    2 · tag · layout · length of the body (2 bytes) · CRC-32 (4 bytes) · body     little-endian
//! format 1    1 · body
//! ```
//!
//! postcard does not describe itself: a variant put in the middle, a dropped field or two that changed places decode to
//! something else without an error, and bytes left over are ignored unless looked at. Hence the tag and the layout: what
//! was decoded must be the kind of record that was written, in a layout this version knows. The checksum covers
//! everything after the format. `tests/golden/` keeps the bytes and the layouts of every format, and a test compares them.

use serde::Deserialize;

use crate::clock::Timestamp;
use crate::record::{Entry, FirstWait, Record};

mod shape;

/// The format this version writes. It reads all from 1 on.
pub const FORMAT: u8 = 2;

/// Bytes before the body.
const HEADER: usize = 9;

/// Most records are no longer than this: they are written without growing a buffer.
const USUAL: usize = 32;

/// Why stored bytes are not a record that this version can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Written by a newer version.
    #[error("the record has format {0}, this flow reads up to {FORMAT}; use a newer flow")]
    Newer(u8),
    /// A kind of record that only newer versions write.
    #[error("the record is of kind {0}, which this flow does not know; use a newer flow")]
    UnknownRecord(u8),
    /// A kind of record whose content has changed since.
    #[error(
        "the record `{record}` has layout {layout}, this flow reads up to {reads}; use a newer flow"
    )]
    NewerLayout {
        /// Which kind of record it is.
        record: &'static str,
        /// The layout it was written in.
        layout: u8,
        /// The newest this version reads.
        reads: u8,
    },
    /// No record at all.
    #[error("the bytes are no record: {0}")]
    Malformed(String),
}

fn malformed(why: impl Into<String>) -> CodecError {
    CodecError::Malformed(why.into())
}

/// The bytes of an entry.
pub fn encode(entry: &Entry) -> Result<Vec<u8>, CodecError> {
    let shape = shape::of(&entry.record);
    let mut bytes = Vec::with_capacity(USUAL);
    bytes.resize(HEADER, 0);
    bytes = postcard::to_extend(entry, bytes).map_err(|e| malformed(e.to_string()))?;
    let length = u16::try_from(bytes.len() - HEADER)
        .map_err(|_| malformed("its body is longer than an envelope holds"))?;
    bytes[..3].copy_from_slice(&[FORMAT, shape.tag, shape.layout]);
    bytes[3..5].copy_from_slice(&length.to_le_bytes());
    let sum = checksum(&bytes);
    bytes[5..HEADER].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

/// Over everything but the format and itself.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&bytes[1..5]);
    sum.update(&bytes[HEADER..]);
    sum.finalize()
}

/// The entry in some bytes, all of which must be used.
pub fn decode(bytes: &[u8]) -> Result<Entry, CodecError> {
    match bytes.first() {
        None => Err(malformed("they are empty")),
        Some(1) => body(&bytes[1..], 1),
        Some(2) => second(bytes),
        Some(0) => Err(malformed("format 0 was never written")),
        Some(newer) => Err(CodecError::Newer(*newer)),
    }
}

fn second(bytes: &[u8]) -> Result<Entry, CodecError> {
    let Some((&[_, tag, layout, l0, l1, s0, s1, s2, s3], rest)) =
        bytes.split_first_chunk::<HEADER>()
    else {
        return Err(malformed("they end within the envelope"));
    };
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    if rest.len() != length {
        return Err(malformed(format!(
            "{} bytes follow the envelope, which names {length}",
            rest.len()
        )));
    }
    if checksum(bytes) != u32::from_le_bytes([s0, s1, s2, s3]) {
        return Err(malformed("the checksum does not fit"));
    }
    let record = shape::name(tag).ok_or(CodecError::UnknownRecord(tag))?;
    let reads = shape::newest(tag);
    if layout > reads {
        return Err(CodecError::NewerLayout {
            record,
            layout,
            reads,
        });
    }
    if layout == 0 {
        return Err(malformed("layout 0 was never written"));
    }
    let entry = body(rest, layout)?;
    let found = shape::of(&entry.record).tag;
    if found == tag {
        Ok(entry)
    } else {
        Err(malformed(format!(
            "the envelope names `{record}`, the body is `{}`",
            shape::name(found).unwrap_or("?")
        )))
    }
}

/// What every body begins with.
#[derive(Deserialize)]
struct Head {
    at: Timestamp,
    variant: u32,
}

/// The rest of a `Waiting` of layout 1, whose question names a command line.
#[derive(Deserialize)]
struct FirstWaiting {
    step: u32,
    wait: FirstWait,
    seen: u32,
}

fn body(bytes: &[u8], layout: u8) -> Result<Entry, CodecError> {
    let failed = |e: postcard::Error| malformed(e.to_string());
    let (entry, rest) = match postcard::take_from_bytes::<Head>(bytes) {
        Ok((head, rest)) if layout == 1 && head.variant == u32::from(shape::WAITING) => {
            let (read, rest): (FirstWaiting, _) =
                postcard::take_from_bytes(rest).map_err(failed)?;
            let record = Record::Waiting {
                step: read.step,
                wait: read.wait.into(),
                seen: read.seen,
            };
            (
                Entry {
                    at: head.at,
                    record,
                },
                rest,
            )
        }
        _ => postcard::take_from_bytes(bytes).map_err(failed)?,
    };
    if rest.is_empty() {
        Ok(entry)
    } else {
        Err(malformed(format!("{} bytes are left over", rest.len())))
    }
}

#[cfg(test)]
mod tests;
