//! Where the repository keeps its migrations, and the schema that belongs to them.

use std::collections::BTreeSet;
use std::path::Path;

use super::walk::{self, Files};

/// The most folders that are taken over.
const MOST: usize = 8;

/// Folders of migrations with what is written about their tables.
pub(super) struct Schemas {
    /// The folders, the shortest path first.
    pub(super) folders: Vec<String>,
    /// The schema, when there is one folder and it is not beside that.
    pub(super) schema: Option<String>,
    /// The text of the schemas' files, of all folders.
    pub(super) texts: Vec<String>,
}

/// Every folder in which a migration or Prisma's lock lies, with the schemas beside them.
pub(super) fn of(files: &Files) -> Schemas {
    let folders = files.paths.iter().filter_map(|path| {
        let migration = path.strip_suffix("/migration.sql")?;
        Some(walk::folder(migration)).filter(|folder| !folder.is_empty())
    });
    let locks = files
        .paths
        .iter()
        .filter_map(|path| path.strip_suffix("/migration_lock.toml"));
    let folders: BTreeSet<&str> = locks.chain(folders).collect();
    let mut folders: Vec<String> = folders.into_iter().map(str::to_owned).collect();
    folders.sort_by_key(String::len);
    folders.truncate(MOST);
    let mut schemas: Vec<&String> = folders
        .iter()
        .flat_map(|folder| beside(files, walk::folder(folder)))
        .collect();
    if schemas.is_empty() && !folders.is_empty() {
        let any = files.paths.iter().filter(|path| is_prisma(path));
        schemas = any.collect();
    }
    schemas.sort();
    schemas.dedup();
    let schema = match folders.as_slice() {
        [one] => elsewhere(walk::folder(one), &schemas),
        _ => None,
    };
    Schemas {
        schema,
        texts: schemas.iter().filter_map(|path| files.text(path)).collect(),
        folders,
    }
}

fn is_prisma(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|end| end == "prisma")
}

/// The schema's files in a folder, or beneath it.
fn beside<'f>(files: &'f Files, folder: &str) -> Vec<&'f String> {
    let start = format!("{folder}/");
    let inside =
        |path: &&String| is_prisma(path) && (folder.is_empty() || path.starts_with(&start));
    files.paths.iter().filter(inside).collect()
}

/// The schema, or its folder, where it is not the usual file in this folder.
fn elsewhere(folder: &str, schemas: &[&String]) -> Option<String> {
    let usual = if folder.is_empty() {
        "schema.prisma".to_owned()
    } else {
        format!("{folder}/schema.prisma")
    };
    let elsewhere = match schemas {
        [] => None,
        all if all.iter().any(|path| **path == usual) => None,
        [one] => Some((*one).clone()),
        [first, ..] => Some(walk::folder(first).to_owned()),
    };
    elsewhere.filter(|path| !path.is_empty())
}
