//! What is compared, and the ground it stands on.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;

/// Something that can execute steps durably.
pub(crate) trait Contender {
    /// As it is called in the table.
    fn name(&self) -> &'static str;

    /// Starts it with an empty store. What writes that store runs under `strace` when a file for its output is given.
    fn start(&self, ground: &Ground, trace: Option<&Path>) -> Result<Box<dyn Running>>;
}

/// One that runs.
pub(crate) trait Running {
    /// Executes `runs` runs of `steps` steps at once; says how long that took, from handing them in to the last result.
    fn drive(&mut self, runs: u64, steps: u64, limit: Duration) -> Result<Duration>;

    /// Ends its processes.
    fn stop(self: Box<Self>) -> Result<()>;
}

/// Programs the comparison needs.
pub(crate) struct Tools {
    /// This program, for the workers.
    pub(crate) me: PathBuf,
    /// The program of Restate's server.
    pub(crate) restate: PathBuf,
    /// A Python that has DBOS.
    pub(crate) python: PathBuf,
    /// The folder of `initdb` and `postgres`.
    pub(crate) postgres: PathBuf,
}

impl Tools {
    /// As `run.sh` installed them below `peers`.
    pub(crate) fn find(peers: &Path, postgres: &Path) -> Result<Self> {
        let tools = Self {
            me: std::env::current_exe()?,
            restate: peers
                .join("npm/node_modules/@restatedev/restate-server-linux-x64/bin/restate-server"),
            python: peers.join("venv/bin/python"),
            postgres: postgres.to_owned(),
        };
        for path in [&tools.restate, &tools.python, &postgres.join("postgres")] {
            if !path.exists() {
                return Err(
                    format!("{} is missing; start this with run.sh", path.display()).into(),
                );
            }
        }
        Ok(tools)
    }
}

/// The folder everything is written to, removed at the end.
pub(crate) struct Ground {
    pub(crate) dir: PathBuf,
    pub(crate) tools: Tools,
}

impl Ground {
    /// A new folder below `base`, which must lie on a disk: on a file system in memory a sync costs nothing.
    pub(crate) fn new(base: &Path, tools: Tools) -> Result<Self> {
        const TMPFS: i64 = 0x0102_1994;
        if rustix::fs::statfs(base)?.f_type == TMPFS {
            let base = base.display();
            return Err(
                format!("{base} lies in memory; name a folder on a disk in BENCH_DIR").into(),
            );
        }
        let dir = base.join(format!("flow-peers-{}", std::process::id()));
        fs::create_dir(&dir)?;
        // PostgreSQL runs as another user and must be able to enter.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        Ok(Self { dir, tools })
    }

    /// An empty folder of this name.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let dir = self.dir.join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir(&dir)?;
        Ok(dir)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Nothing depends on it any more.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Loopback addresses nobody listens on; all different.
pub(crate) fn free_addresses<const N: usize>() -> Result<[SocketAddr; N]> {
    let mut held = Vec::new();
    let mut found = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for address in &mut found {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(found)
}
