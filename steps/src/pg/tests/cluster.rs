//! A server for these tests: one for all of them, a database for each, gone when the test process is.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use crate::means::host::Local;
use crate::means::psql::{Database, Pg};

struct Cluster {
    dir: PathBuf,
    bin: String,
    /// Its end of the pipe closes when this process ends in whatever way; then the server is stopped and removed.
    _keeper: Child,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static NUMBER: AtomicU32 = AtomicU32::new(0);

fn bin() -> String {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|dirs| {
            dirs.filter_map(|d| Some(d.ok()?.path().join("bin")))
                .collect()
        })
        .unwrap_or_default();
    found.retain(|dir| dir.join("initdb").exists());
    found.sort();
    let dir = found.pop().expect("these tests need PostgreSQL's programs");
    dir.to_str().unwrap().to_owned()
}

/// The server refuses to run as root.
fn as_user(program: String) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=postgres",
        "--regid=postgres",
        "--init-groups",
        &program,
    ]);
    command
}

fn done(mut command: Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn start() -> Cluster {
    let bin = bin();
    let dir = tempfile::Builder::new()
        .prefix("fpg")
        .tempdir_in("/tmp")
        .unwrap()
        .keep();
    if rustix::process::geteuid().is_root() {
        let mut chown = Command::new("chown");
        chown.arg("postgres").arg(&dir);
        done(chown);
    }
    let data = dir.join("d");
    let mut initdb = as_user(format!("{bin}/initdb"));
    initdb
        .args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-D",
        ])
        .arg(&data);
    done(initdb);
    let options = format!(
        "-c listen_addresses= -c unix_socket_directories={} -c fsync=off -c max_connections=60 -c shared_buffers=64MB -c max_prepared_transactions=2 -c wal_level=logical",
        dir.display()
    );
    let mut ctl = as_user(format!("{bin}/pg_ctl"));
    ctl.args(["-w", "-t", "60", "-l"])
        .arg(dir.join("log"))
        .arg("-D")
        .arg(&data)
        .args(["-o", &options, "start"]);
    ctl.stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null());
    assert!(ctl.status().unwrap().success(), "the server did not start");
    let mut keeper = as_user("sh".into());
    keeper.args(["-c", "cat >/dev/null; \"$1/pg_ctl\" -D \"$2/d\" -m immediate stop >/dev/null 2>&1; rm -rf \"$2\"", "sh", &bin]).arg(&dir);
    keeper
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut keeper, 0);
    Cluster {
        bin,
        _keeper: keeper.spawn().unwrap(),
        dir,
    }
}

/// A database of its own name with these statements run in it.
pub(in crate::pg) async fn database(sql: &str) -> Pg {
    let n = NUMBER.fetch_add(1, Ordering::Relaxed);
    let cluster = tokio::task::spawn_blocking(|| CLUSTER.get_or_init(start))
        .await
        .unwrap();
    let db = Database {
        host: "here".into(),
        exec: vec!["env".into(), format!("PGHOST={}", cluster.dir.display())],
        user: "postgres".into(),
        name: format!("shop{n}"),
        maintenance: "template1".into(),
        bin: Some(cluster.bin.clone()),
    };
    let pg = Pg::new(Arc::new(Local::new("here")), db).unwrap();
    // Only from template0: somebody else may be in template1.
    pg.maintenance()
        .query(&format!("CREATE DATABASE shop{n} TEMPLATE template0;"))
        .await
        .unwrap();
    if !sql.is_empty() {
        pg.query(sql).await.unwrap();
    }
    pg
}

/// As [`database`], owned by an ordinary role of its own, `CREATEDB` and no superuser, that flow connects as.
pub(in crate::pg) async fn ordinary(sql: &str) -> Pg {
    let pg = database("").await;
    let (name, mut db) = (pg.db.name.clone(), pg.db.clone());
    db.user = format!("owner_{name}");
    pg.maintenance()
        .query(&format!(
            "CREATE ROLE owner_{name} LOGIN CREATEDB NOSUPERUSER; ALTER DATABASE {name} OWNER TO owner_{name};"
        ))
        .await
        .unwrap();
    let pg = Pg::new(Arc::new(Local::new("here")), db).unwrap();
    if !sql.is_empty() {
        pg.query(&format!("SET search_path = public; {sql}"))
            .await
            .unwrap();
    }
    pg
}

/// The same database as the server's superuser.
pub(in crate::pg) fn as_superuser(pg: &Pg) -> Pg {
    let db = Database {
        user: "postgres".into(),
        ..pg.db.clone()
    };
    Pg::new(Arc::new(Local::new("here")), db).unwrap()
}

/// As [`database`], the way a step has it: the host is `here`.
pub(crate) async fn for_a_step(sql: &str) -> (Pg, Database) {
    let pg = database(sql).await;
    let db = pg.db.clone();
    (pg, db)
}

/// The names of all databases that belong to a run or derive from a name.
pub(in crate::pg) async fn databases(pg: &Pg, part: &str) -> Vec<String> {
    let sql = format!("SELECT datname FROM pg_database WHERE datname ~ '{part}(_|$)' ORDER BY 1;");
    pg.maintenance().query(&sql).await.unwrap()
}

/// What a query answers, rows and columns joined with `|`.
pub(crate) async fn value(pg: &Pg, sql: &str) -> String {
    pg.query(sql).await.unwrap().join("|")
}

/// Puts a `df` before the server's own that says what is written in a file: KiB that are free.
pub(crate) fn small_disk(db: &mut Database, dir: &std::path::Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let (bin, free) = (dir.join("df-bin"), dir.join("free-kib"));
    std::fs::create_dir(&bin).unwrap();
    let text = format!(
        "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available Capacity Mounted on'\n\
         echo \"/dev/my disk 9 1 $(cat {}) 12% $4\"\n",
        free.display()
    );
    std::fs::write(bin.join("df"), text).unwrap();
    std::fs::set_permissions(bin.join("df"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("PATH={}:/usr/bin:/bin", bin.display());
    db.exec.push(path);
    free
}
