//! What the steps that take and prove a backup report.

use serde::{Deserialize, Serialize};

/// The file of a backup: what is read of its report where only the file counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// The file on the database's host, absolute.
    pub path: String,
    /// The size of the file, in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
}

/// A passed proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The file that was restored, absolute, on the database's host.
    pub path: String,
    /// Its digest, as read again from the disk.
    pub sha256: String,
    /// How long reading, restoring and comparing took.
    pub seconds: u64,
    /// How many tables were equal: all.
    pub tables: usize,
    /// How many rows were equal: all.
    pub rows: u64,
}
