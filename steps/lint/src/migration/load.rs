//! Reading the migrations: the only I/O of the check.

mod plain;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Largest migration file that is read. The largest known real one is under 1 MiB.
pub const MAX_FILE: u64 = 4 << 20;
/// More entries than that is no migrations folder. The largest known project has about 1500.
const MAX_MIGRATIONS: usize = 20_000;
/// What `migrate deploy` looks for in a migration's folder.
const PRISMA_FILE: &str = "migration.sql";

/// The file of a migration, inside the migrations folder.
pub(super) fn file_of(name: &str) -> String {
    if is_sql(name) {
        name.to_owned()
    } else {
        format!("{name}/{PRISMA_FILE}")
    }
}

fn is_sql(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("sql"))
}

/// One migration: its name orders it, its text is what runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migration {
    /// Folder name, such as `20250115093000_add_notes`; in a plain folder the file's name, such as `003_add_notes.sql`.
    pub name: String,
    /// The SQL text; empty when it could not be read.
    pub sql: String,
    /// Why the text could not be read. Such a migration is reported when it is judged.
    pub unreadable: Option<String>,
}

impl Migration {
    /// The file inside the migrations folder.
    pub fn file(&self) -> String {
        file_of(&self.name)
    }

    /// SHA-256 of the text, hex: what Prisma stores as the checksum of an applied migration.
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.sql.as_bytes()))
    }

    /// Whether a checksum in `_prisma_migrations` is this file's, as Prisma has it: of its bytes, or of the same lines with
    /// LF or CRLF. One that is shorter than 64 digits is from an engine that wrote bytes without their leading zero.
    pub fn is_of(&self, checksum: &str) -> bool {
        let forms = [
            self.sql.clone(),
            self.sql.replace("\r\n", "\n"),
            self.sql.replace('\n', "\r\n"),
        ];
        forms.iter().any(|text| {
            let digest = Sha256::digest(text.as_bytes());
            if checksum.len() == 64 || checksum.is_empty() {
                hex::encode(digest) == checksum
            } else {
                unpadded(&digest) == checksum
            }
        })
    }
}

fn unpadded(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:x}")).collect();
    digits.concat()
}

/// Why the migrations could not be read. Nothing was judged.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The operating system said no.
    #[error("cannot read {path}: {source}; nothing was checked")]
    Io {
        /// What was read.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// What is read must be what lies in the repository.
    #[error(
        "{path} is a symbolic link or no regular file; put the migration itself there; nothing was checked"
    )]
    NotRegular {
        /// The link, device or socket.
        path: PathBuf,
    },
    /// Larger than [`MAX_FILE`].
    #[error("{path} is larger than 4 MiB; split the migration; nothing was checked")]
    TooLarge {
        /// The migration that is too large.
        path: PathBuf,
    },
    /// A name that is no text.
    #[error("the name {path:?} is not valid UTF-8; rename it; nothing was checked")]
    NotUtf8 {
        /// The file or folder.
        path: PathBuf,
    },
    /// Two migrations of one name have no order.
    #[error("two migrations are named {name:?}; rename one; nothing was checked")]
    Duplicate {
        /// The name that both have.
        name: String,
    },
    /// Not a folder of migrations.
    #[error(
        "{path} holds more than 20000 entries; it does not look like a migrations folder; nothing was checked"
    )]
    TooMany {
        /// The folder that was to be read.
        path: PathBuf,
    },
    /// Nothing to check is not the same as nothing found.
    #[error("{path} holds neither <name>/migration.sql nor any .sql file; nothing was checked")]
    Empty {
        /// The folder that was to be read.
        path: PathBuf,
    },
}

/// Reads a folder of migrations, in the order in which they are applied.
///
/// Prisma's layout is `<dir>/<name>/migration.sql`, ordered by the bytes of the name; other files beside the folders are
/// passed over. A folder without such folders is a plain one: every `*.sql` in it, ordered by the number the name begins
/// with, then by name; `*.down.sql`, Flyway's undo files and what follows a `-- migrate:down` or `-- +goose Down` line undo
/// a migration and are left out.
///
/// A file that is too large, not UTF-8 or missing becomes a migration with [`Migration::unreadable`]. Fails on links and on
/// what is no regular file, and when there is nothing to check.
pub fn read_folder(dir: &Path) -> Result<Vec<Migration>, LoadError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| LoadError::Io { path, source }
    };
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(dir).map_err(failed(dir))? {
        let entry = entry.map_err(failed(dir))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(failed(&path))?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(LoadError::NotUtf8 { path });
        };
        if kind.is_symlink() {
            return Err(LoadError::NotRegular { path });
        } else if kind.is_dir() {
            folders.push((name, path.join(PRISMA_FILE)));
        } else if is_sql(&name) {
            files.push((name, path));
        }
        if folders.len() + files.len() > MAX_MIGRATIONS {
            return Err(LoadError::TooMany {
                path: dir.to_owned(),
            });
        }
    }
    if folders.iter().any(|(_, file)| file.exists()) {
        let read = folders.into_iter().map(|(name, path)| read(name, &path));
        return in_order(read.collect::<Result<_, _>>()?);
    }
    if files.is_empty() {
        return Err(LoadError::Empty {
            path: dir.to_owned(),
        });
    }
    plain::read(files)
}

fn read(name: String, path: &Path) -> Result<Migration, LoadError> {
    let failed = |source| LoadError::Io {
        path: path.to_owned(),
        source,
    };
    let unreadable = |why: &str| {
        Ok(Migration {
            name: name.clone(),
            sql: String::new(),
            unreadable: Some(why.to_owned()),
        })
    };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return unreadable(
                "there is no migration.sql in this folder, and `migrate deploy` refuses that (P3015): delete the folder, or move it out of the migrations",
            );
        }
        Err(error) => return Err(failed(error)),
        Ok(data) if !data.is_file() => {
            return Err(LoadError::NotRegular {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    // One byte more than allowed: the file may grow between the look and the read.
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return unreadable("it is larger than 4 MiB; split it");
    }
    match String::from_utf8(bytes) {
        Ok(sql) => Ok(Migration {
            name,
            sql,
            unreadable: None,
        }),
        Err(error) => unreadable(&format!(
            "it is not valid UTF-8 (byte {}), and PostgreSQL refuses it",
            error.utf8_error().valid_up_to()
        )),
    }
}

/// Migrations that were read elsewhere (such as from a git commit), brought into order.
///
/// Fails on two of one name and on texts larger than [`MAX_FILE`].
pub fn from_pairs(
    pairs: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<Migration>, LoadError> {
    let pairs = pairs.into_iter();
    let all: Vec<Migration> = pairs
        .map(|(name, sql)| Migration {
            name,
            sql,
            unreadable: None,
        })
        .collect();
    if let Some(large) = all.iter().find(|each| each.sql.len() as u64 > MAX_FILE) {
        return Err(LoadError::TooLarge {
            path: PathBuf::from(&large.name),
        });
    }
    in_order(all)
}

fn in_order(mut all: Vec<Migration>) -> Result<Vec<Migration>, LoadError> {
    all.sort_by(|a, b| a.name.cmp(&b.name));
    for pair in all.windows(2) {
        if pair[0].name == pair[1].name {
            return Err(LoadError::Duplicate {
                name: pair[0].name.clone(),
            });
        }
    }
    Ok(all)
}
