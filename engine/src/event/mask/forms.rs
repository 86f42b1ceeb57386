//! A secret in other letters.

/// Shorter pieces of base64 are too often a part of other words.
const SHORTEST: usize = 10;
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What base64 makes of a secret, also where other bytes precede and follow it: for each of the three places at which it
/// may begin, the letters that depend on nothing else. In both alphabets.
pub(super) fn base64(secret: &str) -> Vec<String> {
    let mut found = Vec::new();
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(secret.as_bytes());
        let letters: String = bytes.chunks(3).flat_map(letters).collect();
        let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        let Some(own) = letters.get(from..to).filter(|own| own.len() >= SHORTEST) else {
            continue;
        };
        let url = own.replace('+', "-").replace('/', "_");
        if url != own {
            found.push(url);
        }
        found.push(own.to_owned());
    }
    found
}

fn letters(chunk: &[u8]) -> [char; 4] {
    let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or_default());
    let all = byte(0) << 16 | byte(1) << 8 | byte(2);
    [18, 12, 6, 0].map(|shift| char::from(LETTERS[(all >> shift) as usize & 63]))
}
