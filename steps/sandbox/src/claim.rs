//! Taking a folder for a sandbox, and clearing what an earlier one left in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cgroups::remove_cgroups;
use crate::error::{Doing, SandboxError};
use crate::files::{folder, lock, remove};
use crate::hosts::HOSTS;
use crate::process::{Scope, run};

/// Marks a folder as a sandbox's and holds its id.
pub(crate) const MARKER: &str = "sandbox.id";

/// Takes a folder for a new sandbox and clears what an earlier one left in it.
pub(crate) fn claim(dir: &Path) -> Result<(PathBuf, fs::File), SandboxError> {
    let refuse = |why: &str| SandboxError::Folder {
        dir: dir.to_owned(),
        why: why.to_owned(),
    };
    if !dir.exists() {
        folder(dir, 0o711)?;
    }
    let dir = dir
        .canonicalize()
        .doing(|| format!("cannot open {}", dir.display()))?;
    let entries = || fs::read_dir(&dir).doing(|| format!("cannot open {}", dir.display()));
    if !dir.join(MARKER).exists() && entries()?.next().is_some() {
        return Err(refuse(
            "it is not empty and no sandbox made it; name an empty or a new folder",
        ));
    }
    if dir.as_os_str().len() > 75 {
        return Err(refuse(
            "its path is longer than 75 bytes, too long for pm2's sockets; name a shorter one",
        ));
    }
    let safe = |text: &str| {
        !text.contains(|at: char| {
            at.is_control() || "\"'$`\\%{}:#".contains(at) || at.is_whitespace()
        })
    };
    if !dir.to_str().is_some_and(safe) {
        return Err(refuse(
            "its path holds blanks or signs that sshd, exim or a shell would read as their own",
        ));
    }
    folder(&dir, 0o711)?;
    let held =
        lock(&dir.join("lock"), Duration::ZERO)?.ok_or_else(|| SandboxError::Busy(dir.clone()))?;
    if let Ok(id) = fs::read_to_string(dir.join(MARKER)) {
        Scope {
            dir: dir.clone(),
            id: id.trim().to_owned(),
            host: None,
        }
        .end(Duration::ZERO)?;
        clear_shared_memory(&dir);
        remove_cgroups(id.trim());
    }
    clear(&dir)?;
    Ok((dir, held))
}

/// Removes everything in a sandbox's folder but what marks and locks it.
pub(crate) fn clear(dir: &Path) -> Result<(), SandboxError> {
    let entries = fs::read_dir(dir).doing(|| format!("cannot open {}", dir.display()))?;
    for entry in entries.flatten().filter(|entry| {
        !["lock", MARKER]
            .iter()
            .any(|kept| entry.file_name() == *kept)
    }) {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&path)?;
        } else {
            fs::remove_file(&path).doing(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Frees the small System V segments of databases that were killed: line 7 of `postmaster.pid` is key and id.
pub(crate) fn clear_shared_memory(dir: &Path) {
    for host in HOSTS {
        let text = fs::read_to_string(dir.join("hosts").join(host).join("pgdata/postmaster.pid"))
            .unwrap_or_default();
        if let Some(id) = text
            .lines()
            .nth(6)
            .and_then(|line| line.split_whitespace().nth(1))
        {
            run("ipcrm", Command::new("ipcrm").args(["-m", id])).ok();
        }
    }
}
