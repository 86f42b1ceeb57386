//! Where things lie in the journal's folder.

use std::path::{Path, PathBuf};

/// Where things lie in the journal's folder.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) dir: PathBuf,
    pub(super) sled: PathBuf,
    pub(super) wal: PathBuf,
    pub(super) objects: PathBuf,
    /// The second copies of the objects.
    pub(super) copies: PathBuf,
    pub(super) archive: PathBuf,
}

impl Places {
    pub(super) fn of(dir: &Path) -> Places {
        Places {
            sled: dir.join("sled"),
            wal: dir.join("wal"),
            objects: dir.join("objects"),
            copies: dir.join("copies"),
            archive: dir.join("archive"),
            dir: dir.to_owned(),
        }
    }
}
