use super::*;

fn entry(seq: u64, body: &[u8]) -> Entry {
    Entry {
        run: "r-1".parse().unwrap(),
        seq,
        epoch: 7,
        hash: Digest::of(body),
        body: body.to_vec(),
    }
}

const HEAD: Header = Header {
    number: 4,
    first_lsn: 10,
    salt: 0x1234_5678_9abc_def0,
    size: Some(4096),
};

/// A segment with three frames and the offset of each.
fn segment() -> (Vec<u8>, Vec<usize>) {
    let mut bytes = HEAD.encode().to_vec();
    let mut offsets = Vec::new();
    for n in 0..3 {
        offsets.push(bytes.len());
        let body = vec![b'a' + u8::try_from(n).unwrap(); 30];
        encode_frame(&mut bytes, HEAD.salt, 10 + n, &[entry(n, &body)]);
    }
    bytes.resize(4096, 0);
    (bytes, offsets)
}

fn frames(bytes: &[u8]) -> (Scan, Vec<u64>) {
    let mut found = Vec::new();
    let scan = scan(bytes, |lsn, _, _| found.push(lsn));
    (scan, found)
}

#[test]
fn a_frame_comes_back_as_it_was_written() {
    let (bytes, _) = segment();
    let mut all = Vec::new();
    let scan = scan(&bytes, |_, _, payload| {
        let (entries, whole) = decode_payload(payload);
        assert!(whole);
        all.extend(entries);
    });
    assert_eq!(scan.header, Some(HEAD));
    assert_eq!(
        (scan.header_sound, scan.tail, scan.damaged.len()),
        (true, 0, 0)
    );
    assert_eq!(all[2], entry(2, &[b'c'; 30]));
    assert_eq!(all.len(), 3);
}

#[test]
fn every_flipped_bit_of_every_frame_is_noticed() {
    let (bytes, offsets) = segment();
    let (sound, _) = frames(&bytes);
    for at in HEADERS..sound.end {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            let (scan, found) = frames(&bytes);
            let hit = offsets.iter().rposition(|o| *o <= at).unwrap();
            assert_eq!(found.len(), 2, "byte {at} bit {bit}");
            if hit == 2 {
                assert_eq!((scan.end, scan.damaged.len()), (offsets[2], 0));
                assert!(scan.tail > 0);
            } else {
                assert_eq!(
                    (scan.end, &scan.damaged[..]),
                    (sound.end, &offsets[hit..=hit])
                );
            }
        }
    }
}

#[test]
fn a_write_torn_at_any_byte_is_a_tail_and_not_damage() {
    let (bytes, offsets) = segment();
    let (sound, _) = frames(&bytes);
    for cut in offsets[2]..sound.end {
        let mut bytes = bytes.clone();
        bytes[cut..].fill(0);
        let (scan, found) = frames(&bytes);
        assert_eq!(
            (found.len(), scan.end, scan.damaged.len()),
            (2, offsets[2], 0)
        );
    }
}

#[test]
fn one_sound_copy_of_the_header_is_enough_and_the_other_is_missed() {
    for at in 0..HEADERS {
        let (mut bytes, _) = segment();
        bytes[at] ^= 1;
        let (scan, found) = frames(&bytes);
        assert_eq!(
            (scan.header, scan.header_sound, found.len()),
            (Some(HEAD), false, 3)
        );
    }
    let (mut bytes, _) = segment();
    bytes[20] ^= 1;
    bytes[84] ^= 1;
    assert!(frames(&bytes).1.is_empty());
}

#[test]
fn a_body_that_looks_like_a_frame_is_not_taken_for_one() {
    let mut forged = Vec::new();
    encode_frame(&mut forged, 0, 12, &[entry(9, b"forged")]);
    let mut bytes = HEAD.encode().to_vec();
    let start = bytes.len();
    encode_frame(&mut bytes, HEAD.salt, 10, &[entry(0, &forged)]);
    bytes[start + 17] ^= 1;
    bytes.resize(4096, 0);
    let (scan, found) = frames(&bytes);
    assert_eq!((found, scan.end), (Vec::new(), HEADERS));
}

#[test]
fn an_older_frame_behind_the_end_is_no_frame() {
    let mut bytes = HEAD.encode().to_vec();
    encode_frame(&mut bytes, HEAD.salt, 12, &[entry(0, b"new")]);
    encode_frame(&mut bytes, HEAD.salt, 11, &[entry(0, b"old")]);
    let (scan, found) = frames(&bytes);
    assert_eq!((found, scan.damaged.len()), (vec![12], 0));
    assert!(scan.tail > 0);
}

#[test]
fn the_suspects_of_a_damaged_frame_name_its_record() {
    let (mut bytes, offsets) = segment();
    bytes[offsets[1] + FRAME_HEADER + 60] ^= 1;
    let (scan, _) = frames(&bytes);
    assert_eq!(scan.suspects.len(), 1);
    assert_eq!(
        (scan.suspects[0].run.as_str(), scan.suspects[0].seq),
        ("r-1", 1)
    );
}

fn hex(bytes: &[u8]) -> String {
    let digits = |b: &u8| [b >> 4, b & 15];
    let digit = |d: u8| char::from_digit(d.into(), 16).unwrap();
    bytes.iter().flat_map(digits).map(digit).collect()
}

#[test]
fn headers_of_both_layouts_are_the_bytes_they_always_were_and_are_read() {
    let old = Header { size: None, ..HEAD };
    let golden = [
        (
            old,
            "464c4f57534547310400000000000000\
               0a00000000000000f0debc9a78563412688c9c98",
        ),
        (
            HEAD,
            "464c4f57534547320400000000000000\
                0a00000000000000f0debc9a785634120010000000000000d373819e",
        ),
    ];
    for (header, start) in golden {
        let bytes = header.encode();
        let start = start.replace(' ', "");
        assert_eq!(hex(&bytes[..start.len() / 2]), start);
        assert!(bytes[start.len() / 2..HEADER].iter().all(|b| *b == 0));
        assert_eq!(bytes[..HEADER], bytes[HEADER..]);
        assert_eq!(Header::decode(&bytes), Some((header, true)));
    }
}

#[test]
fn the_file_end_is_the_bytes_it_always_was_and_every_flipped_bit_of_it_is_noticed() {
    let end = end::End {
        segment: 3,
        floor: 40,
        opening: 0x1234,
        closed: true,
    };
    let bytes = end::encode(end);
    assert_eq!(
        hex(&bytes),
        "464c4f57454e443103000000000000002800000000000000341200000000000001dabd2f96"
    );
    assert_eq!(end::decode(&bytes), Some(end));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            assert_eq!(end::decode(&bytes), None, "byte {at} bit {bit}");
        }
        assert_eq!(end::decode(&bytes[..at]), None);
    }
}

#[test]
fn a_file_that_was_cut_is_short_even_where_it_held_only_zeros() {
    let (bytes, _) = segment();
    for len in [HEADERS, 1000, 4095, 4096] {
        assert_eq!(frames(&bytes[..len]).0.short, len < 4096, "{len}");
    }
    let old = Header { size: None, ..HEAD };
    assert!(!frames(&old.encode()).0.short, "it does not say its size");
}

#[test]
fn the_mark_of_an_opening_is_found_and_is_no_frame() {
    let mut bytes = HEAD.encode().to_vec();
    encode_frame(&mut bytes, HEAD.salt, 10, &[entry(0, b"before")]);
    encode_opening(&mut bytes, HEAD.salt, 11, 77);
    let after = bytes.len();
    encode_frame(&mut bytes, HEAD.salt, 11, &[entry(1, b"after")]);
    assert_eq!(bytes.len() - after, frame_len(&[entry(1, b"after")]));
    bytes.resize(4096, 0);
    let (scan, found) = frames(&bytes);
    assert_eq!((found, &scan.openings[..]), (vec![10, 11], &[77][..]));
    assert_eq!((scan.tail, scan.damaged.len()), (0, 0));
    bytes[after - 1] ^= 1;
    let (scan, found) = frames(&bytes);
    assert_eq!((found.len(), scan.openings.len()), (2, 0));
    assert_eq!(scan.damaged.len(), 1, "a damaged mark shows");
}
