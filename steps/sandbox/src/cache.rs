//! What is slow to make and the same for every sandbox: the application's Node modules, and a database cluster that
//! Prisma has migrated.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, net};

use crate::application::FILES;
use crate::error::{Doing, SandboxError};
use crate::files::{copy, folder, lock, random, random_bytes, remove, write};
use crate::process::run;
use crate::tools::{Tools, User};

/// What [`Cache::ready`] made or found.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    /// Holds `node_modules`, with pm2 among them.
    pub(crate) npm: PathBuf,
    /// A stopped cluster with the deployed migrations and no rows.
    pub(crate) cluster: PathBuf,
    /// Of the cluster's user `postgres`.
    pub(crate) password: String,
}

/// A cold `npm ci` of another process is waited for this long.
const PATIENCE: Duration = Duration::from_secs(400);

impl Cache {
    /// Makes what is missing. Two processes do it once: the second waits for the first.
    pub(crate) fn ready(
        dir: &Path,
        tools: &Tools,
        user: User,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, SandboxError> {
        folder(dir, 0o755)?;
        let _held =
            lock(&dir.join("lock"), PATIENCE)?.ok_or_else(|| SandboxError::Busy(dir.to_owned()))?;
        let npm = dir.join(format!("npm-{}", key(&["package-lock.json"], &tools.node)));
        if !npm.is_dir() {
            progress("installing the demo application's dependencies (once per machine)");
            install(&npm, tools)?;
        }
        let parts = ["package-lock.json", "prisma/", "prisma.config.ts"];
        let cluster = dir.join(format!(
            "cluster-{}-{}",
            key(&parts, &tools.postgres),
            user.uid
        ));
        if !cluster.is_dir() {
            progress("migrating an empty database (once per machine)");
            Template {
                npm: &npm,
                tools,
                user,
                dir: dir.join("cluster.part"),
            }
            .make(&cluster)?;
        }
        let file = cluster.join("password");
        let password =
            fs::read_to_string(&file).doing(|| format!("cannot read {}", file.display()))?;
        Ok(Self {
            npm,
            cluster: cluster.join("data"),
            password: password.trim().to_owned(),
        })
    }
}

/// Changes with the files and with the place (and so the version) of the program. A key that changes without need, with
/// a newer compiler for instance, costs only time.
fn key(prefixes: &[&str], program: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    for file in FILES
        .iter()
        .filter(|file| prefixes.iter().any(|prefix| file.path.starts_with(prefix)))
    {
        (file.path, file.text).hash(&mut hasher);
    }
    program.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn unpack(dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<(), SandboxError> {
    for file in FILES.iter().filter(|file| wanted(file.path)) {
        let path = dir.join(file.path);
        folder(path.parent().unwrap_or(dir), 0o755)?;
        write(&path, file.text, 0o644)?;
    }
    Ok(())
}

fn install(npm: &Path, tools: &Tools) -> Result<(), SandboxError> {
    let part = npm.with_extension("part");
    remove(&part)?;
    unpack(&part, |path| {
        path.starts_with("package") || path == ".npmrc"
    })?;
    let mut ci = Command::new(&tools.npm);
    ci.current_dir(&part).args([
        "ci",
        "--prefer-offline",
        "--no-progress",
        "--loglevel=error",
    ]);
    run("npm ci", &mut ci)?;
    // `apply.sh` installs again only when the lock file differs from this copy.
    let lock = part.join("package-lock.json");
    fs::copy(&lock, part.join("node_modules/.installed"))
        .doing(|| format!("cannot copy {}", lock.display()))?;
    fs::rename(&part, npm).doing(|| format!("cannot rename {}", part.display()))
}

struct Template<'a> {
    npm: &'a Path,
    tools: &'a Tools,
    user: User,
    dir: PathBuf,
}

impl Template<'_> {
    fn make(&self, cluster: &Path) -> Result<(), SandboxError> {
        remove(&self.dir)?;
        folder(&self.dir, 0o711)?;
        let password = random()?;
        let file = self.dir.join("password");
        write(&file, &password, 0o600)?;
        let data = self.dir.join("data");
        folder(&data, 0o700)?;
        for path in [&file, &data] {
            self.user
                .own(path)
                .doing(|| format!("cannot give away {}", path.display()))?;
        }
        let mut initdb = self.command("initdb");
        initdb.arg("-D").arg(&data).arg("--pwfile").arg(&file);
        initdb.args([
            "-U",
            "postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]);
        initdb.args(["--data-checksums", "--no-sync"]);
        run("initdb", &mut initdb)?;
        let port = free_port(&mut Vec::new())?;
        let ctl = |verb: &str| {
            let mut ctl = self.command("pg_ctl");
            let options = format!(
                "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
            );
            // The server must not hold this process's pipes: whoever reads them would wait for it to end.
            ctl.arg("-D")
                .arg(&data)
                .arg("-l")
                .arg(data.join("template.log"))
                .args(["-w", "-o", &options, "-m", "fast", verb]);
            run(&format!("pg_ctl {verb}"), &mut ctl)
        };
        ctl("start")?;
        let migrated = self.migrate(&format!(
            "postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
        ));
        ctl("stop")?;
        migrated?;
        remove(&self.dir.join("app"))?;
        fs::rename(&self.dir, cluster).doing(|| format!("cannot rename {}", self.dir.display()))
    }

    fn command(&self, program: &str) -> Command {
        let mut words = self.tools.unprivileged(self.user, &self.dir);
        words.push(self.tools.postgres.join(program).display().to_string());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .current_dir("/")
            .env_remove("PGOPTIONS");
        command
    }

    fn migrate(&self, url: &str) -> Result<(), SandboxError> {
        let app = self.dir.join("app");
        unpack(&app, |path| {
            path.starts_with("prisma") || path.starts_with("package")
        })?;
        copy(
            &self.npm.join("node_modules"),
            &app.join("node_modules"),
            true,
        )?;
        let mut prisma = Command::new(app.join("node_modules/.bin/prisma"));
        prisma
            .current_dir(&app)
            .args(["migrate", "deploy"])
            .env("DATABASE_URL", url)
            .env("CHECKPOINT_DISABLE", "1");
        run("prisma migrate deploy", &mut prisma).map(drop)
    }
}

/// A loopback port nobody listens on, below the range the system hands out by itself. Not one of `taken`, to which it
/// is added.
pub(crate) fn free_port(taken: &mut Vec<u16>) -> Result<u16, SandboxError> {
    for _ in 0..1000 {
        let port = 20_000 + u16::from_le_bytes(random_bytes()?) % 12_000;
        if !taken.contains(&port) && net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            taken.push(port);
            return Ok(port);
        }
    }
    Err(SandboxError::Timeout {
        what: "finding a free port".to_owned(),
        seconds: 0,
    })
}
