//! Who else could write a file that `flow` believes.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A file or folder that others can change. Nothing was read from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} {why}; {fix}")]
pub struct NotOurs {
    path: String,
    why: String,
    fix: String,
}

/// Refuses a file or folder that another user owns or can write, and a file in a folder of that kind: whoever can
/// replace it decides what it says. A link is followed: what it leads to is looked at. Root's own files are trusted.
/// What does not exist is nobody's. A group of one's own (its number is the user's, as many systems make it) may write.
///
/// # Errors
/// [`NotOurs`], with the command that puts it right.
pub fn only_ours(path: &Path) -> Result<(), NotOurs> {
    let Ok(real) = std::fs::canonicalize(path) else {
        return Ok(());
    };
    look(&real, false)?;
    match real.parent() {
        Some(folder) => look(folder, true),
        None => Ok(()),
    }
}

/// Refuses a repository in which others can put objects, refs or settings: the roster that counts is read out of it. `folders`
/// are those that git names as its own; those below their objects and refs are looked at, too.
///
/// # Errors
/// [`NotOurs`], with the command that puts it right.
pub(crate) fn only_our_repository(folders: &[PathBuf]) -> Result<(), NotOurs> {
    for folder in folders {
        only_ours(folder)?;
        for name in ["HEAD", "config", "packed-refs", "info"] {
            let path = folder.join(name);
            if path.exists() {
                look(&path, false)?;
            }
        }
        let all = |e: NotOurs| NotOurs {
            fix: format!("chmod -R go-w {}", folder.display()),
            ..e
        };
        below(&folder.join("objects"), false).map_err(all)?;
        below(&folder.join("refs"), true).map_err(all)?;
    }
    Ok(())
}

/// A folder and those below it; with `files` what lies in them. Links are not followed.
fn below(folder: &Path, files: bool) -> Result<(), NotOurs> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    look(folder, false)?;
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => below(&entry.path(), files)?,
            Ok(kind) if kind.is_file() && files => look(&entry.path(), false)?,
            _ => {}
        }
    }
    Ok(())
}

/// `around`: a folder around what is meant, where a sticky bit keeps others from replacing what is not theirs.
fn look(path: &Path, around: bool) -> Result<(), NotOurs> {
    let shown = path.display().to_string();
    let refused = |why: String, fix: String| NotOurs {
        path: shown.clone(),
        why,
        fix,
    };
    let meta = std::fs::metadata(path).map_err(|e| {
        refused(
            format!("cannot be looked at: {e}"),
            "look at its owner and mode".into(),
        )
    })?;
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me && meta.uid() != 0 {
        let why = format!("belongs to another user (uid {})", meta.uid());
        return Err(refused(why, format!("chown {me} {shown}")));
    }
    let own_group = meta.gid() == meta.uid();
    let others = meta.mode() & 0o002 != 0 || (meta.mode() & 0o020 != 0 && !own_group);
    let sticky = around && meta.mode() & 0o1000 != 0;
    if others && !sticky {
        let why = format!("can be written by others (mode {:o})", meta.mode() & 0o777);
        return Err(refused(why, format!("chmod go-w {shown}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn set(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("sets");
    }

    #[test]
    fn a_file_that_others_can_write_or_replace_is_refused_also_behind_a_link() {
        let dir = tempfile::tempdir().expect("a folder");
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "x").expect("writes");
        std::os::unix::fs::symlink(&file, &link).expect("links");
        set(&file, 0o644);
        assert_eq!(only_ours(&file), Ok(()));
        set(&file, 0o666);
        let why = only_ours(&link).expect_err("refused").to_string();
        assert!(why.contains("can be written by others (mode 666)"), "{why}");
        set(&file, 0o600);
        set(dir.path(), 0o777);
        let why = only_ours(&file).expect_err("refused").to_string();
        assert!(why.contains("chmod go-w"), "{why}");
        set(dir.path(), 0o1777);
        assert_eq!(only_ours(&file), Ok(()), "others cannot replace it there");
        set(dir.path(), 0o700);
        assert_eq!(only_ours(&dir.path().join("none")), Ok(()));
    }

    #[test]
    fn a_repository_into_which_others_can_put_something_is_refused_wherever_that_is() {
        let dir = tempfile::tempdir().expect("a folder");
        let git = dir.path().join(".git");
        for folder in ["objects/pack", "objects/ab", "refs/heads/topic", "info"] {
            std::fs::create_dir_all(git.join(folder)).expect("makes");
        }
        for file in ["HEAD", "config", "packed-refs", "refs/heads/main"] {
            std::fs::write(git.join(file), "x").expect("writes");
        }
        let ours = || only_our_repository(std::slice::from_ref(&git));
        assert_eq!(ours(), Ok(()));
        for name in [
            "",
            "objects",
            "objects/ab",
            "refs/heads",
            "refs/heads/main",
            "refs/heads/topic",
            "info",
            "HEAD",
            "config",
            "packed-refs",
        ] {
            let path = git.join(name);
            let before = std::fs::metadata(&path).expect("there").permissions();
            set(&path, before.mode() | 0o002);
            let why = ours().expect_err(name).to_string();
            assert!(why.contains("can be written by others"), "{name}: {why}");
            std::fs::set_permissions(&path, before).expect("sets");
        }
        assert_eq!(ours(), Ok(()));
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        std::fs::write(&file, "x").expect("writes");
        // Only root can give a file away; another user's file is looked for otherwise.
        if std::os::unix::fs::chown(&file, Some(65_534), None).is_err() {
            return;
        }
        let why = only_ours(&file).expect_err("refused").to_string();
        assert!(why.contains("belongs to another user"), "{why}");
    }
}
