//! Files, folders and random names.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::fs::FlockOperation;

use crate::clock::Deadline;
use crate::error::{Doing, SandboxError};
use crate::process::run;

/// Writes a file of this mode, over whatever was there.
pub(crate) fn write(path: &Path, text: &str, mode: u32) -> Result<(), SandboxError> {
    let put = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(fs::Permissions::from_mode(mode))
    };
    put().doing(|| format!("cannot write {}", path.display()))
}

/// Creates a folder of this mode, and those above it.
pub(crate) fn folder(path: &Path, mode: u32) -> Result<(), SandboxError> {
    let make = || {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    };
    make().doing(|| format!("cannot create {}", path.display()))
}

/// Copies a folder with everything in it; `link` shares the files' contents where the file system allows.
pub(crate) fn copy(from: &Path, to: &Path, link: bool) -> Result<(), SandboxError> {
    let copy = |how: &str| {
        run(
            &format!("copying {}", from.display()),
            Command::new("cp").arg(how).arg(from).arg(to),
        )
    };
    if link && copy("-al").is_ok() {
        return Ok(());
    }
    remove(to)?;
    copy("-a").map(drop)
}

/// Removes a folder; nothing to do when there is none.
pub(crate) fn remove(path: &Path) -> Result<(), SandboxError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).doing(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Takes the lock on a file, waiting at most `patience`; `None` when another has it.
pub(crate) fn lock(path: &Path, patience: Duration) -> Result<Option<fs::File>, SandboxError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .doing(|| format!("cannot open {}", path.display()))?;
    let until = Deadline::after(patience);
    while rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        if until.is_over() {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(Some(file))
}

/// A random name or password of 24 hexadecimal digits.
pub(crate) fn random() -> Result<String, SandboxError> {
    Ok(random_bytes::<12>()?
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}")))
}

pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], SandboxError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| std::io::Error::other(error.to_string()))
        .doing(|| "cannot get random bytes".to_owned())?;
    Ok(bytes)
}
