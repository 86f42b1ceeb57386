//! The stored form of a record: one format byte, then postcard.
//!
//! postcard does not describe itself: reordered variants decode to something else without an error, and bytes left
//! over are ignored unless looked at. Hence the format byte, the check that every byte was used, and golden bytes of
//! every released format in the tests.

use crate::record::Entry;

/// The format this version writes.
pub const FORMAT: u8 = 1;

/// Why stored bytes are not a record that this version can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Written by a newer version.
    #[error("the record has format {0}, this flow reads up to {FORMAT}; use a newer flow")]
    Newer(u8),
    /// No record at all.
    #[error("the bytes are no record: {0}")]
    Malformed(String),
}

/// The bytes of an entry.
pub fn encode(entry: &Entry) -> Result<Vec<u8>, CodecError> {
    postcard::to_extend(entry, vec![FORMAT]).map_err(|e| CodecError::Malformed(e.to_string()))
}

/// The entry in some bytes, all of which must be used.
pub fn decode(bytes: &[u8]) -> Result<Entry, CodecError> {
    let malformed = |why: String| CodecError::Malformed(why);
    let (format, body) = bytes
        .split_first()
        .ok_or_else(|| malformed("they are empty".into()))?;
    if *format != FORMAT {
        return Err(CodecError::Newer(*format));
    }
    let (entry, rest) = postcard::take_from_bytes(body).map_err(|e| malformed(e.to_string()))?;
    if rest.is_empty() {
        Ok(entry)
    } else {
        Err(malformed(format!("{} bytes are left over", rest.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::record::{Payload, Record};

    fn done() -> Entry {
        let record = Record::Done {
            step: 3,
            output: Payload::Inline(b"{}".to_vec()),
        };
        Entry {
            at: Timestamp(1_795_000_000_000),
            record,
        }
    }

    #[test]
    fn format_1_is_what_it_was() {
        let golden = [1, 128, 248, 178, 229, 189, 104, 5, 3, 0, 2, 123, 125];
        assert_eq!(encode(&done()).as_deref(), Ok(&golden[..]));
        assert_eq!(decode(&golden), Ok(done()));
    }

    #[test]
    fn left_over_bytes_are_an_error() {
        let mut bytes = encode(&done()).expect("encodes");
        bytes.push(0);
        assert!(matches!(decode(&bytes), Err(CodecError::Malformed(_))));
    }

    #[test]
    fn a_newer_format_is_named_not_guessed() {
        assert_eq!(decode(&[9, 0]), Err(CodecError::Newer(9)));
    }
}
