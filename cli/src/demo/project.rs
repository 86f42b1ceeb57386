//! The project of the demo: a clone of the application with the three files a team writes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use flow_sandbox::{Host, Sandbox};

use super::failed;
use crate::diagnostic::Diagnostic;

/// The demo's watch, in seconds. The protocol says fifteen minutes.
pub(super) const WATCH: u64 = 20;

/// Columns of the demo application that hold personal data: their tables never leave production.
const PERSONAL: [(&str, &str); 6] = [
    ("Customer", "name"),
    ("Customer", "contactName"),
    ("Customer", "email"),
    ("Customer", "phone"),
    ("Customer", "notes"),
    ("CustomerTask", "notes"),
];

/// Clones the application into `dir/project` and configures `flow` for it, with this ssh configuration and, if it is not
/// the usual one, this time in seconds after which production's timer opens a database that nobody drives.
pub(super) fn make(
    sandbox: &Sandbox,
    dir: &Path,
    ssh_config: &Path,
    unattended: Option<u64>,
) -> Result<PathBuf, Diagnostic> {
    let project = dir.join("project");
    let git = flow_lint::git::command()
        .args(["clone", "-q"])
        .arg(sandbox.origin())
        .arg(&project)
        .output()
        .map_err(|e| failed("git cannot be started", &e))?;
    if !git.status.success() {
        let why = String::from_utf8_lossy(&git.stderr).trim().to_owned();
        return Err(failed(
            "the application cannot be cloned",
            &std::io::Error::other(why),
        ));
    }
    let files = [
        ("flow.toml", config(sandbox, ssh_config, unattended)),
        ("flow.people.toml", people(sandbox)),
        ("flow.data.toml", data(sandbox)?),
        (".git/info/exclude", "/flow*.toml\n/.flow\n".to_owned()),
    ];
    for (name, text) in files {
        std::fs::write(project.join(name), text).map_err(|e| failed(name, &e))?;
    }
    flow_sandbox::commit_alone(&project, "flow.people.toml", "roster")
        .map_err(|e| failed("the roster cannot be committed", &e))?;
    Ok(project)
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn shown(path: &Path) -> String {
    quoted(&path.display().to_string())
}

fn config(sandbox: &Sandbox, ssh_config: &Path, unattended: Option<u64>) -> String {
    let smtp = sandbox.smtp();
    let unattended = unattended.map_or_else(String::new, |s| format!("unattended_seconds = {s}\n"));
    let mut text = format!(
        "[app]\nname = \"demo\"\nmigrations = \"prisma/migrations\"\n\n\
         # The three hosts may be one machine here.\n[gates]\ndistinct_machines = false\n\n\
         # The keys are of this sandbox, so no commit of the application has them.\n[signoff]\nroster_ref = \"roster\"\n\n[ssh]\nconfig = {}\n\n\
         # Shortened for the demo; the protocol says fifteen minutes.\n[watch]\nseconds = {WATCH}\nsettle_seconds = 3\n\n\
         [window]\nwhen = \"now\"\ndowntime = \"about a minute\"\ncontact = \"devops@example.org\"\n{unattended}\n\
         [mail]\nhost = {}\nport = {}\ntls = \"starttls\"\nuser = {}\npassword = {}\nca = {}\n\
         from = \"flow@example.org\"\nto = [\"defer@example.org\", \"team@example.org\"]\n",
        shown(ssh_config),
        quoted(&smtp.host),
        smtp.port,
        quoted(&smtp.user),
        quoted(&format!("file:{}", smtp.password_file.display())),
        shown(&smtp.ca),
    );
    for host in sandbox.hosts() {
        text += &environment(host);
    }
    text
}

fn environment(host: &Host) -> String {
    let data = |name: &str| shown(&host.data.join(name));
    format!(
        "\n[env.{name}]\nssh = \"{name}\"\napp_dir = {app}\nbackup_dir = {backups}\nflow_dir = {flow}\n\
         deploy = [\"deploy/scripts/release.sh\", \"deploy\", \"{{commit}}\"]\ndeploy_minutes = 5\n\
         health = {health}\n[env.{name}.database]\nexec = [\"docker\", \"exec\", \"-i\", {container}]\n\
         user = {owner}\nname = \"postgres\"\n",
        name = host.name,
        app = shown(&host.app),
        backups = data("backups"),
        flow = data("flow"),
        health = quoted(&format!("{}/health", host.base_url)),
        container = quoted(&host.container),
        owner = quoted(&host.owner),
    )
}

fn people(sandbox: &Sandbox) -> String {
    let mut text = String::from("# Keys made for this demo; nobody is behind them.\n");
    for person in sandbox.people() {
        let _infallible = write!(
            text,
            "\n[[roles.{}]]\nname = {}\nemail = {}\nkey = {}\n",
            person.role,
            quoted(&format!("{} (played by the demo)", person.role)),
            quoted(&person.email),
            quoted(&person.public),
        );
    }
    text + "\n[[contacts]]\nname = \"on call (played by the demo)\"\nrole = \"rollback\"\nemail = \"devops@example.org\"\n"
}

/// Every column of production and of the releases, classified.
fn data(sandbox: &Sandbox) -> Result<String, Diagnostic> {
    let query = "select table_name || '|' || column_name from information_schema.columns \
                 where table_schema = 'public' order by table_name, ordinal_position";
    let rows = sandbox.sql("prod", query);
    let rows = rows.map_err(|e| failed("production's columns cannot be read", &e))?;
    let mut tables: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (table, column) in rows.lines().filter_map(|row| row.split_once('|')) {
        tables.entry(table).or_default().push(column);
    }
    // The column that the releases' migration adds.
    let tasks = tables.entry("CustomerTask").or_default();
    if !tasks.contains(&"statusNotes") {
        tasks.push("statusNotes");
    }
    let mut text =
        String::from("# Only tables whose every column is `keep` are copied to staging.\n");
    for (table, columns) in tables {
        let _infallible = writeln!(text, "\n[tables.{}]", quoted(table));
        for column in columns {
            let personal = PERSONAL.contains(&(table, column));
            let class = if personal { "personal" } else { "keep" };
            let _infallible = writeln!(text, "{} = \"{class}\"", quoted(column));
        }
    }
    Ok(text)
}
