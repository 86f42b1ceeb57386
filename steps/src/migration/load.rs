//! Reading the migrations: the only I/O of the check.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Largest migration file that is read. The largest known real one is under 1 MiB.
pub const MAX_FILE: u64 = 4 << 20;
/// More folders than that is no migrations folder. The largest known project has about 1500.
const MAX_MIGRATIONS: usize = 20_000;

/// One migration: its name orders it, its text is what runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Folder name, such as `20250115093000_add_notes`.
    pub name: String,
    /// The SQL text.
    pub sql: String,
}

impl Migration {
    /// SHA-256 of the text, hex: what Prisma stores as the checksum of an applied migration.
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(self.sql.as_bytes()))
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a String cannot fail");
            text
        })
}

/// Why the migrations could not be read. Nothing was judged.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The operating system said no.
    #[error("cannot read {path}: {source}; nothing was checked")]
    Io {
        /// What was read.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// What is read must be what lies in the repository.
    #[error(
        "{path} is a symbolic link or no regular file; put the migration itself there; nothing was checked"
    )]
    NotRegular {
        /// The entry.
        path: PathBuf,
    },
    /// Larger than [`MAX_FILE`].
    #[error("{path} is larger than 4 MiB; split the migration; nothing was checked")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not text.
    #[error("{path} is not valid UTF-8; nothing was checked")]
    NotUtf8 {
        /// The file or folder.
        path: PathBuf,
    },
    /// Two migrations of one name have no order.
    #[error("two migrations are named {name:?}; rename one; nothing was checked")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Not a folder of migrations.
    #[error(
        "{path} holds more than 20000 entries; it does not look like a migrations folder; nothing was checked"
    )]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// A migration folder without `migration.sql`.
    #[error("{path} has no migration.sql; remove the folder or add the file; nothing was checked")]
    Missing {
        /// The folder.
        path: PathBuf,
    },
}

/// Reads `<dir>/<name>/migration.sql` of every folder, in Prisma's order: by the bytes of the name. Files beside the folders
/// (`migration_lock.toml`) are passed over.
///
/// Fails on links, on files that are not regular, not UTF-8 or larger than [`MAX_FILE`], and on a folder without the file.
pub fn read_folder(dir: &Path) -> Result<Vec<Migration>, LoadError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| LoadError::Io { path, source }
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed(dir))? {
        let entry = entry.map_err(failed(dir))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(failed(&path))?;
        if kind.is_symlink() {
            return Err(LoadError::NotRegular { path });
        }
        if !kind.is_dir() {
            continue;
        }
        let Ok(name) = entry.file_name().into_string() else {
            return Err(LoadError::NotUtf8 { path });
        };
        let sql = read_file(&path)?;
        found.push((name, sql));
        if found.len() > MAX_MIGRATIONS {
            return Err(LoadError::TooMany {
                path: dir.to_owned(),
            });
        }
    }
    from_pairs(found)
}

fn read_file(folder: &Path) -> Result<String, LoadError> {
    let path = folder.join("migration.sql");
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => LoadError::Missing {
            path: folder.to_owned(),
        },
        _ => LoadError::Io {
            path: path.clone(),
            source,
        },
    };
    if !std::fs::symlink_metadata(&path).map_err(failed)?.is_file() {
        return Err(LoadError::NotRegular { path });
    }
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(failed)?;
    // One byte more than allowed: the file may grow between the look and the read.
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(LoadError::TooLarge { path });
    }
    String::from_utf8(bytes).map_err(|_| LoadError::NotUtf8 { path })
}

/// Migrations that were read elsewhere (such as from a git commit), brought into order.
///
/// Fails on two of one name and on texts larger than [`MAX_FILE`].
pub fn from_pairs(
    pairs: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<Migration>, LoadError> {
    let mut all: Vec<Migration> = pairs
        .into_iter()
        .map(|(name, sql)| Migration { name, sql })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    for pair in all.windows(2) {
        if pair[0].name == pair[1].name {
            return Err(LoadError::Duplicate {
                name: pair[0].name.clone(),
            });
        }
    }
    if let Some(large) = all.iter().find(|each| each.sql.len() as u64 > MAX_FILE) {
        return Err(LoadError::TooLarge {
            path: PathBuf::from(&large.name),
        });
    }
    Ok(all)
}
