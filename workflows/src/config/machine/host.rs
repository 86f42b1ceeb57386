//! Further hosts of an environment: where the application runs besides its own host.

use std::path::PathBuf;

use flow_steps::means::plain::is_plain;
use serde::Deserialize;

use super::{Environment, Supervision};
use crate::config::database::{APART, Database};
use crate::config::health::{AskedFrom, Healthy};
use crate::config::question::Health;

/// One further host. What it does not say is as on the environment's own host.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostEntry {
    /// Its name, which the keys of its steps hold: `prod/worker/deploy`.
    pub name: String,
    /// The host's alias in the ssh configuration.
    pub ssh: String,
    /// What it is for, in a word for people: `backend`, `worker`.
    #[serde(default)]
    pub role: Option<String>,
    /// Hosts are deployed one after another, the smaller order first; without it as they are listed.
    #[serde(default)]
    pub order: u32,
    /// Hosts of one wave are deployed side by side, the smaller wave first. Either every host has one or none.
    #[serde(default)]
    pub wave: Option<u32>,
    /// As in [`Environment`].
    #[serde(default)]
    pub machine_id: Option<String>,
    /// As in [`Environment`].
    #[serde(default)]
    pub app_dir: Option<String>,
    /// As in [`Environment`].
    #[serde(default)]
    pub backup_dir: Option<String>,
    /// As in [`Environment`].
    #[serde(default)]
    pub flow_dir: Option<String>,
    /// As in [`Environment`].
    #[serde(default)]
    pub deploy: Option<Vec<String>>,
    /// As in [`Environment`].
    #[serde(default)]
    pub install: Option<Vec<String>>,
    /// As in [`Environment`].
    #[serde(default)]
    pub supervisor: Option<Supervision>,
    /// As in [`Environment`].
    #[serde(default)]
    pub processes: Option<Vec<String>>,
    /// What says that the application there is well. Without it nobody is asked: a worker answers no requests, and the
    /// environment's own address says nothing of it.
    #[serde(default)]
    pub health: Option<Health>,
    /// As in [`Environment`].
    #[serde(default)]
    pub health_from: Option<AskedFrom>,
    /// As in [`Environment`].
    #[serde(default)]
    pub health_ca: Option<PathBuf>,
    /// As in [`Environment`].
    #[serde(default)]
    pub healthy: Option<Healthy>,
}

/// A further host with everything that holds for it.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its name with that of its environment: `prod/worker`.
    pub name: String,
    /// What it is for.
    pub role: Option<String>,
    /// The number of its wave.
    wave: (u32, u32, usize),
    /// Whether it is asked for its health.
    pub has_health: bool,
    /// What holds for it. Its database is the environment's, which is not reached from there.
    pub env: Environment,
}

/// The longest name of a host, in characters.
const NAME_MAX: usize = 20;

/// The longest role, in bytes.
const ROLE_MAX: usize = 40;

impl Machine {
    /// The host of a database, on which no application runs.
    pub(super) fn of_database(name: String, env: Environment) -> Machine {
        Machine {
            name,
            role: None,
            wave: (0, 0, 0),
            has_health: false,
            env,
        }
    }
}

impl HostEntry {
    fn machine(&self, name: &str, place: usize, env: &Environment) -> Machine {
        let own = |given: &Option<String>, common: &String| {
            given.clone().unwrap_or_else(|| common.clone())
        };
        // A list of its own has nothing of what the environment says of its page.
        let common = match &self.health {
            Some(Health::List(_)) => Default::default(),
            _ => (env.health_from, env.health_ca.clone(), env.healthy.clone()),
        };
        let merged = Environment {
            ssh: self.ssh.clone(),
            machine_id: self.machine_id.clone(),
            app_dir: own(&self.app_dir, &env.app_dir),
            backup_dir: own(&self.backup_dir, &env.backup_dir),
            flow_dir: own(&self.flow_dir, &env.flow_dir),
            deploy: self.deploy.clone().unwrap_or_else(|| env.deploy.clone()),
            install: self.install.clone().or_else(|| env.install.clone()),
            supervisor: self.supervisor.clone().or_else(|| env.supervisor.clone()),
            processes: self
                .processes
                .clone()
                .unwrap_or_else(|| env.processes.clone()),
            health: self.health.clone().unwrap_or_else(|| env.health.clone()),
            health_from: self.health_from.unwrap_or(common.0),
            health_ca: self.health_ca.clone().or(common.1),
            healthy: self.healthy.clone().unwrap_or(common.2),
            host: Vec::new(),
            machines: Vec::new(),
            apart: None,
            ..env.clone()
        };
        Machine {
            name: format!("{name}/{}", self.name),
            role: self.role.clone(),
            wave: match self.wave {
                Some(wave) => (wave, 0, 0),
                None => (0, self.order, place),
            },
            has_health: self.health.is_some(),
            env: merged,
        }
    }

    fn wrong(&self, earlier: &[HostEntry]) -> Option<String> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let starts = self.name.starts_with(|c: char| c.is_ascii_lowercase());
        if !starts || !self.name.chars().all(legal) || self.name.len() > NAME_MAX {
            return Some(format!(
                "`{}` is no name of a host: a letter first, then a-z, 0-9 and `-`, {NAME_MAX} at the most",
                self.name.escape_debug()
            ));
        }
        let plain = |role: &String| role.chars().all(is_plain) && role.len() <= ROLE_MAX;
        if !self.role.as_ref().is_none_or(plain) {
            return Some(format!(
                "`{}`: `role` must be one line of at most {ROLE_MAX} plain characters",
                self.name
            ));
        }
        if earlier.iter().any(|other| other.name == self.name) {
            return Some(format!("two are called `{}`", self.name));
        }
        let mixed = earlier
            .iter()
            .find(|other| other.wave.is_some() != self.wave.is_some());
        mixed.map(|other| {
            format!(
                "one of `{}` and `{}` has a `wave` and the other has none: give each one, or none",
                other.name, self.name
            )
        })
    }
}

impl Environment {
    /// Fills in what its further hosts do not say.
    pub(in crate::config) fn fill(&mut self, name: &str) {
        let entries = self.host.iter().enumerate();
        let mut machines: Vec<(u32, Machine)> = entries
            .map(|(place, entry)| (entry.order, entry.machine(name, place, self)))
            .collect();
        machines.sort_by_key(|(order, machine)| (machine.wave, *order));
        let apart = self.database_apart(name);
        self.machines = machines.into_iter().map(|(_, machine)| machine).collect();
        self.apart = apart.map(Box::new);
    }

    /// Its further hosts, wave by wave.
    pub fn waves(&self) -> impl Iterator<Item = &[Machine]> {
        self.machines.chunk_by(|one, next| one.wave == next.wave)
    }

    /// The first thing about its further hosts that is well-formed but cannot be meant.
    pub(in crate::config) fn hosts_problem(&self, name: &str) -> Option<String> {
        for (n, entry) in self.host.iter().enumerate() {
            if self.apart.is_some() && entry.name == APART {
                return Some(format!(
                    "`env.{name}.host`: `{APART}` is the name of the database's own host; call this one something else"
                ));
            }
            if let Some(why) = entry.wrong(&self.host[..n]) {
                return Some(format!("`env.{name}.host`: {why}"));
            }
        }
        self.machines.iter().find_map(|machine| {
            let Machine { name, env, .. } = machine;
            let asked = machine.has_health.then_some(env);
            let here = asked.and_then(|env| env.health.answered_here(env.health_from));
            let here = here.map(|why| format!("`env.{name}`: {why}"));
            env.problem(name).or(here)
        })
    }
}

impl Environment {
    /// The database's own host, where it has one, with what holds there: no application, and folders of its own.
    pub(super) fn database_apart(&self, name: &str) -> Option<Machine> {
        let Database {
            ssh,
            machine_id,
            backup_dir,
            flow_dir,
            ..
        } = &self.database;
        let own = Environment {
            ssh: ssh.clone()?,
            machine_id: machine_id.clone(),
            backup_dir: backup_dir
                .clone()
                .unwrap_or_else(|| self.backup_dir.clone()),
            flow_dir: flow_dir.clone().unwrap_or_else(|| self.flow_dir.clone()),
            host: Vec::new(),
            machines: Vec::new(),
            apart: None,
            ..self.clone()
        };
        Some(Machine::of_database(format!("{name}/{APART}"), own))
    }

    /// The host of its database by its name, and what holds there. The environment's own, where the database has none.
    pub fn database_host<'a>(&'a self, name: &'a str) -> (&'a str, &'a Environment) {
        let apart = self.apart.as_ref();
        apart.map_or((name, self), |machine| (&machine.name, &machine.env))
    }
}
