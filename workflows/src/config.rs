//! `flow.toml`: what a team tells `flow` about its application and its machines.
//!
//! Unknown keys are errors, so that a misspelt gate is never a gate that silently does not exist. Relative paths are
//! relative to the folder of the file. No secret stands in it: a secret is named (`env:NAME` or `file:path`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The whole of `flow.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The application.
    pub app: App,
    /// How machines are reached.
    #[serde(default)]
    pub ssh: Ssh,
    /// The machines, in the order of the protocol: `test`, `stage`, `prod`.
    pub env: Environments,
    /// Ages and limits.
    #[serde(default)]
    pub gates: Gates,
    /// The watch after the deploy.
    #[serde(default)]
    pub watch: Watch,
    /// Sign-offs.
    #[serde(default)]
    pub signoff: SignOff,
    /// Mail to the team. Without it nobody is told, and `flow doctor` says so.
    pub mail: Option<Mail>,
    /// What the team is told about the deployment window.
    #[serde(default)]
    pub window: Window,
    /// How `flow lint` weighs findings; the gate of a release does not read it.
    #[serde(default)]
    pub lint: flow_steps::migration::Settings,
    /// Where the people file is; default `flow.people.toml` beside this one.
    #[serde(default = "people_file")]
    pub people: PathBuf,
    /// Which columns may leave production, table by table; default `flow.data.toml` beside this one.
    #[serde(default = "data_file")]
    pub data: PathBuf,
    /// The folder this file was read from.
    #[serde(skip)]
    pub dir: PathBuf,
}

fn people_file() -> PathBuf {
    "flow.people.toml".into()
}

fn data_file() -> PathBuf {
    "flow.data.toml".into()
}

/// The application.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Its name, for people.
    pub name: String,
    /// The local git checkout that commits are looked up in.
    #[serde(default = "here")]
    pub repository: PathBuf,
    /// Where its migrations are, inside the repository (Prisma's layout).
    pub migrations: String,
    /// Tables whose rows are compared before and after; empty means every table.
    #[serde(default)]
    pub tables: Vec<String>,
    /// `table.column` pairs that this release may change in rows that exist.
    #[serde(default)]
    pub may_change: Vec<String>,
    /// The team's own migration check, run in the repository; exit code 0 required.
    #[serde(default)]
    pub migration_check: Option<Vec<String>>,
}

fn here() -> PathBuf {
    ".".into()
}

/// How machines are reached.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// An ssh configuration file instead of the user's own.
    pub config: Option<PathBuf>,
}

/// The three environments of the protocol.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environments {
    /// Deployed to first.
    pub test: Environment,
    /// Deployed to second; mirrors production.
    pub stage: Environment,
    /// Production.
    pub prod: Environment,
}

/// One environment: one host with an application and a database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// The host's alias in the ssh configuration.
    pub ssh: String,
    /// The machine id it must have (`/etc/machine-id`); without it the first one seen in a run is held to.
    #[serde(default)]
    pub machine_id: Option<String>,
    /// The application's git checkout on the host.
    pub app_dir: String,
    /// Where backups go on the host.
    pub backup_dir: String,
    /// Where `flow` keeps its jobs and locks on the host.
    pub flow_dir: String,
    /// The deploy script: a program and its arguments, run in `app_dir`. `{commit}` is replaced.
    pub deploy: Vec<String>,
    /// What prints the commit that is deployed, run in `app_dir`; without it the checkout's HEAD is asked.
    #[serde(default)]
    pub deploy_verify: Option<Vec<String>>,
    /// The longest the deploy may take, in minutes.
    #[serde(default = "deploy_minutes")]
    pub deploy_minutes: u64,
    /// Variables for the deploy script.
    #[serde(default)]
    pub deploy_env: BTreeMap<String, String>,
    /// Untracked files that may lie in the checkout.
    #[serde(default)]
    pub untracked: Vec<String>,
    /// What reinstalls the dependencies after the code was reverted, such as `["npm", "ci"]`.
    #[serde(default)]
    pub install: Option<Vec<String>>,
    /// The program that asks pm2.
    #[serde(default = "pm2")]
    pub pm2: Vec<String>,
    /// Where the application says that it is healthy.
    pub health: String,
    /// A certificate authority file for `health`, when it is not a public one.
    #[serde(default)]
    pub health_ca: Option<PathBuf>,
    /// What its answer must say, besides status 200.
    #[serde(default)]
    pub healthy: Healthy,
    /// The database.
    pub database: Database,
}

/// What a healthy application's JSON says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Healthy {
    /// Where to look: a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What must stand there.
    pub value: String,
}

impl Default for Healthy {
    /// `{"status": "ok"}`. A status of 200 alone proves little: many proxies answer so for a dead application.
    fn default() -> Self {
        Healthy {
            pointer: "/status".into(),
            value: "ok".into(),
        }
    }
}

fn deploy_minutes() -> u64 {
    30
}

fn pm2() -> Vec<String> {
    vec!["pm2".into()]
}

/// How a database is reached from its host.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// What stands before `psql` and `pg_dump`, such as `["docker", "exec", "-i", "supabase_db_DAP"]`.
    #[serde(default)]
    pub exec: Vec<String>,
    /// The database user; must be able to create and rename databases.
    pub user: String,
    /// The database.
    pub name: String,
    /// A database to connect to while `name` must have no sessions.
    #[serde(default = "template1")]
    pub maintenance: String,
}

fn template1() -> String {
    "template1".into()
}

/// Ages and limits. The protocol's numbers are the defaults.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// A backup older than this does not count (protocol, rule 2).
    pub backup_max_age_hours: u64,
    /// A restore rehearsal older than this does not count.
    pub restore_max_age_days: u64,
    /// A test and staging verification older than this does not count.
    pub promotion_max_age_hours: u64,
    /// Free space that production must have besides the backup, in MiB.
    pub free_mib: u64,
    /// Whether test, staging and production must be three machines. An alias that leads to production by mistake
    /// would deploy there first.
    pub distinct_machines: bool,
}

impl Default for Gates {
    fn default() -> Self {
        Gates {
            backup_max_age_hours: 24,
            restore_max_age_days: 7,
            promotion_max_age_hours: 72,
            free_mib: 512,
            distinct_machines: true,
        }
    }
}

/// The watch after the deploy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {
    /// How long, in seconds. The protocol says fifteen minutes.
    pub seconds: u64,
    /// Regular expressions for lines that must not appear; empty means the built-in ones.
    pub patterns: Vec<String>,
    /// Regular expressions for lines that are fine all the same.
    pub allow: Vec<String>,
    /// The applications to watch; empty means all.
    pub apps: Vec<String>,
    /// How long pm2's restart counter must be still after the deploy, in seconds.
    pub settle_seconds: u64,
    /// How long the application may take to become healthy, in seconds.
    pub healthy_within_seconds: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Watch {
            seconds: 15 * 60,
            patterns: Vec::new(),
            allow: Vec::new(),
            apps: Vec::new(),
            settle_seconds: 5,
            healthy_within_seconds: 60,
        }
    }
}

/// Sign-offs and other answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignOff {
    /// The roles that must sign, in the order of the protocol.
    pub roles: Vec<String>,
    /// The role that may waive a warning of the migration check.
    pub waived_by: String,
    /// How long a signature counts, in hours.
    pub valid_hours: u64,
    /// How long the smoke test on production may take, in minutes.
    pub smoke_minutes: u64,
}

impl Default for SignOff {
    fn default() -> Self {
        let roles = ["developer", "qa", "devops", "tech-lead"];
        SignOff {
            roles: roles.iter().map(|r| (*r).to_owned()).collect(),
            waived_by: "tech-lead".into(),
            valid_hours: 24,
            smoke_minutes: 60,
        }
    }
}

/// Mail to the team.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The mail server.
    pub host: String,
    /// Its port.
    #[serde(default = "submission")]
    pub port: u16,
    /// `starttls`, `implicit`, or `none` (loopback only).
    #[serde(default = "starttls")]
    pub tls: String,
    /// The login.
    #[serde(default)]
    pub user: Option<String>,
    /// Where the password is: `env:NAME` or `file:path`.
    #[serde(default)]
    pub password: Option<String>,
    /// The sender.
    pub from: String,
    /// The team.
    pub to: Vec<String>,
    /// A certificate authority file, when the server's is not a public one.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

fn submission() -> u16 {
    587
}

fn starttls() -> String {
    "starttls".into()
}

/// What the team is told about the deployment window.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Window {
    /// When, in words.
    pub when: String,
    /// How long the application is read-only, in words.
    pub downtime: String,
    /// Who decides about a rollback.
    pub contact: String,
}

/// Why a configuration file cannot be used. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConfigError {
    /// No file.
    #[error("there is no {name} in {from} or any folder above it")]
    Missing {
        /// The file's name.
        name: String,
        /// Where the search began.
        from: String,
    },
    /// Not readable.
    #[error("{path} cannot be read: {why}")]
    Unreadable {
        /// The file.
        path: String,
        /// The operating system's words.
        why: String,
    },
    /// Not understood.
    #[error("{path}{place}: {why}")]
    Invalid {
        /// The file.
        path: String,
        /// `:line:column`, when known.
        place: String,
        /// What is wrong, naming the key.
        why: String,
    },
}

/// The largest configuration file, in bytes.
const SIZE_MAX: u64 = 1 << 20;

/// Reads a TOML file into `T`, naming line and column of what is wrong.
///
/// # Errors
/// [`ConfigError`].
pub fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let shown = path.display().to_string();
    let unreadable = |why: String| ConfigError::Unreadable {
        path: shown.clone(),
        why,
    };
    let size = std::fs::metadata(path)
        .map_err(|e| unreadable(e.to_string()))?
        .len();
    if size > SIZE_MAX {
        return Err(unreadable(format!(
            "it has {size} bytes, more than {SIZE_MAX}"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
    toml::from_str(&text).map_err(|e| {
        let place = e
            .span()
            .map(|span| place(&text, span.start))
            .unwrap_or_default();
        ConfigError::Invalid {
            path: shown.clone(),
            place,
            why: e.message().replace('\n', " "),
        }
    })
}

fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!(":{line}:{column}")
}

impl Config {
    /// Finds `flow.toml` in `from` or the nearest folder above it.
    ///
    /// # Errors
    /// [`ConfigError::Missing`].
    pub fn find(from: &Path) -> Result<PathBuf, ConfigError> {
        let found = from
            .ancestors()
            .map(|dir| dir.join("flow.toml"))
            .find(|path| path.is_file());
        found.ok_or_else(|| ConfigError::Missing {
            name: "flow.toml".into(),
            from: from.display().to_string(),
        })
    }

    /// Reads and checks a `flow.toml`.
    ///
    /// # Errors
    /// [`ConfigError`], naming file, line and key.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let mut config: Config = read_toml(path)?;
        config.dir = path.parent().map(Path::to_owned).unwrap_or_default();
        let why = config.problem();
        let invalid = |why| ConfigError::Invalid {
            path: path.display().to_string(),
            place: String::new(),
            why,
        };
        why.map_or(Ok(config), |why| Err(invalid(why)))
    }

    /// A path of this file, made absolute against its folder.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.dir.join(path)
    }

    /// The environments with their names, in the order of the protocol.
    pub fn environments(&self) -> [(&'static str, &Environment); 3] {
        [
            ("test", &self.env.test),
            ("stage", &self.env.stage),
            ("prod", &self.env.prod),
        ]
    }

    /// The first thing that is well-formed but cannot be meant.
    fn problem(&self) -> Option<String> {
        for (name, env) in self.environments() {
            let paths = [
                ("app_dir", &env.app_dir),
                ("backup_dir", &env.backup_dir),
                ("flow_dir", &env.flow_dir),
            ];
            for (key, path) in paths {
                if !path.starts_with('/')
                    || path.split('/').any(|part| part == "..")
                    || path.chars().any(char::is_control)
                {
                    return Some(format!(
                        "`env.{name}.{key}` must be an absolute path without `..`, not `{path}`"
                    ));
                }
            }
            if env.deploy.is_empty() {
                return Some(format!("`env.{name}.deploy` names no program"));
            }
            if env.ssh.is_empty() || env.ssh.starts_with('-') {
                return Some(format!(
                    "`env.{name}.ssh` must name a host, not `{}`",
                    env.ssh
                ));
            }
            if !env.health.starts_with("http://") && !env.health.starts_with("https://") {
                return Some(format!(
                    "`env.{name}.health` must be a URL, not `{}`",
                    env.health
                ));
            }
        }
        let aliases = [&self.env.test.ssh, &self.env.stage.ssh, &self.env.prod.ssh];
        if aliases[0] == aliases[2] || aliases[1] == aliases[2] {
            return Some("`env.prod.ssh` must be another host than test and stage".into());
        }
        if self.signoff.roles.is_empty() {
            return Some("`signoff.roles` names nobody; the protocol demands sign-offs".into());
        }
        None
    }
}
