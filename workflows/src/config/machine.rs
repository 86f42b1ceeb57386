//! One machine: where the application and its database are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use flow_steps::means::host::{Command, quote};
use flow_steps::pm2::{Application, Kind};
use serde::Deserialize;

use super::database::Database;
use super::health::{AskedFrom, Healthy};
use super::question::Health;
use super::{Checklist, Data, is_alias, is_folder};

mod host;

pub use host::{HostEntry, Machine};

/// One environment: an application and its database, on one host or on several.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// What its rows are, before production; without it the last before production gets a copy of production's, and the
    /// others keep their own.
    #[serde(default)]
    pub data: Option<Data>,
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
    /// Variables for the deploy script. `PATH` and `FLOW_…` are `flow`'s own and refused.
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
    /// What keeps the application's processes running, where it is not pm2.
    #[serde(default)]
    pub supervisor: Option<Supervision>,
    /// The names of the application's processes, as their supervisor calls them. Without them: those whose working folder or script
    /// lies in `app_dir`. What is not the application's, and pm2's own modules, are left alone and not judged.
    #[serde(default)]
    pub processes: Vec<String>,
    /// What people look at after the deploy, each list by its role; without it the protocol's own.
    #[serde(default)]
    pub checklist: Option<Vec<Checklist>>,
    /// What says that the application is well: one page, or a list of questions.
    pub health: Health,
    /// A certificate authority file for the page, when it is not a public one. A list says it in its entries; so do the two below.
    #[serde(default)]
    pub health_ca: Option<PathBuf>,
    /// Who asks for the page.
    #[serde(default)]
    pub health_from: AskedFrom,
    /// What the page must say.
    #[serde(default)]
    pub healthy: Healthy,
    /// How its database is reached, and as whom.
    pub database: Database,
    /// Further hosts on which the application runs.
    #[serde(default)]
    pub host: Vec<HostEntry>,
    /// Those, in the order they are deployed in, with everything that holds for them.
    #[serde(skip)]
    pub machines: Vec<Machine>,
    /// The database's own host, where it has one.
    #[serde(skip)]
    pub apart: Option<Box<Machine>>,
}

/// What keeps an application's processes running.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervision {
    /// `pm2`, `systemd` or `compose`.
    pub kind: Kind,
    /// The program that asks it, with its leading arguments, such as `["systemctl", "--user"]`. Without it `systemctl` or
    /// `docker compose`, for pm2 what `pm2` says.
    #[serde(default)]
    pub program: Option<Vec<String>>,
}

impl Environment {
    /// Which of the supervisor's processes there are the application's.
    pub fn application(&self) -> Application {
        Application {
            processes: self.processes.clone(),
            folder: Some(self.app_dir.clone()),
            supervisor: self.supervisor.as_ref().map_or(Kind::Pm2, |s| s.kind),
        }
    }

    /// The program that asks the supervisor, with its leading arguments.
    pub fn program(&self) -> Vec<String> {
        let given = self.supervisor.as_ref().and_then(|s| s.program.clone());
        given.unwrap_or_else(|| {
            let words: &[&str] = match self.application().supervisor {
                Kind::Pm2 => return self.pm2.clone(),
                Kind::Systemd => &["systemctl"],
                Kind::Compose => &["docker", "compose"],
            };
            words.iter().map(|word| (*word).to_owned()).collect()
        })
    }

    /// The first thing about it that is well-formed but cannot be meant.
    pub(super) fn problem(&self, name: &str) -> Option<String> {
        let paths = [
            ("app_dir", &self.app_dir),
            ("backup_dir", &self.backup_dir),
            ("flow_dir", &self.flow_dir),
        ];
        for (key, path) in paths {
            if !is_folder(path) {
                return Some(format!(
                    "`env.{name}.{key}` must be an absolute path without `..`, not `{path}`"
                ));
            }
        }
        if self.program().first().is_none_or(String::is_empty) {
            return Some(format!("`env.{name}.supervisor.program` names no program"));
        }
        let odd = |name: &&String| name.trim().is_empty() || name.chars().any(char::is_control);
        if let Some(odd) = self.processes.iter().find(odd) {
            return Some(format!(
                "`env.{name}.processes`: `{}` is no name of a process",
                odd.escape_debug()
            ));
        }
        if let Some(why) = self.database.problem() {
            return Some(format!("`env.{name}.database{why}"));
        }
        if let Some(lists) = &self.checklist {
            let none = lists
                .is_empty()
                .then(|| "it has no list; leave it out for the protocol's own".into());
            if let Some(why) = none.or_else(|| Checklist::problem(lists)) {
                return Some(format!("`env.{name}.checklist`: {why}"));
            }
        }
        if self.deploy.first().is_none_or(String::is_empty) {
            return Some(format!("`env.{name}.deploy` names no program"));
        }
        let odd = |word: &String| word.chars().any(char::is_control);
        if self.deploy.iter().any(odd) {
            return Some(format!(
                "`env.{name}.deploy` must be a program and its words, without control characters"
            ));
        }
        if !(1..=DEPLOY_MINUTES_MAX).contains(&self.deploy_minutes) {
            return Some(format!(
                "`env.{name}.deploy_minutes` must be between 1 and {DEPLOY_MINUTES_MAX}, not {}",
                self.deploy_minutes
            ));
        }
        if let Some(why) = self
            .deploy_env
            .keys()
            .find_map(|variable| unusable(variable))
        {
            return Some(format!("`env.{name}.deploy_env`: {why}"));
        }
        let wrong = |(variable, value): (&String, &String)| {
            Some(format!("`{variable}`: {}", super::wrong_secret(value)?))
        };
        if let Some(why) = self.deploy_env.iter().find_map(wrong) {
            return Some(format!("`env.{name}.deploy_env`: {why}"));
        }
        if !is_alias(&self.ssh) {
            return Some(format!(
                "`env.{name}.ssh` must name a host, not `{}`",
                self.ssh.escape_debug()
            ));
        }
        if let Some(why) = self.healthy.problem() {
            return Some(format!("`env.{name}.healthy`: {why}"));
        }
        if let Some(why) = self.health.problem() {
            return Some(format!("`env.{name}.health` {why}"));
        }
        self.beside_list()
            .map(|key| format!("`env.{name}.{key}` is for a single page: `health` is a list, whose entries say that themselves"))
    }

    /// A key of a single page that stands beside a list.
    fn beside_list(&self) -> Option<&'static str> {
        let keys = [
            ("health_from", self.health_from != AskedFrom::default()),
            ("healthy", self.healthy != Healthy::default()),
            ("health_ca", self.health_ca.is_some()),
        ];
        let is_list = matches!(self.health, Health::List(_));
        let mut given = keys.iter().filter(|(_, given)| *given && is_list);
        given.next().map(|(key, _)| *key)
    }
}

/// Why the deploy script cannot be given a variable of that name: it is no name, or the value would not be the one it gets.
fn unusable(variable: &str) -> Option<String> {
    if variable.starts_with("FLOW_") || variable == "PATH" {
        return Some(format!("`{variable}` is flow's own"));
    }
    let line = quote::line(&Command::new("env").env(variable, ""));
    line.err().map(|e| e.to_string())
}

/// The longest a deploy script may take: a day, in minutes.
const DEPLOY_MINUTES_MAX: u64 = 24 * 60;

fn deploy_minutes() -> u64 {
    30
}

fn pm2() -> Vec<String> {
    vec!["pm2".into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(more: &str) -> Environment {
        let text = format!(
            "ssh = \"h\"\napp_dir = \"/a\"\nbackup_dir = \"/b\"\nflow_dir = \"/f\"\ndeploy = [\"d\"]\n\
             health = \"http://h/\"\n{more}\n[database]\nuser = \"u\"\nname = \"n\"\n"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn a_supervisor_is_pm2_unless_another_is_named_and_has_its_own_program() {
        let of = |more: &str| {
            let env = environment(more);
            (env.application().supervisor, env.program().join(" "))
        };
        assert_eq!(of("pm2 = [\"my\", \"pm2\"]"), (Kind::Pm2, "my pm2".into()));
        let systemd = "supervisor = { kind = \"systemd\", program = [\"systemctl\", \"--user\"] }";
        assert_eq!(of(systemd), (Kind::Systemd, "systemctl --user".into()));
        let compose = "supervisor = { kind = \"compose\" }";
        assert_eq!(of(compose), (Kind::Compose, "docker compose".into()));
        let nothing = environment("supervisor = { kind = \"systemd\", program = [] }");
        let why = nothing.problem("prod").unwrap();
        assert!(why.contains("names no program"), "{why}");
    }
}
