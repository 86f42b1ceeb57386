//! A backup, as it is known to the run and written beside its file.

use serde::{Deserialize, Serialize};

use super::settings::Plate;
use super::state::DbState;
use crate::means::reports::backup::BackupFile;

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

/// What is read of a backup where only its file counts: a field that has another name there does not compile here.
impl From<&Backup> for BackupFile {
    fn from(backup: &Backup) -> BackupFile {
        let Backup {
            path,
            bytes,
            sha256,
            ..
        } = backup;
        BackupFile {
            path: path.clone(),
            bytes: *bytes,
            sha256: sha256.clone(),
        }
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reported_backup_is_read_as_its_file() {
        let state = json!({
            "taken_at": 0, "system_identifier": "", "server_version": "", "database": "", "tables": {},
            "migrations": [], "schema_digest": "", "shape_digest": "",
        });
        let backup: Backup = serde_json::from_value(json!({
            "path": "/b/x.sql.zst", "bytes": 7, "raw_bytes": 9, "sha256": "ab", "raw_sha256": "cd",
            "compression": "zstd", "seconds": 1, "tool_version": "15", "previous_raw_bytes": null, "state": state,
        }))
        .unwrap();
        let report = serde_json::to_string(&backup).unwrap();
        let read: BackupFile = serde_json::from_str(&report).unwrap();
        assert_eq!(read, BackupFile::from(&backup));
        assert_eq!((read.path.as_str(), read.bytes), ("/b/x.sql.zst", 7));
    }
}
