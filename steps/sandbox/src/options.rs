//! What may be chosen about a sandbox.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::SandboxError;
use crate::hosts::Layout;

/// How the hosts are kept apart from this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Each host in namespaces of its own, with a real docker daemon. Needs root.
    Containers,
    /// Processes of this machine on loopback ports, with a stand-in for the `docker` command. Needs nothing special.
    Plain,
}

/// What may be chosen about a sandbox; [`Options::default`] suits the demo and the tests.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which hosts there are.
    pub layout: Layout,
    /// Forces one kind; an error when it does not work here. Otherwise `FLOW_SANDBOX=plain|containers` is asked, then
    /// the best kind that works is taken.
    pub isolation: Option<Isolation>,
    /// Leaves the folder when the sandbox ends, for a look at its logs.
    pub keep: bool,
    /// Where what is slow to make is kept between sandboxes: Node modules and a migrated database. Otherwise
    /// `FLOW_SANDBOX_CACHE`, then `sandbox-cache` in the Cargo target folder this program lies in, then the user's cache folder.
    pub cache: Option<PathBuf>,
    /// How long the demo application's deploy rests between its parts. Half a second when not given.
    pub deploy_pause: Option<Duration>,
}

/// systemd's own program, as Debian has it.
const SYSTEMD: &str = "/lib/systemd/systemd";

impl Layout {
    /// The kind of hosts that this layout can have; an error when another was asked for, or a program is missing.
    pub(crate) fn isolation(
        self,
        wanted: Option<Isolation>,
    ) -> Result<Option<Isolation>, SandboxError> {
        if self == Layout::Environments {
            return Ok(wanted);
        }
        if wanted == Some(Isolation::Plain) {
            let why = "five hosts need namespaces: one has a systemd of its own".to_owned();
            return Err(SandboxError::Isolation(why));
        }
        if !Path::new(SYSTEMD).exists() {
            let why = format!("five hosts need {SYSTEMD} (Debian's package systemd)");
            return Err(SandboxError::Isolation(why));
        }
        Ok(Some(Isolation::Containers))
    }
}

impl Options {
    pub(crate) fn wanted(&self) -> Result<Option<Isolation>, SandboxError> {
        if self.isolation.is_some() {
            return Ok(self.isolation);
        }
        match std::env::var("FLOW_SANDBOX").as_deref() {
            Ok("plain") => Ok(Some(Isolation::Plain)),
            Ok("containers") => Ok(Some(Isolation::Containers)),
            Ok("") | Err(_) => Ok(None),
            Ok(other) => Err(SandboxError::Isolation(format!(
                "FLOW_SANDBOX is `{other}`; it may be `plain`, `containers` or not set"
            ))),
        }
    }

    pub(crate) fn cache(&self) -> PathBuf {
        let set = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let target = || {
            let exe = std::env::current_exe().ok()?;
            let target = exe
                .ancestors()
                .find(|above| above.join("CACHEDIR.TAG").is_file())?;
            Some(target.join("sandbox-cache"))
        };
        let user = || {
            Some(
                set("XDG_CACHE_HOME")
                    .or_else(|| Some(set("HOME")?.join(".cache")))?
                    .join("flow-sandbox"),
            )
        };
        self.cache
            .clone()
            .or_else(|| set("FLOW_SANDBOX_CACHE"))
            .or_else(target)
            .or_else(user)
            .unwrap_or_else(|| Path::new("/tmp").join("flow-sandbox-cache"))
    }
}
