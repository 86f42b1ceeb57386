//! What `ssh <alias>` would do, asked of ssh itself.
//!
//! `ssh -G` prints the settings after all `Host`, `Match` and `Include` rules and opens no connection. Reading the
//! configuration ourselves would get some of those rules wrong, and a wrong one leads to the wrong machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::SshConfig;
use crate::host::HostError;

/// The settings that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) hostname: String,
    pub(super) port: u16,
    pub(super) user: String,
    /// Key files to try, in order; they need not exist.
    pub(super) identities: Vec<PathBuf>,
    /// No keys of the agent but those named in `identities`.
    pub(super) identities_only: bool,
    /// The agent's socket, unless there is none or it must not be used.
    pub(super) agent: Option<PathBuf>,
    /// Where host keys are on record: the user's files, then the machine's.
    pub(super) known_hosts: Vec<PathBuf>,
    /// The name host keys are on record under, when it is not the address.
    pub(super) host_key_alias: Option<String>,
    /// The machines to go through, in order.
    pub(super) jumps: Vec<String>,
}

impl Resolved {
    /// The name to look for in the known-hosts files.
    ///
    /// Unlike ssh, a key on record for port 22 is not taken for another port of the same machine.
    pub(super) fn record_name(&self) -> String {
        match (&self.host_key_alias, self.port) {
            (Some(alias), _) => alias.to_lowercase(),
            (None, 22) => self.hostname.to_lowercase(),
            (None, port) => format!("[{}]:{port}", self.hostname.to_lowercase()),
        }
    }
}

/// Asks ssh for the settings of a machine.
///
/// [`HostError::Config`] when ssh is missing or refuses its configuration, and when that configuration asks for
/// something that is not supported here: silence would lead elsewhere than `ssh` does.
pub(super) fn resolve(config: &SshConfig, extra: &[String]) -> Result<Resolved, HostError> {
    let wrong = |why: String| HostError::Config {
        host: config.name.clone(),
        why,
    };
    let alias = &config.alias;
    if alias.is_empty()
        || alias.starts_with('-')
        || alias.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Err(wrong(format!(
            "`{}` is not an ssh host name",
            alias.escape_debug()
        )));
    }
    let mut command = Command::new("ssh");
    command.arg("-G").args(extra).stdin(Stdio::null());
    if let Some(file) = &config.config_file {
        command.arg("-F").arg(file);
    }
    let output = command.arg("--").arg(alias).output().map_err(|e| {
        wrong(format!(
            "`ssh -G {alias}` could not be run ({e}); install the OpenSSH client"
        ))
    })?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(wrong(format!(
            "`ssh -G {alias}` refused the configuration: {}",
            why.trim()
        )));
    }
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let agent = std::env::var("SSH_AUTH_SOCK").ok();
    parse(
        &String::from_utf8_lossy(&output.stdout),
        &home,
        agent.as_deref(),
    )
    .map_err(wrong)
}

fn parse(text: &str, home: &Path, environment_agent: Option<&str>) -> Result<Resolved, String> {
    let mut found = Resolved {
        port: 22,
        ..Resolved::default()
    };
    let mut agent = "SSH_AUTH_SOCK".to_owned();
    let mut identities = Vec::new();
    for line in text.lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "hostname" => value.clone_into(&mut found.hostname),
            "user" => value.clone_into(&mut found.user),
            "port" => {
                found.port = value
                    .parse()
                    .map_err(|_| format!("`{value}` is not a port"))?;
            }
            "identityfile" => identities.push(value),
            "identitiesonly" => found.identities_only = value == "yes",
            "identityagent" => value.clone_into(&mut agent),
            "hostkeyalias" => found.host_key_alias = Some(value.to_owned()),
            "userknownhostsfile" | "globalknownhostsfile" => {
                let files = value
                    .split(' ')
                    .filter(|file| *file != "none" && !file.is_empty());
                let files: Vec<PathBuf> = files.map(|file| expand(file, home, &found)).collect();
                if key.starts_with("user") {
                    found.known_hosts.splice(0..0, files);
                } else {
                    found.known_hosts.extend(files);
                }
            }
            "proxyjump" if value != "none" => {
                found.jumps = value.split(',').map(|hop| hop.trim().to_owned()).collect();
            }
            "proxycommand" if value != "none" => {
                return Err("its ProxyCommand is not supported; use ProxyJump".to_owned());
            }
            _ => {}
        }
    }
    if found.hostname.is_empty() || found.user.is_empty() {
        return Err("`ssh -G` names no hostname or no user".to_owned());
    }
    found.identities = identities
        .into_iter()
        .filter(|file| *file != "none")
        .map(|file| expand(file, home, &found))
        .collect();
    found.agent = match agent.as_str() {
        "none" => None,
        "SSH_AUTH_SOCK" => environment_agent.map(PathBuf::from),
        other => match other.strip_prefix('$') {
            Some(name) => std::env::var_os(name.trim_matches(['{', '}'])).map(PathBuf::from),
            None => Some(expand(other, home, &found)),
        },
    };
    Ok(found)
}

/// `~` and the percent signs that `ssh -G` leaves in file names.
fn expand(file: &str, home: &Path, found: &Resolved) -> PathBuf {
    let file = file.trim_matches('"');
    let mut text = String::new();
    let mut chars = file.chars();
    while let Some(c) = chars.next() {
        match (c, c == '%') {
            (_, true) => match chars.next() {
                Some('d') => text.push_str(&home.to_string_lossy()),
                Some('h') => text.push_str(&found.hostname),
                Some('p') => text.push_str(&found.port.to_string()),
                Some('r') => text.push_str(&found.user),
                Some('%') | None => text.push('%'),
                Some(other) => text.extend(['%', other]),
            },
            (c, false) => text.push(c),
        }
    }
    match text.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "host prod\nuser deploy\nhostname 10.0.0.1\nport 2222\nidentitiesonly yes\n\
        identityfile ~/.ssh/id_%r\nglobalknownhostsfile /etc/ssh/a /etc/ssh/b\nuserknownhostsfile ~/k\nproxyjump a,b:23\n";

    #[test]
    fn settings_are_read_as_ssh_prints_them() {
        let found = parse(TEXT, Path::new("/home/me"), Some("/run/agent")).unwrap();
        assert_eq!(
            (found.hostname.as_str(), found.port, found.user.as_str()),
            ("10.0.0.1", 2222, "deploy")
        );
        assert_eq!(found.identities, [PathBuf::from("/home/me/.ssh/id_deploy")]);
        assert_eq!(
            found.known_hosts,
            ["/home/me/k", "/etc/ssh/a", "/etc/ssh/b"].map(PathBuf::from)
        );
        assert_eq!(found.jumps, ["a", "b:23"]);
        assert_eq!(found.agent, Some("/run/agent".into()));
        assert!(found.identities_only);
        assert_eq!(found.record_name(), "[10.0.0.1]:2222");
    }

    #[test]
    fn what_is_not_supported_is_an_error() {
        let text = format!("{TEXT}proxycommand nc %h %p\n");
        assert!(
            parse(&text, Path::new("/"), None)
                .unwrap_err()
                .contains("ProxyCommand")
        );
    }

    #[test]
    fn an_alias_cannot_be_an_option() {
        for alias in ["-oProxyCommand=x", "", "a b", "a\nb"] {
            let error = resolve(&SshConfig::new("prod", alias), &[]).unwrap_err();
            assert!(matches!(error, HostError::Config { .. }), "{alias:?}");
        }
    }

    #[test]
    fn no_agent_is_no_agent() {
        let text = format!("{TEXT}identityagent none\n");
        assert_eq!(
            parse(&text, Path::new("/"), Some("/run/agent"))
                .unwrap()
                .agent,
            None
        );
    }
}
