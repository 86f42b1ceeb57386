//! A server of its own: made in a folder, listening on a socket in it, gone afterwards.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::ReplayError;
use super::wire::{Address, Login, Session, WireError};
use crate::clock::Deadline;

/// The owner of the cluster. Migrations never run as it.
pub(super) const OWNER: &str = "flow_replay_owner";
/// The longest path a socket may have is 107 bytes (Linux); macOS gives 103.
const SOCKET_DIR_MAX: usize = 80;
/// How long the server may take to stop before its folder is removed from under it.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// `nobody`: it owns nothing a migration could reach for.
const NOBODY: u32 = 65_534;

/// No network, no durability, little memory; a temporary file of a query is bounded, and a session cannot change that.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "jit=off",
    "max_connections=12",
    "max_parallel_workers=0",
    "max_wal_senders=0",
    "wal_level=minimal",
    "max_wal_size=256MB",
    "shared_buffers=32MB",
    "temp_file_limit=1GB",
    "log_min_messages=fatal",
    "log_min_error_statement=panic",
];

/// The server runs while the keeper's input is open: when this process ends in whatever way, the keeper stops the server and
/// removes the folder. `ulimit -f`: no file over 512 MiB, so that a table without end is an error and not a full disk.
const KEEPER: &str = r#"ulimit -f 1048576
bin=$1; dir=$2; shift 2
"$bin/postgres" -D "$dir/d" -k "$dir" "$@" >"$dir/log" 2>&1 </dev/null &
pid=$!
cat >/dev/null
kill -QUIT "$pid" 2>/dev/null
wait "$pid"
rm -rf -- "$dir""#;

/// A running server. Dropping it stops it and removes everything it had.
pub(super) struct Cluster {
    dir: PathBuf,
    keeper: Child,
}

impl Cluster {
    /// Makes and starts one, within the time given.
    pub(super) fn start(bin: Option<&Path>, until: Deadline) -> Result<Self, ReplayError> {
        let bin = match bin {
            Some(bin) => bin.to_owned(),
            None => find_bin().ok_or(ReplayError::NoServer)?,
        };
        let dir = Folder::new()?;
        initdb(&bin, &dir.0, until)?;
        let mut keeper = as_nobody("sh");
        keeper.arg("-c").arg(KEEPER).arg("sh").arg(&bin).arg(&dir.0);
        for setting in SETTINGS {
            keeper.args(["-c", setting]);
        }
        let keeper = keeper
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A signal from the terminal is for flow; the keeper ends when its input does.
            .process_group(0)
            .spawn()
            .map_err(|e| ReplayError::Start(format!("sh cannot be started: {e}")))?;
        let cluster = Self {
            dir: dir.keep(),
            keeper,
        };
        cluster.wait_until_it_answers(until)?;
        Ok(cluster)
    }

    pub(super) fn address(&self) -> Address {
        Address::Unix(self.dir.join(".s.PGSQL.5432"))
    }

    /// The socket's folder is closed to others, so nobody needs a password.
    pub(super) fn owner() -> Login {
        Login {
            user: OWNER.into(),
            password: String::new(),
        }
    }

    fn wait_until_it_answers(&self, until: Deadline) -> Result<(), ReplayError> {
        loop {
            match Session::open(&self.address(), &Self::owner(), "postgres", until) {
                Ok(_) => return Ok(()),
                Err(e) if until.is_over() || matches!(e, WireError::Odd(_)) => {
                    let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                    let last = log.lines().last().unwrap_or("its log is empty");
                    return Err(ReplayError::Start(format!("{e}; {last}")));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(30)),
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let until = Deadline::after(STOP_WITHIN);
        while !until.is_over() {
            if matches!(self.keeper.try_wait(), Ok(Some(_)) | Err(_)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(self.keeper.kill());
        drop(self.keeper.wait());
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

/// The folder, removed unless it is kept.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, ReplayError> {
        let failed = |dir: &Path, e: std::io::Error| {
            ReplayError::Start(format!("the folder {} cannot be made: {e}", dir.display()))
        };
        let mut parent = std::env::temp_dir();
        if parent.as_os_str().len() > SOCKET_DIR_MAX - 24 {
            parent = PathBuf::from("/tmp");
        }
        let mut random = [0; 6];
        getrandom::fill(&mut random)
            .map_err(|e| ReplayError::Start(format!("this machine gives no randomness: {e}")))?;
        let name = random.iter().fold("flow-replay-".to_owned(), |name, byte| {
            format!("{name}{byte:02x}")
        });
        let dir = parent.join(name);
        let mut builder = DirBuilder::new();
        let made = builder.mode(0o700).create(&dir);
        made.map_err(|e| failed(&dir, e))?;
        let made = Self(dir);
        if root() {
            std::os::unix::fs::chown(&made.0, Some(NOBODY), Some(NOBODY))
                .map_err(|e| failed(&made.0, e))?;
        }
        Ok(made)
    }

    fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }
}

fn initdb(bin: &Path, dir: &Path, until: Deadline) -> Result<(), ReplayError> {
    let failed = |why: String| ReplayError::Start(format!("initdb: {why}"));
    let mut initdb = as_nobody(bin.join("initdb"));
    initdb
        .args(["-U", OWNER, "-A", "trust", "--no-sync"])
        .args(["-E", "UTF8", "--locale=C", "-D"])
        .arg(dir.join("d"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = initdb.spawn().map_err(|e| failed(e.to_string()))?;
    loop {
        match child.try_wait() {
            Ok(None) if !until.is_over() => std::thread::sleep(Duration::from_millis(20)),
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(_)) => {
                let output = child.wait_with_output().map(|o| o.stderr);
                let said = output.unwrap_or_default();
                let said = String::from_utf8_lossy(&said);
                let last = said.lines().last().unwrap_or_default();
                return Err(failed(last.chars().take(300).collect()));
            }
            Ok(None) | Err(_) => {
                drop(child.kill());
                drop(child.wait());
                return Err(failed("it did not end in time".into()));
            }
        }
    }
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The server refuses to run as root, and should be nobody there. It inherits no secret of this process's environment.
fn as_nobody(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = if root() {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={NOBODY}"));
        command.arg(format!("--regid={NOBODY}"));
        command.args(["--clear-groups", "--no-new-privs"]);
        command.arg(program);
        command
    } else {
        Command::new(program)
    };
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LC_ALL", "C")
        // The folder this runs in may be closed to that user.
        .current_dir("/");
    command
}

/// The newest version that is installed where distributions put it, else the one in the `PATH`.
fn find_bin() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
    ] {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        found.extend(entries.filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        }));
    }
    found.retain(|(_, bin)| is_bin(bin));
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = || std::env::split_paths(&path).find(|dir| dir.is_absolute() && is_bin(dir));
    found.pop().map(|(_, bin)| bin).or_else(in_path)
}

fn is_bin(dir: &Path) -> bool {
    dir.join("initdb").is_file() && dir.join("postgres").is_file()
}

/// Whether this machine has what a server of its own needs.
pub(super) fn is_possible() -> bool {
    find_bin().is_some()
}
