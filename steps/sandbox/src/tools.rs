//! The programs a sandbox is made of, and the unprivileged user `PostgreSQL` and the mail server run as.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::SandboxError;
use crate::process::run;

/// Where the programs of this machine are.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    pub(crate) sshd: PathBuf,
    pub(crate) exim: PathBuf,
    pub(crate) node: PathBuf,
    pub(crate) npm: PathBuf,
    /// The folder of `initdb`, `postgres`, `psql`; the newest version installed.
    pub(crate) postgres: PathBuf,
    pub(crate) root: bool,
    /// The login name of this process's user, who logs in over ssh.
    pub(crate) login: String,
}

impl Tools {
    /// Looks for every program; one error names all that are missing.
    pub(crate) fn find() -> Result<Self, SandboxError> {
        let mut missing = Vec::new();
        let mut need = |name: &str, others: &[&str]| {
            std::iter::once(&name)
                .chain(others)
                .find_map(|name| which(name))
                .unwrap_or_else(|| {
                    missing.push(name.to_owned());
                    PathBuf::new()
                })
        };
        let sshd = need("sshd", &[]);
        let root = rustix::process::geteuid().is_root();
        // Without root another mail server takes its place.
        let exim = if root {
            need("exim4", &["exim"])
        } else {
            PathBuf::new()
        };
        let node = need("node", &["nodejs"]);
        let npm = need("npm", &[]);
        for name in [
            "bash",
            "cp",
            "git",
            "openssl",
            "setpriv",
            "setsid",
            "ssh",
            "ssh-keygen",
        ] {
            need(name, &[]);
        }
        let postgres = postgres_bin().unwrap_or_else(|| {
            missing.push("PostgreSQL (initdb)".to_owned());
            PathBuf::new()
        });
        if !missing.is_empty() {
            return Err(SandboxError::Missing(missing));
        }
        let login = run("asking for the login name", Command::new("id").arg("-un"))?
            .trim()
            .to_owned();
        Ok(Self {
            sshd,
            exim,
            node,
            npm,
            postgres,
            root,
            login,
        })
    }

    /// `PATH` of the hosts after their own `bin`.
    pub(crate) fn path(&self) -> String {
        let node = self.node.parent().unwrap_or(Path::new("/usr/bin"));
        format!(
            "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            node.display()
        )
    }

    /// The first words of a command that must not run as root; empty when this process is not root.
    ///
    /// `PostgreSQL` refuses root. Where the user could not enter the sandbox's folder (below a private home), the
    /// command keeps the one capability that ignores file permissions.
    pub(crate) fn unprivileged(&self, user: User, dir: &Path) -> Vec<String> {
        if !self.root {
            return Vec::new();
        }
        let mut words = vec![
            "setpriv".to_owned(),
            format!("--reuid={}", user.uid),
            format!("--regid={}", user.gid),
            "--clear-groups".to_owned(),
        ];
        if !enterable(dir) {
            words.push("--inh-caps=+dac_override".to_owned());
            words.push("--ambient-caps=+dac_override".to_owned());
        }
        words
    }
}

/// An entry of the user database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// The first of these users that exists; oneself when not root.
    pub(crate) fn first_of(tools: &Tools, names: &[&str]) -> Result<Self, SandboxError> {
        if !tools.root {
            return Ok(Self {
                uid: rustix::process::geteuid().as_raw(),
                gid: rustix::process::getegid().as_raw(),
            });
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        names
            .iter()
            .find_map(|name| {
                let line = users
                    .lines()
                    .find(|line| line.split(':').next() == Some(name))?;
                let mut fields = line.split(':').skip(2);
                Some(Self {
                    uid: fields.next()?.parse().ok()?,
                    gid: fields.next()?.parse().ok()?,
                })
            })
            .ok_or_else(|| {
                SandboxError::Missing(vec![format!("one of the users {}", names.join(", "))])
            })
    }

    /// Gives a file or folder to this user; nothing to do when it is already theirs.
    pub(crate) fn own(self, path: &Path) -> std::io::Result<()> {
        if fs::metadata(path)?.uid() == self.uid {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
    }
}

/// Every folder above may be passed by everyone.
fn enterable(dir: &Path) -> bool {
    dir.ancestors()
        .skip(1)
        .all(|above| fs::metadata(above).is_ok_and(|about| about.permissions().mode() & 0o001 != 0))
}

pub(crate) fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| {
            fs::metadata(file)
                .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
        })
}

fn postgres_bin() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(_, bin)| bin.join("initdb").is_file())
        .collect();
    versions.sort();
    let debian = versions.pop().map(|(_, bin)| bin);
    debian.or_else(|| Some(which("initdb")?.canonicalize().ok()?.parent()?.to_owned()))
}
