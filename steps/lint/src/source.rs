//! What is to be judged: folders of migrations, or single files of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::migration::{self, LoadError, Migration};

/// A folder of migrations, as the command line or `flow.toml` names it.
#[derive(Debug, Clone)]
pub struct Source {
    /// As it was named.
    pub folder: PathBuf,
    /// In the order in which they are applied.
    pub migrations: Vec<Migration>,
    /// Only these were named; the others are context.
    pub only: Option<BTreeSet<String>>,
}

impl Source {
    /// The names of all its migrations.
    pub fn names(&self) -> BTreeSet<String> {
        self.migrations
            .iter()
            .map(|each| each.name.clone())
            .collect()
    }
}

/// Why what was named cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A folder of migrations that cannot be read.
    #[error("the migrations in {} cannot be read", folder.display())]
    Unreadable {
        /// As it was named.
        folder: PathBuf,
        /// The file or folder in it, and why it cannot be read.
        source: LoadError,
    },
    /// A file that is in the folder, and no migration of it.
    #[error("{name} is no migration of {}", folder.display())]
    NoMigration {
        /// The file's or the folder's name.
        name: String,
        /// The folder it lies in.
        folder: PathBuf,
    },
    /// Nothing lies there.
    #[error("there is no {}", .0.display())]
    Missing(PathBuf),
    /// A path such as `..` that leads nowhere.
    #[error("{} cannot be found", path.display())]
    Lost {
        /// As it was named.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// The folders behind the paths, each once and in order: a path is a folder of migrations, one migration's own folder, or
/// its file.
pub fn all(paths: &[PathBuf]) -> Result<Vec<Source>, SourceError> {
    let mut folders: BTreeMap<PathBuf, Option<BTreeSet<String>>> = BTreeMap::new();
    for path in paths {
        let (folder, name) = located(path)?;
        let only = folders
            .entry(folder)
            .or_insert_with(|| name.is_some().then(BTreeSet::new));
        match name {
            None => *only = None,
            Some(name) => {
                if let Some(only) = only {
                    only.insert(name);
                }
            }
        }
    }
    let read = folders.into_iter().map(|(folder, only)| read(folder, only));
    read.collect()
}

fn read(folder: PathBuf, only: Option<BTreeSet<String>>) -> Result<Source, SourceError> {
    let migrations = migration::read_folder(&folder).map_err(|source| SourceError::Unreadable {
        folder: folder.clone(),
        source,
    })?;
    let source = Source {
        folder,
        migrations,
        only,
    };
    let names = source.names();
    let lost = source
        .only
        .iter()
        .flatten()
        .find(|name| !names.contains(*name));
    match lost {
        None => Ok(source),
        Some(name) => Err(SourceError::NoMigration {
            name: name.clone(),
            folder: source.folder,
        }),
    }
}

/// The folder of migrations, and the migration when one was named by its file or its own folder.
fn located(path: &Path) -> Result<(PathBuf, Option<String>), SourceError> {
    let own = path.is_dir() && path.join("migration.sql").is_file();
    if path.is_dir() && !own {
        return Ok((path.to_owned(), None));
    }
    let of_prisma = path.file_name().is_some_and(|name| name == "migration.sql");
    let named = if of_prisma {
        parent(path)
    } else {
        path.to_owned()
    };
    if !own && !path.is_file() {
        return Err(SourceError::Missing(path.to_owned()));
    }
    let named = if named.file_name().is_some() {
        named
    } else {
        // `.` and `..` have no name of their own.
        named.canonicalize().map_err(|source| SourceError::Lost {
            path: path.to_owned(),
            source,
        })?
    };
    let name = named
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    Ok((parent(&named), name))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => path.to_owned(),
    }
}
