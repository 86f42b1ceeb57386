//! A backup, as it is known to the run and written beside its file.

use serde::{Deserialize, Serialize};

use super::settings::Plate;
use super::state::DbState;

/// How a dump is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// The default: as small as gzip and 2.5 times as fast to write (measured).
    #[default]
    Zstd,
    /// For tools that know nothing else.
    Gzip,
}

impl Compression {
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Zstd => "sql.zst",
            Self::Gzip => "sql.gz",
        }
    }
}

/// A finished backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The file on the database's host. The manifest is beside it, with `.json` added.
    pub path: String,
    /// The file's size.
    pub bytes: u64,
    /// The dump's size before it was compressed.
    pub raw_bytes: u64,
    /// Of the file.
    pub sha256: String,
    /// Of the dump before it was compressed.
    pub raw_sha256: String,
    /// How it is compressed.
    pub compression: Compression,
    /// How long it took.
    pub seconds: u64,
    /// What `pg_dump --version` says.
    pub tool_version: String,
    /// The uncompressed size of the newest earlier backup with this prefix.
    pub previous_raw_bytes: Option<u64>,
    /// What the database held in the dumped snapshot.
    pub state: DbState,
}

/// What lies beside the file. The state comes last, so that the beginning reads well.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u8,
    /// The run and step that made it.
    pub(super) made_by: String,
    /// Settings and rights of the database itself, which no dump holds. Nothing in older manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) plate: Option<Plate>,
    pub(super) backup: Backup,
}
