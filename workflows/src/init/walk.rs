//! Looking through a repository that nobody vouches for: bounded in depth, number and size; links are not followed.

use std::io::Read as _;
use std::path::{Path, PathBuf};

/// How deep the search goes.
const DEPTH: usize = 7;
/// How many entries are looked at, at the most.
const ENTRIES: usize = 30_000;
/// The largest file that is read, in bytes; of a larger one the beginning.
const SIZE: u64 = 256 * 1024;
/// Folders whose content is somebody else's, or made by a build.
const PASSED: [&str; 14] = [
    "node_modules",
    ".git",
    "dist",
    "build",
    "out",
    "target",
    "vendor",
    "coverage",
    ".next",
    ".nuxt",
    ".turbo",
    ".cache",
    ".flow",
    "tmp",
];

/// The files of a repository by their paths inside it, in order.
pub(super) struct Files {
    root: PathBuf,
    /// Paths with `/` between their parts; only names that are plain text.
    pub(super) paths: Vec<String>,
}

impl Files {
    /// Lists what is there. What cannot be read is passed over.
    pub(super) fn of(root: &Path) -> Self {
        let mut paths = Vec::new();
        let mut left = ENTRIES;
        let mut folders = vec![(root.to_owned(), String::new(), 0)];
        while let Some((folder, inside, depth)) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                if left == 0 {
                    break;
                }
                left -= 1;
                let (name, Ok(kind)) = (entry.file_name(), entry.file_type()) else {
                    continue;
                };
                let Some(name) = name.to_str().filter(|name| is_name(name)) else {
                    continue;
                };
                let path = if inside.is_empty() {
                    name.to_owned()
                } else {
                    format!("{inside}/{name}")
                };
                if kind.is_file() {
                    paths.push(path);
                } else if kind.is_dir() && depth < DEPTH && !PASSED.contains(&name) {
                    folders.push((entry.path(), path, depth + 1));
                }
            }
        }
        paths.sort();
        Self {
            root: root.to_owned(),
            paths,
        }
    }

    /// The beginning of a file, as text; nothing when it is none.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let file = std::fs::File::open(self.root.join(path)).ok()?;
        let mut bytes = Vec::new();
        file.take(SIZE).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.paths
            .binary_search_by(|known| known.as_str().cmp(path))
            .is_ok()
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= 120
        && name
            .chars()
            .all(|c| flow_steps::means::plain::is_plain(c) && c != '\\')
}

/// The folder of a path inside the repository; empty for its root.
pub(super) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The last part of a path.
pub(super) fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
