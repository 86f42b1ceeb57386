//! The core of `flow.toml`: what every workflow shares.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use flow_steps::means::host::{Hosts, SshConfig, SshHost};
use serde::Deserialize;

use super::{Mail, Ssh};

/// See the module.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Core {
    /// The environments by their names, and how the host of each is reached.
    #[serde(default)]
    pub env: BTreeMap<String, HostAt>,
    /// The order of the environments, production last. Only `release` asks for it.
    #[serde(default)]
    pub path: Vec<String>,
    /// How machines are reached.
    #[serde(default)]
    pub ssh: Ssh,
    /// Mail to the team.
    pub mail: Option<Mail>,
    /// Where the people file is; default `flow.people.toml` beside this one.
    #[serde(default = "super::people_file")]
    pub people: PathBuf,
    /// The folder this file was read from.
    #[serde(skip)]
    pub dir: PathBuf,
}

/// An environment as the core knows it.
#[derive(Debug, Clone, Deserialize)]
pub struct HostAt {
    /// The host's alias in the ssh configuration.
    pub ssh: String,
    #[serde(flatten)]
    #[expect(
        clippy::zero_sized_map_values,
        reason = "only whether there is anything more counts, and what is flattened is a map"
    )]
    more: BTreeMap<String, serde::de::IgnoredAny>,
}

impl HostAt {
    /// Whether more is said of it than how it is reached.
    pub(super) fn says_more(&self) -> bool {
        !self.more.is_empty()
    }
}

impl Core {
    /// A path of the file, made absolute against its folder.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.dir.join(path)
    }

    /// The machines, by the names of their environments.
    pub fn hosts(&self) -> Hosts {
        let config = self.ssh.config.as_deref().map(|path| self.path(path));
        self.env.iter().fold(Hosts::new(), |hosts, (name, at)| {
            let mut ssh = SshConfig::new(name, &at.ssh);
            ssh.config_file.clone_from(&config);
            hosts.with(SshHost::new(ssh))
        })
    }
}
