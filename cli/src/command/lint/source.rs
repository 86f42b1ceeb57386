//! What is to be judged: folders of migrations, or single files of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use flow_lint::migration::{self, Migration};

use super::settings::File;
use crate::diagnostic::Diagnostic;

/// A folder of migrations, as the command line or `flow.toml` names it.
pub(crate) struct Source {
    /// As it was named.
    pub(crate) folder: PathBuf,
    /// In the order in which they are applied.
    pub(crate) migrations: Vec<Migration>,
    /// Only these were named; the others are context.
    pub(crate) only: Option<BTreeSet<String>>,
}

impl Source {
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.migrations
            .iter()
            .map(|each| each.name.clone())
            .collect()
    }
}

/// The folders behind the paths; without paths the configured one.
pub(super) fn all(file: &File, paths: &[PathBuf]) -> Result<Vec<Source>, Diagnostic> {
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
    if paths.is_empty() {
        folders.insert(file.migrations()?, None);
    }
    let read = folders.into_iter().map(|(folder, only)| read(folder, only));
    read.collect()
}

fn read(folder: PathBuf, only: Option<BTreeSet<String>>) -> Result<Source, Diagnostic> {
    let migrations = migration::read_folder(&folder).map_err(|e| {
        let what = format!("the migrations in {} cannot be read", folder.display());
        Diagnostic::usage(what).because(&e)
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
        Some(name) => Err(Diagnostic::usage(format!(
            "{name} is no migration of {}",
            source.folder.display()
        ))),
    }
}

/// The folder of migrations, and the migration when one was named by its file or its own folder.
fn located(path: &Path) -> Result<(PathBuf, Option<String>), Diagnostic> {
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
        return Err(Diagnostic::usage(format!("there is no {}", path.display())));
    }
    let named = if named.file_name().is_some() {
        named
    } else {
        // `.` and `..` have no name of their own.
        named.canonicalize().map_err(|e| {
            Diagnostic::usage(format!("{} cannot be found", path.display())).because(&e)
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
