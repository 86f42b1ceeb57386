//! A host, as those who use the sandbox know it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::ground::{CONTAINER, Ground, OWNER};
use crate::hosts::Role;
use crate::plan::Plan;

/// One of the hosts.
#[derive(Debug, Clone)]
pub struct Host {
    /// One of the names of its [`Layout`](crate::Layout).
    pub name: String,
    /// The address of its sshd.
    pub address: String,
    /// The port of its sshd.
    pub port: u16,
    /// What runs on it.
    pub role: Role,
    /// Where people find the application, or on a host that has only the back end, that; `/health` and `/graphql` are
    /// below it. Nothing answers there on a host that has neither. No slash at the end.
    pub base_url: String,
    /// The host's data folder as a command on the host names it, such as `/data/dap`; holds `app`, `backups`, `ledger`.
    pub data: PathBuf,
    /// The same folder as this process names it.
    pub data_here: PathBuf,
    /// The application's checkout, as a command on the host names it.
    pub app: PathBuf,
    /// The name of the database's container.
    pub container: String,
    /// The database's owner, an ordinary role without a superuser's rights.
    pub owner: String,
    /// The first words of a command on the host that runs SQL as a superuser; reads standard input.
    pub database: Vec<String>,
    /// What every command on this host finds in its environment, pm2's variables among them.
    pub env: BTreeMap<String, String>,
}

impl Ground {
    pub(crate) fn describe(&self, plan: &Plan) -> Host {
        let data = self.data(plan);
        let words = [
            "docker", "exec", "-i", CONTAINER, "psql", "-U", "postgres", "-d", "postgres",
        ];
        Host {
            name: plan.name.to_owned(),
            address: plan.address.to_string(),
            port: plan.ssh,
            role: plan.role,
            base_url: match plan.role {
                Role::Backend => format!("http://{}", plan.at(plan.backend)),
                _ => format!("http://{}", plan.at(plan.frontend)),
            },
            app: data.join("app"),
            data_here: self.host(plan.name).join("data/dap"),
            data,
            container: CONTAINER.to_owned(),
            owner: OWNER.to_owned(),
            database: words.map(str::to_owned).to_vec(),
            env: self.env(plan),
        }
    }
}
