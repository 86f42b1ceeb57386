//! Names of runs and of stored objects.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::clock::Timestamp;

/// The name of a run, such as `r-20261122-k7f3`.
///
/// Readable, and never a number: a job id that looked like one lost its last digit in another tool
/// (ansible/ansible#80167). At most 64 characters of `a-z`, `0-9` and `-`, starting with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(Arc<str>);

/// A text that cannot name a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name a run: use at most 64 of a-z, 0-9 and `-`, starting with a letter")]
pub struct InvalidRunId(pub String);

impl RunId {
    /// A new name for a run created at `at`, with four random letters.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    pub fn generate(at: Timestamp) -> RunId {
        const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
        let mut bytes = [0u8; 4];
        getrandom::fill(&mut bytes).expect("the operating system gives randomness");
        let tail: String = bytes
            .iter()
            .map(|b| char::from(LETTERS[usize::from(b % 32)]))
            .collect();
        let day: String = at
            .to_string()
            .chars()
            .take(10)
            .filter(|c| *c != '-')
            .collect();
        RunId(format!("r-{day}-{tail}").into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<Self, InvalidRunId> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let starts = text.chars().next().is_some_and(|c| c.is_ascii_lowercase());
        if text.len() <= 64 && starts && text.chars().all(legal) {
            Ok(RunId(text.into()))
        } else {
            Err(InvalidRunId(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidRunId;

    fn try_from(text: String) -> Result<Self, InvalidRunId> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> String {
        id.as_str().to_owned()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SHA-256 digest: of a record in its chain, of a plan, of a stored object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Digest> {
        let mut bytes = [0u8; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Digest(bytes))
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_run_id_parses_and_does_not_look_like_a_number() {
        let id = RunId::generate(Timestamp(1_795_000_000_000));
        assert_eq!(id.as_str().parse::<RunId>().as_ref(), Ok(&id));
        assert!(id.as_str().parse::<f64>().is_err());
    }

    #[test]
    fn path_separators_and_capitals_are_refused() {
        for bad in ["", "../x", "A", "r x", "1-2", "r/1"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_digest_survives_its_text_form() {
        let digest = Digest::of(b"x");
        assert_eq!(Digest::from_hex(&digest.to_string()), Some(digest));
    }
}
