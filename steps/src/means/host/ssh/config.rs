//! What `ssh <alias>` would do, asked of ssh itself.
//!
//! `ssh -G` prints the settings after all `Host`, `Match` and `Include` rules and opens no connection. Reading the
//! configuration ourselves would get some of those rules wrong, and a wrong one leads to the wrong machine.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::SshConfig;
use super::settings::Settings;
use super::tokens::{Tokens, home};
use crate::means::host::HostError;

/// The settings that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) hostname: String,
    pub(super) port: u16,
    pub(super) user: String,
    /// `Some(true)`: only IPv4 addresses; `Some(false)`: only IPv6.
    pub(super) only_ipv4: Option<bool>,
    /// Key files to try, in order; they need not exist.
    pub(super) identities: Vec<PathBuf>,
    /// Certificates for them, besides those that lie beside the key files.
    pub(super) certificates: Vec<PathBuf>,
    /// No keys of the agent but those named in `identities`.
    pub(super) identities_only: bool,
    /// The agent's socket, unless there is none or it must not be used.
    pub(super) agent: Option<PathBuf>,
    /// Where host keys are on record: the user's files, then the machine's.
    pub(super) known_hosts: Vec<PathBuf>,
    /// A list of keys that are never believed, or a key revocation list.
    pub(super) revoked: Option<PathBuf>,
    /// The name host keys are on record under, when it is not the address.
    pub(super) host_key_alias: Option<String>,
    /// The machines to go through, in order.
    pub(super) jumps: Vec<String>,
    /// The command whose input and output is the connection, ready for a shell.
    pub(super) proxy: Option<String>,
    /// Algorithms that may be used.
    pub(super) algorithms: Algorithms,
}

/// Lists of algorithms, with commas; `None` where the configuration says nothing of its own.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Algorithms {
    pub(super) key_exchange: Option<String>,
    pub(super) ciphers: Option<String>,
    pub(super) macs: Option<String>,
    /// For host keys; never missing.
    pub(super) host_key: String,
    /// For the signatures of certificate authorities; never missing.
    pub(super) authority: String,
    /// For the keys of users.
    pub(super) user_key: Option<String>,
}

impl Resolved {
    /// The name to look for in the known-hosts files.
    ///
    /// Unlike ssh, a key on record for port 22 is not taken for another port of the same machine.
    pub(super) fn record_name(&self) -> String {
        match (&self.host_key_alias, self.port) {
            (None, port) if port != 22 => format!("[{}]:{port}", self.principal()),
            _ => self.principal(),
        }
    }

    /// The name that a certificate of the machine must have, and that certificate authorities are on record for.
    pub(super) fn principal(&self) -> String {
        let name = self.host_key_alias.as_ref().unwrap_or(&self.hostname);
        name.to_lowercase()
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
    let file = config.config_file.as_ref();
    let given = ask(alias, extra, file.map(|file| file.as_os_str())).map_err(wrong)?;
    let plain = ask(alias, extra, Some("none".as_ref())).map_err(wrong)?;
    let agent = std::env::var("SSH_AUTH_SOCK").ok();
    parse(&given, &plain, alias, agent.as_deref()).map_err(wrong)
}

fn ask(alias: &str, extra: &[String], file: Option<&std::ffi::OsStr>) -> Result<Settings, String> {
    let mut command = Command::new("ssh");
    command.arg("-G").args(extra).stdin(Stdio::null());
    if let Some(file) = file {
        command.arg("-F").arg(file);
    }
    let output = command.arg("--").arg(alias).output().map_err(|e| {
        format!("`ssh -G {alias}` could not be run ({e}); install the OpenSSH client")
    })?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "`ssh -G {alias}` refused the configuration: {}",
            why.trim()
        ));
    }
    Ok(Settings::read(&String::from_utf8_lossy(&output.stdout)))
}

/// `plain`: what ssh has without any configuration file.
fn parse(
    given: &Settings,
    plain: &Settings,
    alias: &str,
    environment_agent: Option<&str>,
) -> Result<Resolved, String> {
    if let Some(refused) = given.refused(plain) {
        return Err(refused);
    }
    let port = given.given("port").unwrap_or("22");
    let port: u16 = port
        .parse()
        .map_err(|_| format!("`{}` is not a port", port.escape_debug()))?;
    let host_key_alias = given.given("hostkeyalias").map(str::to_owned);
    let tokens = Tokens {
        home: home(),
        alias: alias.to_owned(),
        hostname: given.one("hostname").to_owned(),
        port,
        user: given.one("user").to_owned(),
        key_alias: host_key_alias.as_deref().unwrap_or(alias).to_owned(),
        jump: given.given("proxyjump").unwrap_or("").to_owned(),
    };
    if tokens.hostname.is_empty() || tokens.user.is_empty() {
        return Err("`ssh -G` names no hostname or no user".to_owned());
    }
    let files = |key: &str| -> Result<Vec<PathBuf>, String> {
        let values = given.all(key).filter(|file| *file != "none");
        values.map(|file| tokens.file(file)).collect()
    };
    let mut known_hosts = Vec::new();
    for key in ["userknownhostsfile", "globalknownhostsfile"] {
        let names = given.one(key).split(' ').filter(|file| !file.is_empty());
        for file in names.filter(|file| *file != "none") {
            known_hosts.push(tokens.file(file)?);
        }
    }
    let hops = given.given("proxyjump").into_iter();
    let hops = hops.flat_map(|jumps| jumps.split(','));
    let proxy = given.given("proxycommand").map(|text| tokens.command(text));
    let revoked = given.given("revokedhostkeys").map(|file| tokens.file(file));
    Ok(Resolved {
        only_ipv4: match given.one("addressfamily") {
            "inet" => Some(true),
            "inet6" => Some(false),
            _ => None,
        },
        identities: files("identityfile")?,
        certificates: files("certificatefile")?,
        identities_only: given.one("identitiesonly") == "yes",
        agent: agent(given, &tokens, environment_agent)?,
        known_hosts,
        revoked: revoked.transpose()?,
        host_key_alias,
        jumps: hops
            .map(|hop| tokens.command(hop.trim()))
            .collect::<Result<_, _>>()?,
        proxy: proxy.transpose()?,
        algorithms: Algorithms {
            key_exchange: given.changed("kexalgorithms", plain),
            ciphers: given.changed("ciphers", plain),
            macs: given.changed("macs", plain),
            host_key: given.one("hostkeyalgorithms").to_owned(),
            authority: given.one("casignaturealgorithms").to_owned(),
            user_key: given.changed("pubkeyacceptedalgorithms", plain),
        },
        hostname: tokens.hostname,
        port,
        user: tokens.user,
    })
}

/// The agent's socket: of the environment, a variable, a file, or none.
fn agent(
    given: &Settings,
    tokens: &Tokens,
    environment: Option<&str>,
) -> Result<Option<PathBuf>, String> {
    match given.one("identityagent") {
        "none" => Ok(None),
        "" | "SSH_AUTH_SOCK" => Ok(environment.map(PathBuf::from)),
        other => match other
            .strip_prefix('$')
            .filter(|name| !name.starts_with('{'))
        {
            Some(name) => Ok(std::env::var_os(name).map(PathBuf::from)),
            None => tokens.file(other).map(Some),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TEXT: &str = "host prod\nuser deploy\nhostname 10.0.0.1\nport 2222\nidentitiesonly yes\n\
        identityfile /k/id_%r\nglobalknownhostsfile /etc/ssh/a /etc/ssh/b\nuserknownhostsfile /me/k\nproxyjump a,%r@b:23\n\
        certificatefile /k/%n-cert.pub\nciphers aes256-ctr\nmacs m\n";
    const PLAIN: &str =
        "ciphers aes128-ctr,aes256-ctr\nmacs m\nidentitiesonly no\ncheckhostip no\n";

    fn read(more: &str, agent: Option<&str>) -> Result<Resolved, String> {
        let given = Settings::read(&format!("{more}{TEXT}"));
        parse(&given, &Settings::read(PLAIN), "prod", agent)
    }

    #[test]
    fn settings_are_read_as_ssh_prints_them() {
        let found = read("", Some("/run/agent")).unwrap();
        assert_eq!(
            (found.hostname.as_str(), found.port, found.user.as_str()),
            ("10.0.0.1", 2222, "deploy")
        );
        assert_eq!(found.identities, [Path::new("/k/id_deploy")]);
        assert_eq!(found.certificates, [Path::new("/k/prod-cert.pub")]);
        assert_eq!(
            found.known_hosts,
            ["/me/k", "/etc/ssh/a", "/etc/ssh/b"].map(PathBuf::from)
        );
        assert_eq!(found.jumps, ["a", "deploy@b:23"]);
        assert_eq!(found.agent, Some("/run/agent".into()));
        assert!(found.identities_only);
        assert_eq!(found.record_name(), "[10.0.0.1]:2222");
        assert_eq!(found.principal(), "10.0.0.1");
        assert_eq!(found.algorithms.ciphers.as_deref(), Some("aes256-ctr"));
        assert_eq!(found.algorithms.macs, None, "as without configuration");
        let proxied = read("proxycommand nc %h %p\n", None).unwrap();
        assert_eq!(proxied.proxy.as_deref(), Some("nc 10.0.0.1 2222"));
    }

    #[test]
    fn what_is_not_supported_is_an_error() {
        let why = read("checkhostip yes\n", None).unwrap_err();
        assert!(why.contains("checkhostip"), "{why}");
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
        let found = read("identityagent none\n", Some("/run/agent"));
        assert_eq!(found.unwrap().agent, None);
        let found = read("identityagent /run/%r\n", Some("/run/agent"));
        assert_eq!(found.unwrap().agent, Some("/run/deploy".into()));
    }
}
