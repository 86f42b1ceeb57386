//! The database of an environment: on the application's host, or on one of its own.

use flow_lint::migration::history::is_schema;
use flow_steps::means::psql::is_database;
use serde::Deserialize;

use super::{is_alias, is_folder};

/// The last part of the name of a database's own host: `prod/database`. A further host cannot have it beside one.
pub(super) const APART: &str = "database";

/// How a database is reached from its host.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The alias of its host in the ssh configuration, where that is not the application's: `exec`, `psql` and `pg_dump` run there.
    #[serde(default)]
    pub ssh: Option<String>,
    /// The machine id which that host must have, as in an environment. Only beside `ssh`.
    #[serde(default)]
    pub machine_id: Option<String>,
    /// Where backups go on that host; without it the path that the environment names. Only beside `ssh`.
    #[serde(default)]
    pub backup_dir: Option<String>,
    /// Where an older `flow` kept the lease on that host; without it the path that the environment names. Only beside `ssh`.
    #[serde(default)]
    pub flow_dir: Option<String>,
    /// What stands before `psql` and `pg_dump`, such as `["docker", "exec", "-i", "supabase_db_DAP"]`.
    #[serde(default)]
    pub exec: Vec<String>,
    /// The database user. It need not be a superuser: `flow doctor` names each right it lacks, with the statement.
    pub user: String,
    /// The name of the database.
    pub name: String,
    /// A database to connect to while `name` must have no sessions.
    #[serde(default = "template1")]
    pub maintenance: String,
    /// The schema of the application's tables and of `_prisma_migrations`: what its `DATABASE_URL` names as `?schema=`.
    #[serde(default = "public")]
    pub schema: String,
}

fn public() -> String {
    "public".into()
}

fn template1() -> String {
    "template1".into()
}

impl Database {
    /// What a host runs to speak to it, word by word: `psql` behind `exec`, with its user and name.
    pub(crate) fn psql(&self) -> Vec<String> {
        let mut words = self.exec.clone();
        words.extend(["psql", "-U", &self.user, "-d", &self.name].map(String::from));
        words
    }

    /// As the steps know it, on the host of that name.
    pub fn at(&self, host: &str) -> flow_steps::means::psql::Database {
        flow_steps::means::psql::Database {
            host: host.into(),
            exec: self.exec.clone(),
            user: self.user.clone(),
            name: self.name.clone(),
            maintenance: self.maintenance.clone(),
            bin: None,
        }
    }

    /// The first thing about it that is well-formed but cannot be meant: the end of its key, and why.
    pub(super) fn problem(&self) -> Option<String> {
        for (key, name) in [("name", &self.name), ("maintenance", &self.maintenance)] {
            if !is_database(name) {
                return Some(format!(
                    ".{key}` must be the name of a database, not `{}`",
                    name.escape_debug()
                ));
            }
        }
        if self.name == self.maintenance {
            return Some(
                ".maintenance` must be another database than `name`, such as template1: one with sessions cannot be renamed"
                    .into(),
            );
        }
        if self.user.is_empty() || self.user.chars().any(char::is_control) {
            return Some(format!(
                ".user` must name a role, not `{}`",
                self.user.escape_debug()
            ));
        }
        if !is_schema(&self.schema) {
            return Some(format!(
                ".schema` must be a schema's name, not `{}`",
                self.schema.escape_debug()
            ));
        }
        let of_host = [
            ("machine_id", &self.machine_id),
            ("backup_dir", &self.backup_dir),
            ("flow_dir", &self.flow_dir),
        ];
        let Some(ssh) = &self.ssh else {
            let (key, _) = of_host.iter().find(|(_, given)| given.is_some())?;
            return Some(format!(
                ".{key}` is of a host of its own, and `ssh` names none; take it out, or add `ssh`"
            ));
        };
        if !is_alias(ssh) {
            return Some(format!(
                ".ssh` must name a host, not `{}`",
                ssh.escape_debug()
            ));
        }
        let folders = of_host[1..]
            .iter()
            .filter_map(|(key, given)| Some((key, given.as_ref()?)));
        let mut wrong = folders.filter(|(_, path)| !is_folder(path));
        wrong.next().map(|(key, path)| {
            format!(
                ".{key}` must be an absolute path without `..`, not `{}`",
                path.escape_debug()
            )
        })
    }
}
