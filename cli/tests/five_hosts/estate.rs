//! Five hosts of production and one to try it out on, and a project that `flow init` configured for them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use flow_sandbox::{FIVE_HOSTS, Isolation, Layout, Options, Role, Sandbox};
use serde_json::Value;

use crate::place::Place;
use crate::project::people;
use crate::world::{World, checked};

/// How many lines a team may have to change by hand.
pub(crate) const LINES_MAX: usize = 10;

/// Production's hosts in the order in which they are named: the release takes them so.
const NAMED: [&str; 5] = ["backend-1", "backend-2", "worker", "frontend", "database"];

/// The longest one release to five hosts may take. It takes about two minutes.
const RELEASE_LIMIT: Duration = Duration::from_mins(12);

/// What is asked of the rows: everything that the release does not change.
const ROWS: &str = r#"select 'Customer', count(*), md5(string_agg(t::text, '|' order by id)) from "Customer" t
    union all select 'CustomerTask', count(*), md5(string_agg(id || status::text, '|' order by id)) from "CustomerTask" t order by 1"#;

/// See the module.
pub(crate) struct Estate {
    /// Production.
    pub(crate) world: World,
    /// Kept up for its host `stage`.
    _staging: Sandbox,
    _staging_dir: tempfile::TempDir,
}

/// Whether hosts in containers can work on this machine, as the sandbox's own tests ask it.
pub(crate) fn containers_work() -> bool {
    let dir = folder();
    let trial = include_str!("../../../steps/sandbox/tests/it/look.sh");
    let words = [
        "60",
        "unshare",
        "--mount",
        "--uts",
        "--ipc",
        "--pid",
        "--fork",
        "--kill-child",
    ];
    let look = Command::new("timeout")
        .args(words)
        .args(["bash", "-c", trial])
        .arg(dir.path())
        .stdin(Stdio::null())
        .output()
        .expect("timeout runs");
    if !look.status.success() {
        println!("hosts in containers cannot work here: not tried");
    }
    look.status.success()
}

/// Short: sockets lie beneath it, and their paths are bounded.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::Builder::new()
        .prefix("flow-5-")
        .tempdir_in("/tmp");
    let dir = dir.expect("a folder");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(dir.path(), open).expect("it is ours");
    dir
}

fn up(dir: &Path, options: &Options) -> Sandbox {
    let mut say = |line: &str| println!("… {line}");
    Sandbox::up(&dir.join("hosts"), options, &mut say).expect("hosts")
}

impl Estate {
    /// Starts the hosts, clones the application, and has `flow init` look at them over ssh.
    pub(crate) fn new() -> Estate {
        let place = Place::take();
        let (dir, staging_dir) = (folder(), folder());
        let five = up(
            dir.path(),
            &Options {
                layout: Layout::FiveHosts,
                ..Options::default()
            },
        );
        let staging = up(
            staging_dir.path(),
            &Options {
                isolation: Some(Isolation::Plain),
                ..Options::default()
            },
        );
        let project = dir.path().join("project");
        checked(
            Command::new("git")
                .args(["clone", "-q"])
                .arg(five.origin())
                .arg(&project),
        );
        let ssh = ssh_config(&five, &FIVE_HOSTS) + &ssh_config(&staging, &["stage"]);
        std::fs::write(project.join("ssh_config"), ssh).expect("writes");
        let exclude = "/flow*\n/.flow\n/ssh_config\n";
        std::fs::write(project.join(".git/info/exclude"), exclude).expect("writes");
        let mut world = World::around(five, project, (dir, place));
        world.limit = RELEASE_LIMIT;
        let mut args = vec![
            "init",
            "--yes",
            "--path",
            "stage,prod",
            "--ssh-config",
            "ssh_config",
        ];
        let hosts = NAMED.map(|alias| format!("prod={alias}"));
        args.extend(hosts.iter().flat_map(|host| ["--host", host]));
        args.push("--look-at-hosts");
        let said = world.flow(&args).expect(0);
        println!("{}{}", said.out, said.err);
        Estate {
            world,
            _staging: staging,
            _staging_dir: staging_dir,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.world.project.join(name)
    }

    /// What a person writes into what `flow init` wrote; how many lines of it are others than before. Who signs is told by
    /// the team's own keys, and committed.
    pub(crate) fn edit(&self) -> usize {
        let names = ["flow.toml", "flow.data.toml"];
        for name in names {
            let drafted = self.file(&format!("{name}.drafted"));
            std::fs::copy(self.file(name), drafted).expect("copies");
        }
        let replaced = |text: String, from: &str, to: &str| {
            assert_eq!(text.matches(from).count(), 1, "{from}: {text}");
            text.replacen(from, to, 1)
        };
        let read = |name: &str| std::fs::read_to_string(self.file(name)).expect("reads");
        let flow = read("flow.toml");
        println!("{flow}");
        let flow = replaced(flow, "# [release.signoff]", "[release.signoff]");
        let flow = replaced(
            flow,
            "# roster_ref = \"origin/main\"",
            "roster_ref = \"roster\"",
        );
        let flow = replaced(flow, "seconds = 900", "seconds = 4");
        std::fs::write(self.file("flow.toml"), flow).expect("writes");
        // The column that the release's migration adds.
        let heading = "[tables.\"CustomerTask\"]\n";
        let data = read("flow.data.toml");
        let data = replaced(
            data,
            heading,
            &format!("{heading}\"statusNotes\" = \"personal\"\n"),
        );
        // The one table in which nobody is named: it is copied to staging.
        let (before, plans) = data
            .split_once("[tables.\"AdoptionPlan\"]\n")
            .expect("a table");
        let (plans, after) = plans.split_once("\n\n").expect("another table");
        let plans = plans.replace("\"personal\"", "\"keep\"");
        let data = format!("{before}[tables.\"AdoptionPlan\"]\n{plans}\n\n{after}");
        std::fs::write(self.file("flow.data.toml"), data).expect("writes");
        std::fs::write(self.file("flow.people.toml"), people(&self.world.sandbox)).expect("writes");
        flow_sandbox::commit_alone(&self.world.project, "flow.people.toml", "roster")
            .expect("commits");
        names.iter().map(|name| self.changed(name)).sum()
    }

    /// How many lines of a file are not as they were drafted, a line that is another counting once.
    fn changed(&self, name: &str) -> usize {
        let mut diff = Command::new("diff");
        diff.arg(self.file(&format!("{name}.drafted")))
            .arg(self.file(name));
        let output = diff.output().expect("diff starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let count = |sign: char| text.lines().filter(|line| line.starts_with(sign)).count();
        count('<').max(count('>'))
    }

    /// `flow doctor` is content, but that there is no mail yet.
    #[track_caller]
    pub(crate) fn assert_doctor_misses_only_mail(&self) {
        let said = self.world.flow(&["doctor", "--json"]);
        let findings: Value =
            serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"));
        let findings = findings.as_array().expect("a list");
        let mut text = String::new();
        for found in findings.iter().filter(|found| found["ok"] == false) {
            let waits = found["found"].as_str().unwrap_or_default();
            if found["what"] != "mail" && !waits.contains("fill in the mail server") {
                let _infallible = writeln!(text, "{found}");
            }
        }
        assert_eq!(text, "");
        for place in [
            "stage",
            "prod",
            "prod/database",
            "prod/backend-2",
            "prod/worker",
            "prod/frontend",
        ] {
            assert!(
                findings.iter().any(|found| found["place"] == place),
                "{place}: {findings:?}"
            );
        }
    }

    /// Runs a line on a host of production.
    #[track_caller]
    pub(crate) fn on(&self, host: &str, line: &str) -> String {
        checked(self.world.sandbox.ssh(host).arg(line))
            .trim()
            .to_owned()
    }

    /// The commit that is checked out there.
    pub(crate) fn head(&self, host: &str) -> String {
        self.on(host, "git -C /data/dap/app rev-parse HEAD")
    }

    /// The version that answers there.
    #[track_caller]
    pub(crate) fn version(&self, host: &str) -> String {
        let url = format!(
            "{}/health",
            self.world.sandbox.host(host).expect("a host").base_url
        );
        let said = checked(Command::new("curl").args(["-sSf", "--max-time", "10", &url]));
        let said: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(said["status"], "ok", "{said}");
        said["version"].as_str().expect("a version").to_owned()
    }

    /// A fingerprint of the rows in production.
    pub(crate) fn rows(&self) -> String {
        self.world.sandbox.sql("database", ROWS).expect("rows")
    }

    /// Whether the release's column is there.
    pub(crate) fn has_notes(&self) -> bool {
        let query =
            "select count(*) from information_schema.columns where column_name = 'statusNotes'";
        self.world.sandbox.sql("database", query).expect("columns") == "1"
    }

    #[track_caller]
    pub(crate) fn assert_writable(&self) {
        let write = "begin; update \"Customer\" set name = name; rollback";
        self.world
            .sandbox
            .sql("database", write)
            .expect("it is writable");
    }

    /// Every process of every host runs, by the word of what keeps it running.
    #[track_caller]
    pub(crate) fn assert_online(&self) {
        let pm2 = "pm2 jlist | tail -n 1 | node -p 'JSON.parse(require(`fs`).readFileSync(0)).map(a => a.name + ` ` + a.pm2_env.status).join()'";
        for host in self.world.sandbox.hosts() {
            let (name, process) = (host.name.as_str(), host.role.processes().first());
            match (host.role, process) {
                (Role::Backend | Role::Worker, Some(process)) => {
                    assert_eq!(self.on(name, pm2), format!("{process} online"), "{name}");
                }
                (Role::Frontend, _) => {
                    let unit = "systemctl --user show dap-frontend -P ActiveState,SubState | paste -sd ' '";
                    assert_eq!(self.on(name, unit), "active running");
                }
                _ => {}
            }
        }
    }

    /// Neither beside the database nor on any host.
    #[track_caller]
    pub(crate) fn assert_nobody_has_a_lease(&self) {
        let said = self.world.flow(&["lock", "prod", "--show"]).expect(0);
        for word in ["releases to it", "has the lease of", "not known"] {
            assert!(!said.out.contains(word), "{said:?}");
        }
        for host in self.world.sandbox.hosts() {
            let held = self.on(
                &host.name,
                "find /root /var/lib/flow -name held 2>/dev/null; true",
            );
            assert_eq!(held, "", "{}", host.name);
        }
    }
}

/// The ssh configuration of a sandbox, for these of its hosts alone: two of them stand in one file.
fn ssh_config(sandbox: &Sandbox, hosts: &[&str]) -> String {
    let text = std::fs::read_to_string(sandbox.ssh_config()).expect("reads");
    let mut kept = String::new();
    let mut is_ours = true;
    for line in text.lines() {
        if let Some(alias) = line.strip_prefix("Host ") {
            is_ours = alias == "*" || hosts.contains(&alias);
            if alias == "*" {
                let _infallible = writeln!(kept, "Host {}", hosts.join(" "));
                continue;
            }
        }
        if is_ours {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}
