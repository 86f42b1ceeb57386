//! OpenSSH public keys as they stand in a roster. `ssh-key` reads the format; which keys may sign is decided here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_key::HashAlg;
use ssh_key::public::KeyData;

/// Which types of key may sign.
///
/// No certificates: their authority would be a second root of trust. No DSA: OpenSSH dropped it.
const TYPES: [&str; 7] = [
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
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
        let known = TYPES.into_iter().find(|name| *name == kind);
        let kind = known.ok_or_else(|| KeyError::Type(kind.chars().take(60).collect()))?;
        let blob = STANDARD.decode(base64).map_err(|_| KeyError::Damaged)?;
        let key = read(&blob, kind)?;
        Ok(PublicKey {
            kind,
            base64: base64.to_owned(),
            fingerprint: fingerprint(&key),
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

/// A key's blob as `ssh-key` reads it, if the blob is the key's one spelling: a second one would have a second fingerprint.
fn read(blob: &[u8], kind: &str) -> Result<KeyData, KeyError> {
    let key = ssh_key::PublicKey::from_bytes(blob).map_err(|e| match e {
        ssh_key::Error::FormatEncoding => KeyError::Padded,
        _ => KeyError::Damaged,
    })?;
    if key.algorithm().as_str() != kind {
        return Err(KeyError::Damaged);
    }
    if let Some(rsa) = key.key_data().rsa() {
        let (Some(_), Some(modulus)) = (rsa.e.as_positive_bytes(), rsa.n.as_positive_bytes())
        else {
            return Err(KeyError::Padded);
        };
        if modulus.len() < RSA_MIN {
            return Err(KeyError::Short);
        }
    }
    let point = match key.key_data() {
        KeyData::Ecdsa(key) => Some(key.as_sec1_bytes()),
        KeyData::SkEcdsaSha2NistP256(key) => Some(key.ec_point().as_ref()),
        _ => None,
    };
    // An uncompressed point begins with 4; a compressed one would be a second spelling.
    let compressed = point.is_some_and(|point| point.first() != Some(&4));
    if compressed || key.to_bytes().ok().as_deref() != Some(blob) {
        return Err(KeyError::Padded);
    }
    Ok(KeyData::from(key))
}

/// The fingerprint of a key that signed, and its blob in its one spelling. `None` if keys of its type may not sign.
pub(crate) fn signing(key: &KeyData) -> Option<(String, Vec<u8>)> {
    let blob = ssh_key::PublicKey::from(key.clone()).to_bytes().ok()?;
    let algorithm = key.algorithm();
    let kind = TYPES.into_iter().find(|name| *name == algorithm.as_str())?;
    let key = read(&blob, kind).ok()?;
    Some((fingerprint(&key), blob))
}

/// As `ssh-keygen -l` shows it.
fn fingerprint(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
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
        let point = |first: u8, size| [&[first][..], &vec![7; size]].concat();
        let ecdsa = |curve: &[u8], point: &[u8]| {
            let blob = [field(b"ecdsa-sha2-nistp256"), field(curve), field(point)].concat();
            let line = format!("ecdsa-sha2-nistp256 {}", STANDARD.encode(blob));
            PublicKey::parse(&line).map(drop)
        };
        assert_eq!(ecdsa(b"nistp256", &point(4, 64)), Ok(()));
        assert_eq!(ecdsa(b"nistp256", &point(3, 32)), Err(KeyError::Padded));
        assert_eq!(ecdsa(b"nistp384", &point(4, 64)), Err(KeyError::Damaged));
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
