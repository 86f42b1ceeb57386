//! Copies of a checkout, each with its own place for the generated client.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::NotChecked;
use crate::clock::Deadline;

/// A folder that is gone when the last one who works in it is done.
#[derive(Debug, Clone)]
pub(super) struct Scratch(Arc<Folder>);

#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing can be done about what cannot be removed; it is in the system's temporary folder.
        let _left = fs::remove_dir_all(&self.0);
    }
}

impl Scratch {
    pub(super) fn new() -> Result<Self, NotChecked> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| NotChecked(format!("no random numbers for a name: {error}")))?;
        let root = std::env::temp_dir();
        let path = root
            .canonicalize()
            .map_err(|error| NotChecked::io("cannot open", &root, &error))?
            .join(format!("flow-types-{:016x}", u64::from_ne_bytes(random)));
        // Fails when it exists: nobody else can have prepared it.
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| NotChecked::io("cannot create", &path, &error))?;
        Ok(Self(Arc::new(Folder(path))))
    }

    /// Absolute, without links.
    pub(super) fn path(&self) -> &Path {
        &self.0.0
    }

    /// A new, empty folder in it.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, NotChecked> {
        let path = self.0.0.join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| NotChecked::io("cannot create", &path, &error))?;
        Ok(path)
    }
}

/// What to copy.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) checkout: PathBuf,
    /// The `node_modules` folders of the checkout are installed ones, and not part of the code.
    pub(super) installed: bool,
    pub(super) node_modules: PathBuf,
    /// Where `node_modules` is in the copy.
    pub(super) place: PathBuf,
    /// Folders whose files will be written over.
    pub(super) written: Vec<PathBuf>,
}

/// A copy of the code to generate and compile in.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: PathBuf,
    pub(super) node_modules: PathBuf,
}

/// Copies the code, and links the files of the dependencies: they are many and only read.
pub(super) async fn copy(
    scratch: &Scratch,
    name: &str,
    what: Copy,
    until: Deadline,
) -> Result<Tree, NotChecked> {
    let root = scratch.folder(name)?;
    let tree = Tree {
        node_modules: root.join(&what.place),
        root: root.clone(),
    };
    // Keeps the folder until the thread is done, should nobody wait for it any more.
    let held = scratch.clone();
    tokio::task::spawn_blocking(move || {
        let _held = held;
        let work = Work { what, root, until };
        work.code(Path::new(""))?;
        if work.what.installed {
            return Ok(());
        }
        work.dependencies(&work.what.node_modules, &work.what.place)
    })
    .await
    .map_err(|error| NotChecked(format!("copying the code broke off: {error}")))??;
    Ok(tree)
}

struct Work {
    what: Copy,
    root: PathBuf,
    until: Deadline,
}

impl Work {
    fn code(&self, folder: &Path) -> Result<(), NotChecked> {
        let from = self.what.checkout.join(folder);
        for (path, name, kind) in entries(&from)? {
            let relative = folder.join(&name);
            let to = self.root.join(&relative);
            let label = name.to_string_lossy();
            let done = if label == ".git" || label.starts_with(".env") {
                // History and secrets: neither is code, and Prisma would take over what `.env` says.
                continue;
            } else if label == "node_modules" {
                if self.what.installed {
                    self.dependencies(&path, &relative)?;
                }
                continue;
            } else if kind.is_dir() {
                self.make(&to)?;
                self.code(&relative)?;
                continue;
            } else if kind.is_symlink() {
                self.link_inside(&path, &to)
            } else if kind.is_file() {
                fs::copy(&path, &to).map(drop)
            } else {
                continue;
            };
            done.map_err(|error| NotChecked::io("cannot copy", &path, &error))?;
        }
        Ok(())
    }

    /// A link of the code is kept when it stays inside: the compiler would print parts of a file elsewhere.
    fn link_inside(&self, path: &Path, to: &Path) -> io::Result<()> {
        let target = fs::read_link(path)?;
        // Nor into the dependencies: the client could be generated over linked files.
        let stays = path.canonicalize().is_ok_and(|real| {
            real.strip_prefix(&self.what.checkout)
                .is_ok_and(|it| it.iter().all(|part| part != "node_modules"))
        });
        if stays && target.is_relative() {
            symlink(target, to)?;
        }
        Ok(())
    }

    fn dependencies(&self, from: &Path, to: &Path) -> Result<(), NotChecked> {
        // A link to an installation elsewhere is followed once, here.
        let from = &from
            .canonicalize()
            .map_err(|error| NotChecked::io("cannot open", from, &error))?;
        self.make(&self.root.join(to))?;
        self.packages(from, to)
    }

    fn packages(&self, from: &Path, folder: &Path) -> Result<(), NotChecked> {
        for (path, name, kind) in entries(from)? {
            let relative = folder.join(&name);
            let to = self.root.join(&relative);
            let done = if kind.is_dir() {
                // The client that was generated last, for no schema we know.
                if name != ".prisma" {
                    self.make(&to)?;
                    self.packages(&path, &relative)?;
                }
                continue;
            } else if kind.is_symlink() {
                // As it is: pnpm's point to their neighbours and at packages of the checkout.
                fs::read_link(&path).and_then(|target| symlink(target, &to))
            } else if self.is_written(&relative) {
                fs::copy(&path, &to).map(drop)
            } else {
                // On another file system, or of another user, it cannot be linked.
                fs::hard_link(&path, &to).or_else(|_| fs::copy(&path, &to).map(drop))
            };
            done.map_err(|error| NotChecked::io("cannot copy", &path, &error))?;
        }
        Ok(())
    }

    fn is_written(&self, relative: &Path) -> bool {
        let client = relative
            .components()
            .zip(relative.components().skip(1))
            .any(|(scope, name)| scope.as_os_str() == "@prisma" && name.as_os_str() == "client");
        client
            || self
                .what
                .written
                .iter()
                .any(|folder| relative.starts_with(folder))
    }

    fn make(&self, path: &Path) -> Result<(), NotChecked> {
        if self.until.is_over() {
            return Err(NotChecked(
                "the time limit was reached while the code was copied".to_owned(),
            ));
        }
        fs::create_dir_all(path).map_err(|error| NotChecked::io("cannot create", path, &error))
    }
}

/// Path, name and kind of what is in a folder.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, std::ffi::OsString, fs::FileType)>, NotChecked> {
    let read = || -> io::Result<Vec<_>> {
        fs::read_dir(folder)?
            .map(|entry| {
                let entry = entry?;
                Ok((entry.path(), entry.file_name(), entry.file_type()?))
            })
            .collect()
    };
    read().map_err(|error| NotChecked::io("cannot read", folder, &error))
}
