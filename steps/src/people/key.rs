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
    let mut longest = 0;
    for _ in 0..fields {
        longest = longest.max(wire.string().ok_or(KeyError::Damaged)?.len());
    }
    if !wire.0.is_empty() {
        return Err(KeyError::Damaged);
    }
    if kind == "ssh-rsa" && longest < RSA_MIN {
        return Err(KeyError::Short);
    }
    Ok(())
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
