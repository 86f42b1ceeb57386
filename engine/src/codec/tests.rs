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

/// The bytes with another content, and the checksum that goes with it.
fn sealed(mut bytes: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut bytes);
    let sum = checksum(&bytes);
    bytes[5..HEADER].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn format_1_is_still_read() {
    let golden = [1, 128, 248, 178, 229, 189, 104, 5, 3, 0, 2, 123, 125];
    assert_eq!(decode(&golden), Ok(done()));
    let more = [&golden[..], &[0]].concat();
    assert!(matches!(decode(&more), Err(CodecError::Malformed(_))));
}

#[test]
fn format_2_is_what_it_was() {
    let body = [128, 248, 178, 229, 189, 104, 5, 3, 0, 2, 123, 125];
    let bytes = encode(&done()).expect("encodes");
    assert_eq!(bytes[..5], [2, 5, 1, 12, 0]);
    assert_eq!(bytes[HEADER..], body);
    assert_eq!(decode(&bytes), Ok(done()));
}

#[test]
fn bytes_that_are_missing_added_or_changed_are_an_error() {
    let whole = encode(&done()).expect("encodes");
    for end in 0..whole.len() {
        assert!(decode(&whole[..end]).is_err(), "cut at {end}");
    }
    let more = [&whole[..], &[0]].concat();
    assert!(matches!(decode(&more), Err(CodecError::Malformed(_))));
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            assert!(decode(&bytes).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn what_only_a_newer_version_writes_is_named_not_guessed() {
    assert_eq!(decode(&[9, 0]), Err(CodecError::Newer(9)));
    let whole = encode(&done()).expect("encodes");
    let unknown = sealed(whole.clone(), |b| b[1] = 19);
    assert_eq!(decode(&unknown), Err(CodecError::UnknownRecord(19)));
    let newer = sealed(whole, |b| b[2] = 2);
    let (record, layout, reads) = ("Done", 2, 1);
    assert_eq!(
        decode(&newer),
        Err(CodecError::NewerLayout {
            record,
            layout,
            reads
        })
    );
}

#[test]
fn a_body_that_reads_as_another_kind_of_record_is_an_error() {
    // As after somebody has put a variant in the middle: `Done` of the writer is `Waiting` or `Failed` of the reader.
    let whole = encode(&done()).expect("encodes");
    let moved = sealed(whole, |b| b[1] = 7);
    let Err(CodecError::Malformed(why)) = decode(&moved) else {
        panic!("it was taken for a record");
    };
    assert!(why.contains("`Skipped`") && why.contains("`Done`"), "{why}");
}

#[test]
fn every_kind_has_its_name_and_number() {
    let named = format!("{:?}", done().record);
    assert!(named.starts_with(shape::name(shape::of(&done().record).tag).expect("a name")));
    assert_eq!(shape::name(19), None);
}
