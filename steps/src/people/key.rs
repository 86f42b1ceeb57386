//! OpenSSH public keys as they stand in a roster, and the length-prefixed format under them (RFC 4251, section 5).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

/// Which types of key may sign, and how many fields follow the type in the key's blob.
///
/// No certificates: their authority would be a second root of trust. No DSA: OpenSSH dropped it.
const TYPES: [(&str, usize); 7] = [
    ("ssh-ed25519", 1),
    ("sk-ssh-ed25519@openssh.com", 2),
    ("ecdsa-sha2-nistp256", 2),
    ("ecdsa-sha2-nistp384", 2),
    ("ecdsa-sha2-nistp521", 2),
    ("sk-ecdsa-sha2-nistp256@openssh.com", 3),
    ("ssh-rsa", 2),
];
/// The shortest RSA modulus taken, in bytes (2048 bits).
const RSA_MIN: usize = 256;
/// The longest line looked at; an RSA key of 16384 bits has about 2800 characters.
const LINE_MAX: usize = 4096;

/// A public key that passed the checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: &'static str,
    base64: String,
    fingerprint: String,
}

/// Why a text is no public key that may sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `type base64 [comment]` on one line.
    #[error("it is not one line `ssh-ed25519 AAAA…` as in a .pub file")]
    NoLine,
    /// A private key was pasted.
    #[error(
        "this is a private key; give the one line of the .pub file, and treat this key as lost"
    )]
    Private,
    /// A type that may not sign.
    #[error("keys of type `{0}` are not accepted; use ed25519, ecdsa, rsa, or a security key")]
    Type(String),
    /// Damaged or cut.
    #[error("its base64 part is damaged or cut; copy the whole line of the .pub file")]
    Damaged,
    /// A second spelling of a key: it would have a second fingerprint.
    #[error(
        "its numbers are not in their shortest form; copy the line that `ssh-keygen -y` prints"
    )]
    Padded,
    /// RSA below 2048 bits.
    #[error("the RSA key is shorter than 2048 bits; make a new one with `ssh-keygen -t ed25519`")]
    Short,
}

impl PublicKey {
    /// Reads the line of a `.pub` file. A comment after the key is ignored.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with the line.
    pub fn parse(line: &str) -> Result<PublicKey, KeyError> {
        if line.contains("PRIVATE KEY") {
            return Err(KeyError::Private);
        }
        if line.len() > LINE_MAX || line.contains(|c: char| c.is_control()) {
            return Err(KeyError::NoLine);
        }
        let mut words = line.split_whitespace();
        let (Some(kind), Some(base64)) = (words.next(), words.next()) else {
            return Err(KeyError::NoLine);
        };
        let blob = STANDARD.decode(base64).map_err(|_| KeyError::Damaged);
        let known = TYPES.iter().find(|(name, _)| *name == kind);
        let (kind, fields) =
            known.ok_or_else(|| KeyError::Type(kind.chars().take(60).collect()))?;
        check(&blob?, kind, *fields)?;
        let fingerprint = fingerprint(&STANDARD.decode(base64).map_err(|_| KeyError::Damaged)?);
        Ok(PublicKey {
            kind,
            base64: base64.to_owned(),
            fingerprint,
        })
    }

    /// `SHA256:…` as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Type and key, without a comment.
    pub fn line(&self) -> String {
        format!("{} {}", self.kind, self.base64)
    }
}

fn check(blob: &[u8], kind: &str, fields: usize) -> Result<(), KeyError> {
    let mut wire = Wire(blob);
    if wire.string() != Some(kind.as_bytes()) {
        return Err(KeyError::Damaged);
    }
    let mut read = Vec::with_capacity(fields);
    for _ in 0..fields {
        read.push(wire.string().ok_or(KeyError::Damaged)?);
    }
    if !wire.0.is_empty() {
        return Err(KeyError::Damaged);
    }
    shape(kind, &read)
}

/// What each type's fields must look like, so that a key has one spelling.
fn shape(kind: &str, fields: &[&[u8]]) -> Result<(), KeyError> {
    match (kind, fields) {
        ("ssh-rsa", [exponent, modulus]) => {
            if !is_shortest(exponent) || !is_shortest(modulus) {
                return Err(KeyError::Padded);
            }
            if modulus.len() < RSA_MIN {
                return Err(KeyError::Short);
            }
        }
        ("ssh-ed25519" | "sk-ssh-ed25519@openssh.com", [key, ..]) if key.len() != 32 => {
            return Err(KeyError::Damaged);
        }
        (_, [curve, point, ..]) if kind.contains("ecdsa") => {
            let named = kind.contains(&*String::from_utf8_lossy(curve));
            // An uncompressed point; a compressed one would be a second spelling.
            if !named || curve.is_empty() {
                return Err(KeyError::Damaged);
            }
            if point.first() != Some(&4) {
                return Err(KeyError::Padded);
            }
        }
        _ => {}
    }
    Ok(())
}

/// A positive number as RFC 4251 writes it: no superfluous zero in front.
fn is_shortest(number: &[u8]) -> bool {
    match number {
        [0, next, ..] => *next >= 0x80,
        [] | [0] => false,
        [first, ..] => *first < 0x80,
    }
}

/// Whether a key's blob, as it stands in a signature, is of a type that may sign and in its one spelling.
pub(super) fn is_canonical(blob: &[u8]) -> bool {
    let kind = Wire(blob).string().unwrap_or_default();
    let known = TYPES.iter().find(|(name, _)| name.as_bytes() == kind);
    known.is_some_and(|(kind, fields)| check(blob, kind, *fields).is_ok())
}

/// The fingerprint of a key's blob, as `ssh-keygen -l` shows it.
pub fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

/// Reads length-prefixed fields; nothing when the bytes end early.
pub(super) struct Wire<'a>(pub(super) &'a [u8]);

impl<'a> Wire<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let bytes = self.take(4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.number()?).ok()?;
        self.take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9q me@here";

    #[test]
    fn a_line_of_a_pub_file_is_read_without_its_comment() {
        let key = PublicKey::parse(KEY).expect("parses");
        assert_eq!(format!("{} me@here", key.line()), KEY);
        assert!(key.fingerprint().starts_with("SHA256:") && key.fingerprint().len() == 50);
    }

    fn field(bytes: &[u8]) -> Vec<u8> {
        let size = u32::try_from(bytes.len()).expect("short").to_be_bytes();
        [&size[..], bytes].concat()
    }

    #[test]
    fn a_key_has_one_spelling() {
        let modulus = [&[0u8][..], &[0xc5; 256]].concat();
        let rsa = |exponent: &[u8], modulus: &[u8]| {
            let blob = [field(b"ssh-rsa"), field(exponent), field(modulus)].concat();
            let key = PublicKey::parse(&format!("ssh-rsa {}", STANDARD.encode(&blob)));
            assert_eq!(is_canonical(&blob), key.is_ok());
            key.map(drop)
        };
        assert_eq!(rsa(&[1, 0, 1], &modulus), Ok(()));
        let padded = [&[0u8][..], &modulus].concat();
        let table: [(&[u8], &[u8]); 4] = [
            (&[1, 0, 1], &padded),
            (&[0, 1, 0, 1], &modulus),
            (&[1, 0, 1], &modulus[1..]),
            (&[], &modulus),
        ];
        for (exponent, modulus) in table {
            assert_eq!(rsa(exponent, modulus), Err(KeyError::Padded));
        }
        let point = |first: u8| [&[first][..], &[7; 64]].concat();
        let ecdsa = |curve: &[u8], point: &[u8]| {
            let blob = [field(b"ecdsa-sha2-nistp256"), field(curve), field(point)].concat();
            let line = format!("ecdsa-sha2-nistp256 {}", STANDARD.encode(blob));
            PublicKey::parse(&line).map(drop)
        };
        assert_eq!(ecdsa(b"nistp256", &point(4)), Ok(()));
        assert_eq!(ecdsa(b"nistp256", &point(3)), Err(KeyError::Padded));
        assert_eq!(ecdsa(b"nistp384", &point(4)), Err(KeyError::Damaged));
        let long = [field(b"ssh-ed25519"), field(&[1; 33])].concat();
        let long = PublicKey::parse(&format!("ssh-ed25519 {}", STANDARD.encode(long)));
        assert_eq!(long, Err(KeyError::Damaged));
    }

    #[test]
    fn what_is_no_key_that_may_sign_is_named() {
        let private = "-----BEGIN OPENSSH PRIVATE KEY-----";
        assert_eq!(PublicKey::parse(private), Err(KeyError::Private));
        assert_eq!(PublicKey::parse(""), Err(KeyError::NoLine));
        assert_eq!(
            PublicKey::parse(&format!("{KEY}\n{KEY}")),
            Err(KeyError::NoLine)
        );
        assert_eq!(
            PublicKey::parse("ssh-dss AAAA"),
            Err(KeyError::Type("ssh-dss".into()))
        );
        assert_eq!(PublicKey::parse(&KEY[..60]), Err(KeyError::Damaged));
        let other = KEY.replace("ssh-ed25519 ", "ssh-rsa ");
        assert_eq!(PublicKey::parse(&other), Err(KeyError::Damaged));
    }
}
