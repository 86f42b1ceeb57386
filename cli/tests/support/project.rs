//! A clone of the application on the hosts, with the three files a team writes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flow_sandbox::{Host, Sandbox};

/// What differs from test to test.
#[derive(Debug, Clone)]
pub(crate) struct Wishes {
    /// How long production is watched, in seconds.
    pub(crate) watch: u64,
    /// What stands before the deploy script on production.
    pub(crate) deploy: Vec<String>,
    /// Who gets the mails.
    pub(crate) to: Vec<String>,
    /// Whether the hosts have what real ones have beside the application.
    pub(crate) neighbours: bool,
    /// How long production may stay frozen while nobody drives, in seconds, if not the usual time.
    pub(crate) unattended: Option<u64>,
}

impl Default for Wishes {
    fn default() -> Self {
        let script = ["deploy/scripts/release.sh", "deploy", "{commit}"];
        Wishes {
            watch: 4,
            deploy: script.map(str::to_owned).to_vec(),
            to: vec!["team@example.org".to_owned()],
            neighbours: false,
            unattended: None,
        }
    }
}

/// Clones the application into `dir/project` and configures `flow` for it.
pub(crate) fn make(sandbox: &Sandbox, dir: &Path, wishes: &Wishes) -> PathBuf {
    let project = dir.join("project");
    let git = Command::new("git")
        .args(["clone", "-q"])
        .arg(sandbox.origin())
        .arg(&project)
        .output()
        .expect("git starts");
    assert!(
        git.status.success(),
        "{}",
        String::from_utf8_lossy(&git.stderr)
    );
    for (name, text) in [
        ("flow.toml", config(sandbox, wishes)),
        ("flow.people.toml", people(sandbox)),
        ("flow.data.toml", data(sandbox)),
        (".git/info/exclude", "/flow*.toml\n/.flow\n".to_owned()),
    ] {
        std::fs::write(project.join(name), text).expect("writes");
    }
    flow_sandbox::commit_alone(&project, "flow.people.toml", "roster").expect("commits");
    project
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn shown(path: &Path) -> String {
    quoted(&path.display().to_string())
}

fn config(sandbox: &Sandbox, wishes: &Wishes) -> String {
    let smtp = sandbox.smtp();
    let mut text = format!(
        "[app]\nname = \"demo\"\nmigrations = \"prisma/migrations\"\n\n\
         # The three hosts may be one machine here.\n[gates]\ndistinct_machines = false\n\n\
         # The keys are of this sandbox, so no commit of the application has them.\n[signoff]\nroster_ref = \"roster\"\n\n[ssh]\nconfig = {}\n\n\
         [watch]\nseconds = {}\nsettle_seconds = 1\n\n[mail]\nhost = {}\nport = {}\ntls = \"starttls\"\nuser = {}\n\
         password = {}\nca = {}\nfrom = \"flow@example.org\"\nto = {}\n",
        shown(sandbox.ssh_config()),
        wishes.watch,
        quoted(&smtp.host),
        smtp.port,
        quoted(&smtp.user),
        quoted(&format!("file:{}", smtp.password_file.display())),
        shown(&smtp.ca),
        toml::Value::from(wishes.to.clone()),
    );
    if let Some(seconds) = wishes.unattended {
        writeln!(text, "\n[window]\nunattended_seconds = {seconds}")
            .expect("writing to a String cannot fail");
    }
    for host in sandbox.hosts() {
        let wanted = Wishes::default().deploy;
        let deploy = if host.name == "prod" {
            &wishes.deploy
        } else {
            &wanted
        };
        text += &environment(host, deploy);
    }
    text
}

fn environment(host: &Host, deploy: &[String]) -> String {
    let data = |name: &str| shown(&host.data.join(name));
    let deploy: Vec<String> = deploy.iter().map(|word| quoted(word)).collect();
    format!(
        "\n[env.{name}]\nssh = \"{name}\"\napp_dir = {app}\nbackup_dir = {backups}\nflow_dir = {flow}\n\
         deploy = [{deploy}]\ndeploy_minutes = 5\nhealth = {health}\n[env.{name}.database]\n\
         exec = [\"docker\", \"exec\", \"-i\", {container}]\nuser = {owner}\nname = \"postgres\"\n",
        name = host.name,
        app = shown(&host.app),
        backups = data("backups"),
        flow = data("flow"),
        deploy = deploy.join(", "),
        health = quoted(&format!("{}/health", host.base_url)),
        container = quoted(&host.container),
        owner = quoted(&host.owner),
    )
}

/// The people file, with the sandbox's keys.
pub(crate) fn people(sandbox: &Sandbox) -> String {
    let mut text = String::new();
    for person in sandbox.people() {
        write!(
            text,
            "\n[[roles.{role}]]\nname = \"{role} (played by the test)\"\nemail = {}\nkey = {}\n",
            quoted(&person.email),
            quoted(&person.public),
            role = person.role,
        )
        .expect("writing to a String cannot fail");
    }
    text
}

/// Every column of production and of the releases, classified: tables with people in them never leave it.
fn data(sandbox: &Sandbox) -> String {
    let query = "select table_name || '|' || column_name from information_schema.columns \
                 where table_schema = 'public' order by table_name, ordinal_position";
    let rows = sandbox.sql("prod", query).expect("columns");
    let mut tables: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (table, column) in rows.lines().filter_map(|row| row.split_once('|')) {
        tables.entry(table).or_default().push(column);
    }
    // The column that the releases' migration adds.
    let tasks = tables.entry("CustomerTask").or_default();
    if !tasks.contains(&"statusNotes") {
        tasks.push("statusNotes");
    }
    let mut text = String::new();
    for (table, columns) in tables {
        let class = if table.starts_with("Customer") {
            "personal"
        } else {
            "keep"
        };
        writeln!(text, "\n[tables.{}]", quoted(table)).expect("writing to a String cannot fail");
        for column in columns {
            writeln!(text, "{} = \"{class}\"", quoted(column))
                .expect("writing to a String cannot fail");
        }
    }
    text
}
