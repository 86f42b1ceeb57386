//! `flow.toml`: what a team tells `flow` about its application and its machines.
//!
//! Unknown keys are errors, so that a misspelt gate is never a gate that silently does not exist. Relative paths are
//! relative to the folder of the file. No secret stands in it: a secret is named (`env:NAME`, `file:path`, `command:…`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use flow_steps::means::plain::is_plain;
use flow_steps::means::secret::SecretCommand;
use serde::Deserialize;

mod check;
mod checklist;
mod code;
mod core;
mod data;
mod database;
mod environments;
mod health;
mod layout;
mod machine;
mod question;
mod read;
mod rules;
mod team;

pub use checklist::{Checklist, Item};
pub use code::Code;
pub use core::{Core, HostAt};
pub use data::Data;
pub use database::Database;
pub(crate) use environments::path_problem;
pub use environments::{Environments, Place};
pub(crate) use health::is_loopback;
pub use health::{AskedFrom, Healthy};
pub use layout::{CORE, Layout, RELEASE, RELEASE_KEYS, closest};
pub use machine::{Environment, HostEntry, Machine, Supervision};
pub use question::{Health, Question};
pub(crate) use read::parse_toml;
pub use read::{ConfigError, read_toml};
pub use rules::{Gates, SignOff, Watch};
pub use team::{Mail, Window};

/// The longest text that is shown and mailed as it stands, in characters.
const TEXT_MAX: usize = 200;

/// All that a release is told: the core of `flow.toml` and its section `[release]`, as one table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is released: its repository, migrations, data.
    pub app: App,
    /// How machines are reached.
    #[serde(default)]
    pub ssh: Ssh,
    /// The environments by their names.
    pub env: BTreeMap<String, Environment>,
    /// Their order, production last; by default the protocol's: test, stage, prod.
    #[serde(default = "environments::protocol_path")]
    pub path: Vec<String>,
    /// Ages and limits.
    #[serde(default)]
    pub gates: Gates,
    /// The watch after the deploy.
    #[serde(default)]
    pub watch: Watch,
    /// Who signs, waives and reviews, and for how long it holds.
    #[serde(default)]
    pub signoff: SignOff,
    /// Mail to the team. Without it nobody is told, and `flow doctor` says so.
    pub mail: Option<Mail>,
    /// What the team is told about the deployment window.
    #[serde(default)]
    pub window: Window,
    /// How `flow lint` weighs findings; the gate of a release does not read it.
    #[serde(default)]
    pub lint: flow_lint::migration::Settings,
    /// Where the people file is; default `flow.people.toml` beside this one.
    #[serde(default = "people_file")]
    pub people: PathBuf,
    /// Which columns may leave production, table by table; default `flow.data.toml` beside this one.
    #[serde(default = "data_file")]
    pub data: PathBuf,
    /// The folder this file was read from.
    #[serde(skip)]
    pub dir: PathBuf,
    /// The file itself.
    #[serde(skip)]
    file: PathBuf,
}

fn people_file() -> PathBuf {
    "flow.people.toml".into()
}

fn data_file() -> PathBuf {
    "flow.data.toml".into()
}

/// What is released: its repository, migrations, data.
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
    /// Tables, indexes, grants and so on that this release changes without a migration, as a refusal names them: `index
    /// public.Order_customer_idx`.
    #[serde(default)]
    pub shape_may_change: Vec<String>,
    /// The team's own migration check, run in the repository; exit code 0 required.
    #[serde(default)]
    pub migration_check: Option<Vec<String>>,
    /// `schema.prisma` inside the repository, or the folder of its files; without it the drift check looks where Prisma would,
    /// and the code check beside the migrations.
    #[serde(default)]
    pub schema: Option<String>,
    /// The folder with `package.json` and `tsconfig.json` inside the repository, or a list of them, each checked by itself;
    /// without it the one that holds the folder of the schema.
    #[serde(default)]
    pub code: Option<Code>,
    /// Installed packages for type checking, of a single folder; without it `node_modules` in the local checkout of each. What
    /// is in them is executed.
    #[serde(default)]
    pub node_modules: Option<PathBuf>,
}

impl App {
    /// `schema.prisma` inside the repository.
    pub fn schema_file(&self) -> String {
        let folder = Path::new(self.migrations.trim_matches('/')).parent();
        let beside = folder.unwrap_or(Path::new("")).join("schema.prisma");
        let given = self.schema.clone();
        given.unwrap_or_else(|| beside.to_string_lossy().into_owned())
    }
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
        Config::of(&Layout::read(path)?, path)
    }

    /// What the core and the section `[release]` of a file say together.
    ///
    /// # Errors
    /// [`ConfigError`], naming file, line and key.
    pub fn of(layout: &Layout, path: &Path) -> Result<Config, ConfigError> {
        let mut config: Config = layout.release()?;
        config.dir = path.parent().map(Path::to_owned).unwrap_or_default();
        path.clone_into(&mut config.file);
        for (name, env) in &mut config.env {
            env.fill(name);
        }
        match config.problem() {
            None => Ok(config),
            Some(why) => Err(config.invalid(why)),
        }
    }

    fn invalid(&self, why: String) -> ConfigError {
        ConfigError::Invalid {
            path: self.file.display().to_string(),
            place: String::new(),
            why,
        }
    }

    /// A path of this file, made absolute against its folder.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.dir.join(path)
    }

    /// The name of a secret, a file's path relative to the configuration and a program run in its folder; any other text
    /// as it is.
    pub fn beside(&self, name: &str) -> String {
        beside(&self.dir, name)
    }

    /// The first thing that is well-formed but cannot be meant.
    fn problem(&self) -> Option<String> {
        if let Err(problem) = self.in_order() {
            return Some(problem);
        }
        let mut environments = self.environments().into_iter();
        let wrong = |(name, env): (&str, &Environment)| {
            env.problem(name).or_else(|| env.hosts_problem(name))
        };
        if let Some(problem) = environments.find_map(wrong) {
            return Some(problem);
        }
        let said = [
            ("app.name", &self.app.name),
            ("window.when", &self.window.when),
            ("window.downtime", &self.window.downtime),
            ("window.contact", &self.window.contact),
        ];
        let plain = |text: &str| text.chars().all(is_plain) && text.chars().count() <= TEXT_MAX;
        if let Some((key, _)) = said.into_iter().find(|(_, text)| !plain(text)) {
            return Some(format!(
                "`{key}` must be one line of at most {TEXT_MAX} plain characters"
            ));
        }
        if let Some(problem) = self.window.problem() {
            return Some(problem);
        }
        let code = self.app.code.as_ref();
        if let Some(why) = code.and_then(|code| code.problem(self.app.node_modules.is_some())) {
            return Some(format!("`app.code`: {why}"));
        }
        let password = self.mail.as_ref().and_then(|mail| mail.password.as_deref());
        if let Some(why) = password.and_then(wrong_secret) {
            return Some(format!("`mail.password`: {why}"));
        }
        if self.mail.as_ref().is_some_and(|mail| mail.port == 0) {
            return Some("`mail.port` must be between 1 and 65535".into());
        }
        self.answered_here()
            .or_else(|| self.watch.problem())
            .or_else(|| self.signoff.problem())
    }

    /// An environment's health that the machine where flow runs would answer, whatever the environment does. Where all of
    /// them may be one machine, that is meant.
    fn answered_here(&self) -> Option<String> {
        if !self.gates.distinct_machines {
            return None;
        }
        self.environments().into_iter().find_map(|(name, env)| {
            let why = env.health.answered_here(env.health_from)?;
            Some(format!("`env.{name}`: {why}"))
        })
    }
}

/// The name of a secret that a file in this folder names: the path of a `file:` made absolute, a program of a `command:` run in
/// the folder; any other text as it is.
pub(crate) fn beside(dir: &Path, name: &str) -> String {
    match name.split_once(':') {
        Some(("file", path)) => format!("file:{}", dir.join(path).display()),
        Some(("command", words)) => {
            SecretCommand::parse(words).map_or_else(|_| name.to_owned(), |c| c.within(dir).name())
        }
        _ => name.to_owned(),
    }
}

/// Why a value cannot be the name of a secret that it looks like. The value itself may be a secret, and is not shown.
fn wrong_secret(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(':')?;
    match scheme {
        "command" => SecretCommand::parse(rest).err().map(|e| e.to_string()),
        "env" | "file" => rest
            .is_empty()
            .then(|| format!("`{scheme}:` names nothing: write {scheme}:NAME")),
        _ => {
            let known = ["env", "file", "command"];
            let near = |name: &&str| strsim::osa_distance(name, &scheme.to_lowercase()) <= 1;
            let meant = known.into_iter().find(near)?;
            Some(format!(
                "it begins with `{}:`; did you mean `{meant}:`?",
                scheme.escape_debug()
            ))
        }
    }
}

/// Whether a text can name a host in an ssh configuration.
fn is_alias(text: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace();
    !text.is_empty() && !text.starts_with('-') && !text.contains(odd)
}

/// Whether a path can be a folder on a host: absolute, without `..` and without control characters.
fn is_folder(path: &str) -> bool {
    path.starts_with('/')
        && !path.split('/').any(|part| part == "..")
        && !path.chars().any(char::is_control)
}
