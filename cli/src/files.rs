//! Files that a person names, such as an export: evidence, so never over another file, and never a part of one.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::diagnostic::Diagnostic;
use crate::exit::Exit;

/// Writes one file for its owner's eyes alone. It has its name only once it is whole and on the disk.
///
/// # Errors
/// Exit 2 when the name is taken or its folder cannot take a file, 74 when the disk does not take all of it. Nothing is
/// under the name then that was not there before.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), Diagnostic> {
    write_all_new(&[(path.to_owned(), text.to_owned())])
}

/// The same for several files: all of them, or none.
///
/// # Errors
/// As [`write_new`].
pub(crate) fn write_all_new(files: &[(PathBuf, String)]) -> Result<(), Diagnostic> {
    let mut written = Vec::new();
    for (path, text) in files {
        if path.symlink_metadata().is_ok() {
            return Err(failed(path, &ErrorKind::AlreadyExists.into()));
        }
        written.push((beside(path, text).map_err(|e| failed(path, &e))?, path));
    }
    let mut named: Vec<&PathBuf> = Vec::new();
    for (file, path) in written {
        let done = file
            .persist_noclobber(path)
            .map_err(|e| e.error)
            .and_then(|_| sync(folder(path)));
        if let Err(error) = done {
            let taken = error.kind() == ErrorKind::AlreadyExists;
            for ours in named.into_iter().chain((!taken).then_some(path)) {
                let _what_failed_is_said = std::fs::remove_file(ours);
            }
            return Err(failed(path, &error));
        }
        named.push(path);
    }
    Ok(())
}

/// A file without a name of its own yet, in the folder where it will have one, whole and on the disk.
fn beside(path: &Path, text: &str) -> std::io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix(".flow-")
        .tempfile_in(folder(path))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Some file systems do not sync folders; a name that a power cut takes away is no part of a file.
fn sync(folder: &Path) -> std::io::Result<()> {
    match std::fs::File::open(folder)?.sync_all() {
        Err(e) if e.kind() != ErrorKind::InvalidInput => Err(e),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Diagnostic {
    let message = format!("{} cannot be written", path.display());
    let (exit, why) = why(path, error);
    Diagnostic::new(exit, message)
        .because(error)
        .world("Nothing was changed, and no part of it is left there.")
        .hint(why)
}

/// What stands in the way, and what to do.
fn why(path: &Path, error: &std::io::Error) -> (Exit, String) {
    let folder = folder(path).display();
    match error.kind() {
        ErrorKind::AlreadyExists => (
            Exit::Usage,
            "something has this name already, and is never written over: name another file".into(),
        ),
        ErrorKind::NotFound => (
            Exit::Usage,
            format!("there is no folder {folder}: mkdir -p {folder}"),
        ),
        ErrorKind::NotADirectory => (
            Exit::Usage,
            format!("{folder} is no folder: name a file in another one"),
        ),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => (
            Exit::Usage,
            format!("you may not write into {folder}: name a file in another folder"),
        ),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => (
            Exit::Unwritten,
            format!(
                "the disk of {folder} does not take it: make room, or name a file on another disk"
            ),
        ),
        _ => (
            Exit::Unwritten,
            "name a file in another folder, or mend what is said above".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let names = std::fs::read_dir(dir).expect("reads");
        let name = |each: std::io::Result<std::fs::DirEntry>| {
            each.expect("reads")
                .file_name()
                .to_string_lossy()
                .into_owned()
        };
        let mut names: Vec<String> = names.map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn what_stands_in_the_way_of_a_file_is_named_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        write_new(&path("there"), "old").expect("writes");
        std::os::unix::fs::symlink("nowhere", path("link")).expect("links");
        for (name, words) in [
            ("there", "has this name already"),
            ("link", "has this name already"),
            (".", "has this name already"),
            ("none/x", "mkdir -p "),
            ("there/x", "is no folder"),
        ] {
            let error = write_new(&path(name), "new").expect_err(name);
            assert_eq!(error.exit, Exit::Usage, "{name}");
            assert!(error.render().contains(words), "{}", error.render());
        }
        let full = failed(&path("x"), &ErrorKind::StorageFull.into());
        assert_eq!(full.exit, Exit::Unwritten);
        assert!(full.render().contains("make room"), "{}", full.render());
        assert_eq!(names(dir.path()), ["link", "there"]);
        assert_eq!(
            std::fs::read_to_string(path("there")).expect("reads"),
            "old"
        );
    }

    #[test]
    fn of_several_files_all_are_written_or_none() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a folder");
        let file = |name: &str| (dir.path().join(name), name.to_owned());
        write_all_new(&[file("a"), file("b")]).expect("writes");
        let mode = std::fs::metadata(dir.path().join("a")).expect("is there");
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        // The same name twice is found only when the second one is to get it.
        for taken in [[file("c"), file("a")], [file("c"), file("c")]] {
            write_all_new(&taken).expect_err("the name is taken");
            assert_eq!(names(dir.path()), ["a", "b"]);
        }
    }
}
