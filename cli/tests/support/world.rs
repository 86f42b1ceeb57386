//! Three hosts, a project, and the people who answer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use flow_sandbox::{Isolation, LedgerLine, NEIGHBOURS, Options, Sandbox};
use serde_json::Value;

use crate::checklist::items;
use crate::driver::{self, Driver, Said};
use crate::place::Place;
use crate::project::{self, Wishes};

/// The longest one release may take here. It takes less than a minute.
pub(crate) const RELEASE_LIMIT: Duration = Duration::from_mins(8);
const PAUSE: Duration = Duration::from_millis(15);
/// How often the run is looked at from other terminals.
const LOOK: Duration = Duration::from_millis(400);

/// Three hosts, the project that is released to them, and everybody.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) project: PathBuf,
    /// The longest one wait for the release may take.
    pub(crate) limit: Duration,
    dir: tempfile::TempDir,
    answered: BTreeSet<(String, String)>,
    looked: Option<Instant>,
    _place: Place,
}

impl World {
    /// The usual one.
    pub(crate) fn new() -> World {
        World::with(&Wishes::default())
    }

    /// One that differs.
    pub(crate) fn with(wishes: &Wishes) -> World {
        let place = Place::take();
        // Short: sockets lie beneath it, and their paths are bounded.
        let dir = tempfile::Builder::new()
            .prefix("flow-e2e-")
            .tempdir_in("/tmp");
        let dir = dir.expect("a folder");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(dir.path(), open).expect("it is ours");
        let options = Options {
            isolation: Some(Isolation::Plain),
            ..Options::default()
        };
        let sandbox = Sandbox::up(&dir.path().join("hosts"), &options, &mut |line| {
            println!("… {line}");
        });
        let sandbox = sandbox.expect("three hosts");
        if wishes.neighbours {
            sandbox.neighbours().expect("neighbours");
        }
        let project = project::make(&sandbox, dir.path(), wishes);
        World::around(sandbox, project, (dir, place))
    }

    /// One of other hosts and another project. `dir` holds the project.
    pub(crate) fn around(
        sandbox: Sandbox,
        project: PathBuf,
        (dir, place): (tempfile::TempDir, Place),
    ) -> World {
        World {
            sandbox,
            project,
            limit: RELEASE_LIMIT,
            dir,
            answered: BTreeSet::new(),
            looked: None,
            _place: place,
        }
    }

    /// A path beside the project.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.path("driver.log")
    }

    /// What every driver said so far.
    pub(crate) fn said(&self) -> String {
        let bytes = std::fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Runs a command as another terminal would.
    pub(crate) fn flow(&self, args: &[&str]) -> Said {
        driver::run(driver::command(&self.project, args))
    }

    /// The terminal that drives.
    pub(crate) fn drive(&self, args: &[&str]) -> Driver {
        let args: Vec<&str> = args.iter().copied().chain(["--wait", "--plain"]).collect();
        Driver::start(&self.project, &self.log(), &args)
    }

    /// Starts a workflow for a commit of the sandbox.
    pub(crate) fn start(&self, workflow: &str, commit: &str) -> Driver {
        let commit = self.sandbox.commit(commit).expect("a commit");
        self.drive(&["start", workflow, "--commit", commit, "--reason", "a test"])
    }

    /// The newest run, if there is one.
    pub(crate) fn look(&self) -> Option<Value> {
        let said = self.flow(&["status", "latest", "--json"]);
        serde_json::from_str(&said.out).ok()
    }

    /// The newest run.
    pub(crate) fn status(&self) -> Value {
        self.look().expect("a run")
    }

    /// The newest run's id.
    pub(crate) fn run(&self) -> String {
        self.status()["run"].as_str().expect("an id").to_owned()
    }

    /// What a step of the newest run is, such as `running`.
    pub(crate) fn state_of(&self, step: &str) -> String {
        state_of(&self.status(), step)
    }

    /// Answers what is asked while the driver goes on, until it ends; the exit code.
    pub(crate) fn finish(&mut self, driver: &mut Driver) -> i32 {
        let until = Instant::now() + self.limit;
        loop {
            if let Some(code) = driver.ended() {
                return code;
            }
            assert!(Instant::now() < until, "the driver did not end in time");
            self.answer(&[]);
            std::thread::sleep(PAUSE);
        }
    }

    /// Answers what is asked until a moment comes. Steps in `except` get no answer.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        driver: &mut Driver,
        except: &[&str],
        mut moment: impl FnMut(&World, &Driver) -> Option<T>,
    ) -> T {
        let until = Instant::now() + self.limit;
        loop {
            if let Some(found) = moment(self, driver) {
                return found;
            }
            let ended = driver.ended();
            assert!(ended.is_none(), "ended with {ended:?} before {what}");
            assert!(Instant::now() < until, "not in time: {what}");
            self.answer(except);
            std::thread::sleep(PAUSE);
        }
    }

    /// Answers what is asked now; looks at most every [`LOOK`].
    pub(crate) fn answer(&mut self, except: &[&str]) {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        let Some(status) = self.look() else { return };
        let run = status["run"].as_str().expect("an id").to_owned();
        for asked in status["waiting"].as_array().into_iter().flatten() {
            let step = asked["step"].as_str().expect("a step").to_owned();
            let once = (run.clone(), step.clone());
            if except.contains(&step.as_str()) || self.answered.contains(&once) {
                continue;
            }
            if self.give(&run, &step, asked) {
                self.answered.insert(once);
            }
        }
    }

    fn give(&self, run: &str, step: &str, asked: &Value) -> bool {
        let command = asked["command"].as_str().unwrap_or_default();
        let said = if command.starts_with("flow check") {
            let items: Vec<String> = items(step)
                .iter()
                .map(|key| format!("{key}=pass"))
                .collect();
            let mut args = vec!["check", run, step];
            for item in &items {
                args.extend(["--item", item]);
            }
            self.flow(&args)
        } else if let Some(waived) = command.strip_prefix("flow waive ") {
            let finding = waived.split(' ').nth(2).expect("a finding");
            let key = self.key(asked["who"].as_str().expect("a role"));
            let key = key.display().to_string();
            self.flow(&[
                "waive", run, step, finding, "--reason", "read", "--key", &key, "--yes",
            ])
        } else if step == "schema/migration-review" {
            self.approve_migrations(run, "tech-lead", "tech-lead")
        } else {
            let role = step.strip_prefix("signoff/");
            let role = role.unwrap_or_else(|| panic!("nobody here answers `{command}`"));
            self.sign(run, role, role)
        };
        // The driver may be killed while it takes an answer: it is given again then, as people would.
        if said.code != 0 {
            println!("not taken, tried again: {step}: {}", said.err);
        }
        said.code == 0
    }

    /// Signs for a role, with the key of the person who holds another one.
    pub(crate) fn sign(&self, run: &str, role: &str, holder: &str) -> Said {
        let key = self.key(holder).display().to_string();
        self.flow(&["sign", run, "--role", role, "--key", &key, "--yes"])
    }

    /// Approves the pending migrations as a role, with the key of the person who holds another one.
    pub(crate) fn approve_migrations(&self, run: &str, role: &str, holder: &str) -> Said {
        let key = self.key(holder).display().to_string();
        let step = "schema/migration-review";
        let args = [
            "sign", run, "--role", role, "--step", step, "--key", &key, "--yes",
        ];
        self.flow(&args)
    }

    /// The private key of a role.
    pub(crate) fn key(&self, role: &str) -> &Path {
        let found = self.sandbox.people().iter().find(|p| p.role == role);
        &found.expect("a role").key
    }

    /// What a host's own ledger says about deploys of a run.
    pub(crate) fn ledger(&self, host: &str, run: &str) -> Vec<LedgerLine> {
        let lines = self.sandbox.ledger(host).expect("a ledger");
        lines.into_iter().filter(|line| line.run == run).collect()
    }

    /// Whether production's deploy has begun and not ended.
    pub(crate) fn deploying(&self) -> bool {
        let lines = self.sandbox.ledger("prod").expect("a ledger");
        lines.last().is_some_and(|line| line.event == "begin")
    }

    /// The run's export, with every record.
    pub(crate) fn export(&self, run: &str) -> Value {
        let said = self.flow(&["export", run]).expect(0);
        serde_json::from_str(&said.out).expect("an export is JSON")
    }

    /// Everything in production's database: schema and rows, as `pg_dump` writes them.
    pub(crate) fn dump(&self) -> String {
        let container = &self.sandbox.host("prod").expect("prod").container;
        let mut ssh = self.sandbox.ssh("prod");
        ssh.args(["docker", "exec", "-i", container]);
        ssh.args(["pg_dump", "-U", "postgres", "-d", "postgres"]);
        let out = checked(&mut ssh);
        // A random word that keeps psql from being tricked; another one in each dump.
        let kept = out.lines().filter(|line| !line.contains("restrict "));
        kept.collect::<Vec<_>>().join("\n")
    }

    /// The commit that production's checkout is at.
    pub(crate) fn deployed(&self) -> String {
        let app = &self.sandbox.host("prod").expect("prod").app;
        let git = format!("git -C {} rev-parse HEAD", app.display());
        checked(self.sandbox.ssh("prod").arg(git)).trim().to_owned()
    }

    /// The names of production's databases but for the templates.
    pub(crate) fn databases(&self) -> Vec<String> {
        let query = "select datname from pg_database where not datistemplate order by 1";
        let names = self.sandbox.sql("prod", query).expect("databases");
        names.lines().map(str::to_owned).collect()
    }

    /// The journal is whole.
    #[track_caller]
    pub(crate) fn assert_journal_is_whole(&self) {
        let said = self.flow(&["journal", "verify", "--json"]).expect(0);
        let found: Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!(found["damaged"], serde_json::json!([]), "{found}");
        assert_eq!(found["repaired"], serde_json::json!([]), "{found}");
        assert!(found["records"].as_u64().is_some_and(|n| n > 0), "{found}");
    }

    /// Production's services run and answer.
    #[track_caller]
    pub(crate) fn assert_online(&self) {
        let url = format!(
            "{}/health",
            self.sandbox.host("prod").expect("prod").base_url
        );
        let said = checked(Command::new("curl").args(["-sS", "--max-time", "5", &url]));
        assert!(said.contains("\"ok\""), "{said}");
        let list = checked(self.sandbox.ssh("prod").arg("pm2 jlist"));
        let list: Value = serde_json::from_str(list.lines().last().expect("a line")).expect("JSON");
        let list = list.as_array().expect("processes");
        let ours = list
            .iter()
            .filter(|app| !NEIGHBOURS.iter().any(|name| app["name"] == *name));
        let online: Vec<_> = ours
            .map(|app| (app["name"].clone(), app["pm2_env"]["status"].clone()))
            .collect();
        assert!(!online.is_empty());
        for (name, status) in online {
            assert_eq!(status, "online", "{name}");
        }
    }

    /// Of each process that is not the application's, on one host: name, status, pid and restarts.
    pub(crate) fn neighbours(&self, host: &str) -> Vec<String> {
        let list = checked(self.sandbox.ssh(host).arg("pm2 jlist"));
        let list: Value = serde_json::from_str(list.lines().last().expect("a line")).expect("JSON");
        let list = list.as_array().expect("processes").iter();
        let theirs = list.filter(|app| NEIGHBOURS.iter().any(|name| app["name"] == *name));
        let words = theirs.map(|app| {
            let env = &app["pm2_env"];
            let (status, restarts) = (&env["status"], &env["restart_time"]);
            format!("{} {status} {} {restarts}", app["name"], app["pid"])
        });
        let mut words: Vec<String> = words.collect();
        words.sort();
        assert_eq!(words.len(), NEIGHBOURS.len(), "{words:?}");
        words
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.said();
            let lines: Vec<&str> = log.lines().collect();
            let end = &lines[lines.len().saturating_sub(150)..];
            println!("what the driver said at last:\n{}", end.join("\n"));
        }
    }
}

/// What a step is in this status.
pub(crate) fn state_of(status: &Value, step: &str) -> String {
    let rows = status["steps_detail"].as_array().expect("steps");
    let row = rows.iter().find(|row| row["key"] == step);
    let row = row.unwrap_or_else(|| panic!("no step `{step}`"));
    row["state"].as_str().expect("a state").to_owned()
}

/// The same to the byte; shows only the first line that is not.
#[track_caller]
pub(crate) fn assert_same(found: &str, wanted: &str) {
    let mut lines = found.split('\n').zip(wanted.split('\n')).enumerate();
    if let Some((n, (found, wanted))) = lines.find(|(_, (found, wanted))| found != wanted) {
        panic!("line {}: {found:?} instead of {wanted:?}", n + 1);
    }
    assert_eq!(found.len(), wanted.len());
}

/// Runs a program that must succeed.
#[track_caller]
pub(crate) fn checked(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {out}{err}");
    out
}
