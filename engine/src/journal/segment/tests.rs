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
