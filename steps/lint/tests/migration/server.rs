//! A throw-away PostgreSQL for replaying migrations: its own folder, a socket in it, gone when the value is.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Running while it lives.
pub(crate) struct Server {
    dir: tempfile::TempDir,
    bin: PathBuf,
}

/// What a run of `psql` said.
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) good: bool,
}

/// Longest text one argument of a program may be (Linux: 128 KiB with its end).
const MAX_ARGUMENT: usize = 120 << 10;

impl Server {
    /// `None` where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Self> {
        let bin = bin()?;
        let dir = tempfile::Builder::new()
            .prefix("fmig")
            .tempdir_in("/tmp")
            .ok()?;
        let server = Self { dir, bin };
        if root() {
            let chown = Command::new("chown")
                .arg("postgres")
                .arg(server.dir.path())
                .status();
            assert!(chown.expect("chown runs").success());
        }
        let data = server.dir.path().join("d");
        let mut initdb = server.program("initdb");
        initdb.args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-D",
        ]);
        let made = initdb.arg(&data).stdout(Stdio::null()).status();
        assert!(made.expect("initdb runs").success());
        let options = format!(
            "-c listen_addresses= -c unix_socket_directories={} -c fsync=off -c synchronous_commit=off -c full_page_writes=off",
            server.dir.path().display()
        );
        let mut start = server.program("pg_ctl");
        start
            .args(["-w", "-t", "60", "-l"])
            .arg(server.dir.path().join("log"))
            .arg("-D")
            .arg(&data);
        start
            .args(["-o", &options, "start"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        assert!(
            start.status().expect("pg_ctl runs").success(),
            "the server did not start"
        );
        Some(server)
    }

    /// The server refuses to run as root.
    fn program(&self, name: &str) -> Command {
        let path = self.bin.join(name);
        let mut command = if root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
                .arg(path);
            command
        } else {
            Command::new(path)
        };
        // The folder this runs in may be closed to that user.
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args([
            "-XAtq",
            "-U",
            "postgres",
            "-d",
            database,
            "-v",
            "VERBOSITY=verbose",
            "-h",
        ])
        .arg(self.dir.path());
        psql.stdin(Stdio::null()).env(
            "PGOPTIONS",
            "-c client_min_messages=error -c statement_timeout=60000",
        );
        psql
    }

    /// The folder of the socket.
    pub(crate) fn socket(&self) -> String {
        self.dir.path().display().to_string()
    }

    pub(crate) fn create(&self, database: &str) {
        let made = self.run(
            "postgres",
            &[&format!("CREATE DATABASE {database} TEMPLATE template0")],
        );
        assert!(made.good, "{}", made.stderr);
    }

    pub(crate) fn drop(&self, database: &str) {
        self.run(
            "postgres",
            &[&format!("DROP DATABASE IF EXISTS {database}")],
        );
    }

    /// Sends each text as one message, as Prisma does: what has no transaction of its own runs in one. Goes on after an
    /// error; `good` says whether there was none.
    pub(crate) fn run(&self, database: &str, texts: &[&str]) -> Said {
        let mut psql = self.psql(database);
        let mut kept = Vec::new();
        for text in texts {
            if text.len() < MAX_ARGUMENT {
                psql.arg("-c").arg(text);
            } else {
                let mut file = tempfile::NamedTempFile::new().expect("a file");
                std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
                psql.arg("-f").arg(file.path());
                kept.push(file);
            }
        }
        said(&psql.output().expect("psql runs"))
    }

    /// Runs every statement by itself, whatever becomes of the others.
    pub(crate) fn piecemeal(&self, database: &str, file: &Path) -> Said {
        said(
            &self
                .psql(database)
                .arg("-f")
                .arg(file)
                .output()
                .expect("psql runs"),
        )
    }
}

fn said(output: &Output) -> Said {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Said {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        good: output.status.success() && !stderr.contains("ERROR:"),
        stderr,
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut stop = self.program("pg_ctl");
        stop.arg("-D")
            .arg(self.dir.path().join("d"))
            .args(["-m", "immediate", "stop"]);
        let _gone = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

fn bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .filter_map(|each| Some(each.ok()?.path().join("bin")))
        .collect();
    found.retain(|dir| dir.join("initdb").exists());
    found.sort();
    found.pop()
}
