//! DBOS's side: a PostgreSQL cluster of its own, and a Python worker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::Result;
use crate::child::{Child, Spec, output};
use crate::contender::{Contender, Ground, Running};

/// DBOS on PostgreSQL, over a Unix socket.
pub(crate) struct Dbos;

struct Cluster {
    postgres: Child,
    worker: Child,
}

/// `PostgreSQL` refuses to run as root: the user it runs as then.
fn user() -> Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let found = ["postgres", "nobody"].iter().find_map(|name| {
        let line = users.lines().find(|l| l.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    Ok(Some(found.ok_or("neither a user postgres nor nobody")?))
}

/// All that is set; the rest is what `initdb` writes. The syncs are the default, and are written down because the
/// comparison rests on them.
fn configuration(dir: &Path) -> String {
    format!(
        "listen_addresses = ''\nunix_socket_directories = '{}'\nmax_connections = 200\n\
         fsync = on\nsynchronous_commit = on\nfull_page_writes = on\n",
        dir.display()
    )
}

/// What a query answers, without decoration.
fn query(ground: &Ground, dir: &Path, sql: &str) -> Result<String> {
    let mut psql = Command::new(ground.tools.postgres.join("psql"));
    psql.args(["-X", "-A", "-t", "-U", "bench", "-d", "postgres", "-c", sql]);
    output(psql.arg("-h").arg(dir))
}

/// Makes a cluster and starts it.
fn start_postgres(ground: &Ground, trace: Option<&Path>) -> Result<(Child, PathBuf)> {
    let dir = ground.fresh("dbos")?;
    let user = user()?;
    if let Some((uid, gid)) = user {
        std::os::unix::fs::chown(&dir, Some(uid), Some(gid))?;
    }
    let data = dir.join("data");
    let words = [
        "-U",
        "bench",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "-D",
    ];
    let initdb = Spec::new(&ground.tools.postgres.join("initdb"), &dir)
        .args(words.map(Into::into))
        .args([data.clone().into()])
        .user(user);
    output(&mut initdb.command())?;
    let file = data.join("postgresql.conf");
    let written = fs::read_to_string(&file)?;
    fs::write(&file, written + &configuration(&dir))?;
    let mut postgres = Spec::new(&ground.tools.postgres.join("postgres"), &dir)
        .args(["-D".into(), data.into()])
        .user(user)
        .ended_by(Signal::INT)
        .traced(trace)
        .spawn()?;
    let start = Instant::now();
    while let Err(e) = query(ground, &dir, "create database bench") {
        if postgres.ended()? || start.elapsed() > Duration::from_secs(30) {
            return Err(e);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok((postgres, dir))
}

/// What the server itself says its settings are.
pub(crate) fn settings(ground: &Ground) -> Result<String> {
    let (postgres, dir) = start_postgres(ground, None)?;
    let names =
        "('fsync','synchronous_commit','wal_sync_method','full_page_writes','commit_delay')";
    let sql = format!(
        "select string_agg(name || '=' || setting, '; ' order by name) from pg_settings where name in {names}"
    );
    let settings = query(ground, &dir, &sql)?;
    postgres.stop()?;
    Ok(settings)
}

impl Contender for Dbos {
    fn name(&self) -> &'static str {
        "DBOS on PostgreSQL"
    }

    fn start(&self, ground: &Ground, trace: Option<&Path>) -> Result<Box<dyn Running>> {
        let (postgres, dir) = start_postgres(ground, trace)?;
        let own = ground.fresh("dbos-worker")?;
        let script = own.join("dbos_worker.py");
        fs::write(&script, include_str!("../dbos_worker.py"))?;
        let url = format!("postgresql://bench@/bench?host={}", dir.display());
        let mut worker = Spec::new(&ground.tools.python, &own)
            .args([script.into(), url.into()])
            .spawn()?;
        worker.expect_line("ready", Duration::from_mins(1))?;
        Ok(Box::new(Cluster { postgres, worker }))
    }
}

impl Running for Cluster {
    fn drive(&mut self, runs: u64, steps: u64, limit: Duration) -> Result<Duration> {
        self.worker.ask(runs, steps, limit)
    }

    fn stop(self: Box<Self>) -> Result<()> {
        self.worker.stop()?;
        self.postgres.stop()
    }
}
