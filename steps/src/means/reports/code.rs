//! What the steps that keep and release code report.

use serde::{Deserialize, Serialize};

/// The code as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The commit that was checked out, as the full hash.
    pub commit: String,
    /// The branch, unless the head was detached.
    pub branch: Option<String>,
    /// The version in `package.json` of that commit, when it has one.
    pub version: Option<String>,
    /// The bundle on the host. A shallow clone's bundle needs the clone it was made from.
    pub bundle: String,
    /// The sha256 of the bundle file, in hex.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Untracked files that were not expected.
    pub untracked: Vec<String>,
}

/// A release script that ended well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The commit it was given.
    pub commit: String,
    /// The attempt whose script it was.
    pub attempt: u16,
    /// The job's folder on the host, with its whole output.
    pub folder: String,
    /// Bytes of output; nothing when a person stated that it was done.
    pub log_bytes: Option<u64>,
    /// Whether a person stated the outcome.
    pub settled: bool,
}
