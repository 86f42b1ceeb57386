//! What people's steps report: who signed, started or accepted something, and whose keys count.

use flow_engine::clock::Timestamp;
use flow_engine::run::Run;
use serde::{Deserialize, Serialize};

use crate::means::kinds;

/// A sign-off that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedOff {
    /// The role that was signed for.
    pub role: String,
    /// Who, as in the roster.
    pub signer: String,
    /// With which key.
    pub fingerprint: String,
    /// Digest of the signed bytes.
    pub statement_sha256: String,
    /// What it was given for.
    pub evidence_digest: String,
    /// When it was signed, by the signer's clock.
    pub signed_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

/// Who started a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// In which role of the roster their key stands.
    pub role: String,
    /// Who, as in the roster.
    pub signer: String,
    /// With which key.
    pub fingerprint: String,
    /// Digest of the signed bytes, in hexadecimal digits.
    pub statement_sha256: String,
    /// When it was signed, by the starter's clock.
    pub signed_at: Timestamp,
}

impl std::fmt::Display for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} ({}), key {}",
            self.signer, self.role, self.fingerprint
        )
    }
}

/// A warning somebody accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// Digest of the finding or the file.
    pub finding: String,
    /// Why it is accepted.
    pub reason: String,
    /// As what the signer signed.
    pub role: String,
    /// Who signed, as in the roster.
    pub signer: String,
    /// With which key.
    pub fingerprint: String,
    /// Digest of the signed bytes.
    pub statement_sha256: String,
    /// When it was signed, by the signer's clock.
    pub signed_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

/// The keys of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysFound {
    /// Of the roster's file, in hexadecimal digits; empty when the plan names none.
    pub sha256: String,
    /// The commit it was read from.
    pub commit: String,
    /// The commit that production runs, where it could be asked.
    pub deployed: Option<String>,
    /// `role name SHA256:…` of each key that production's commit does not have.
    pub added: Vec<String>,
    /// `role name SHA256:…` of each key that only production's commit has.
    pub removed: Vec<String>,
    /// How the file in the working tree differs, which does not count: one line for each key.
    pub elsewhere: Vec<String>,
    /// What could not be compared, and why.
    pub unknown: Vec<String>,
}

impl KeysFound {
    /// What a run found, once it has asked.
    pub fn of(run: &Run) -> Option<KeysFound> {
        let asking = run
            .plan
            .nodes
            .iter()
            .find(|node| node.kind == kinds::KEYS)?;
        serde_json::from_str(run.output(&asking.key)?).ok()
    }

    /// Whether somebody may sign who could not before, or the other way round, or that is not known.
    pub fn differs(&self) -> bool {
        !(self.added.is_empty() && self.removed.is_empty() && self.unknown.is_empty())
    }

    /// For people: which roster counts, and every key that changed.
    pub fn lines(&self) -> Vec<String> {
        let short = |text: &str| text.chars().take(12).collect::<String>();
        let mut lines = Vec::new();
        if !self.sha256.is_empty() {
            lines.push(format!(
                "keys: roster {} of {}, {} added and {} taken out since production's",
                short(&self.sha256),
                short(&self.commit),
                self.added.len(),
                self.removed.len()
            ));
        }
        let named = |what: &'static str, keys: &[String]| {
            let lines = keys.iter().map(move |key| format!("{what} {key}"));
            lines.collect::<Vec<_>>()
        };
        lines.extend(named("KEY ADDED:", &self.added));
        lines.extend(named("KEY TAKEN OUT:", &self.removed));
        lines.extend(named("keys not compared:", &self.unknown));
        if !self.elsewhere.is_empty() {
            let count = self.elsewhere.len();
            lines.push(format!(
                "the working tree differs in {count} keys, which do not count"
            ));
        }
        lines
    }
}
