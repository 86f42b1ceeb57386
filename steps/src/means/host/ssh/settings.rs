//! What `ssh -G` prints, and which of it this connection honours.
//!
//! A setting that changes who is reached, who is believed or what is run must be honoured or refused: one that is
//! passed over in silence would make `flow` reach another machine than `ssh` does, or believe one that `ssh` refuses.
//! What a setting is without any configuration file (`ssh -G -F none`) is never refused.

/// Settings that are read and followed.
const HONOURED: &[&str] = &[
    "addressfamily",
    "casignaturealgorithms",
    "certificatefile",
    "ciphers",
    "globalknownhostsfile",
    "host",
    "hostkeyalgorithms",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "kexalgorithms",
    "macs",
    "port",
    "proxycommand",
    "proxyjump",
    "pubkeyacceptedalgorithms",
    "revokedhostkeys",
    "user",
    "userknownhostsfile",
];

/// Settings without a meaning for a connection that has no terminal, forwards nothing, asks nobody, records no key and
/// knows one way to log in; and those that only allow more than is done here.
const HARMLESS: &[&str] = &[
    "addkeystoagent",
    "batchmode",
    "canonicaldomains",
    "canonicalizefallbacklocal",
    "canonicalizehostname",
    "canonicalizemaxdots",
    "canonicalizepermittedcnames",
    "channeltimeout",
    "clearallforwardings",
    "compression",
    "connectionattempts",
    "connecttimeout",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "enableescapecommandline",
    "enablesshkeysign",
    "escapechar",
    "exitonforwardfailure",
    "fingerprinthash",
    "forkafterauthentication",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "gssapiauthentication",
    "gssapiclientidentity",
    "gssapidelegatecredentials",
    "gssapikexalgorithms",
    "gssapikeyexchange",
    "gssapirenewalforcesrekey",
    "gssapiserveridentity",
    "gssapitrustdns",
    "hashknownhosts",
    "hostbasedacceptedalgorithms",
    "hostbasedauthentication",
    "ignoreunknown",
    "ipqos",
    "kbdinteractiveauthentication",
    "kbdinteractivedevices",
    "localforward",
    "loglevel",
    "logverbose",
    "nohostauthenticationforlocalhost",
    "numberofpasswordprompts",
    "obscurekeystroketiming",
    "passwordauthentication",
    "permitremoteopen",
    "rekeylimit",
    "remoteforward",
    "requesttty",
    "securitykeyprovider",
    // Sent at most: what the machine takes of it is its own decision, and no command of a release reads it.
    "sendenv",
    "serveralivecountmax",
    "serveraliveinterval",
    "sessiontype",
    "stdinnull",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "stricthostkeychecking",
    "syslogfacility",
    "tag",
    "tcpkeepalive",
    "tunnel",
    "tunneldevice",
    "updatehostkeys",
    "usekeychain",
    "verifyhostkeydns",
    "visualhostkey",
    "warnweakcrypto",
    "xauthlocation",
];

/// What to do about a setting that is refused.
const INSTEAD: &[(&str, &str)] = &[
    (
        "pkcs11provider",
        "load the card's keys into the agent (`ssh-add -s PROVIDER`) and leave PKCS11Provider out",
    ),
    (
        "knownhostscommand",
        "put the keys into a UserKnownHostsFile, or sign them and put `@cert-authority` there",
    ),
    (
        "remotecommand",
        "a host that only runs one command cannot be released to",
    ),
    (
        "localcommand",
        "do it in a ProxyCommand, or before the release",
    ),
    (
        "proxyusefdpass",
        "use a ProxyCommand that copies its input and output",
    ),
    (
        "setenv",
        "set variables of the deploy in `deploy_env` of flow.toml",
    ),
    (
        "pubkeyauthentication",
        "keys and certificates are the only way in that flow knows",
    ),
    (
        "preferredauthentications",
        "keys and certificates are the only way in that flow knows: `publickey` must be among them",
    ),
];

/// The lines of `ssh -G`, keys in small letters.
#[derive(Debug, Default)]
pub(super) struct Settings(Vec<(String, String)>);

impl Settings {
    /// Reads what `ssh -G` printed.
    pub(super) fn read(text: &str) -> Self {
        let lines = text.lines().map(|line| {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            (key.to_ascii_lowercase(), value.to_owned())
        });
        Self(lines.collect())
    }

    /// The first value of a setting, as in ssh itself; empty when it is not printed.
    pub(super) fn one(&self, key: &str) -> &str {
        self.line(key).unwrap_or("")
    }

    fn line(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|line| line.0 == key);
        found.map(|(_, value)| value.as_str())
    }

    /// The value of a setting that is not `none`.
    pub(super) fn given(&self, key: &str) -> Option<&str> {
        Some(self.one(key)).filter(|value| !value.is_empty() && *value != "none")
    }

    /// Every value of a setting that may be given more than once, in order.
    pub(super) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let same = move |line: &&(String, String)| line.0 == key;
        self.0.iter().filter(same).map(|(_, value)| value.as_str())
    }

    /// A list of algorithms, where it is not what ssh has without configuration.
    pub(super) fn changed(&self, key: &str, plain: &Self) -> Option<String> {
        let value = self.given(key)?;
        (value != plain.one(key)).then(|| value.to_owned())
    }

    /// The first setting that is neither honoured nor without meaning here, in a sentence with what to do instead.
    pub(super) fn refused(&self, plain: &Self) -> Option<String> {
        let odd = self.0.iter().find(|(key, value)| {
            !HONOURED.contains(&key.as_str())
                && !HARMLESS.contains(&key.as_str())
                && !self.all(key).eq(plain.all(key))
                && !self.means_nothing(key, value)
        });
        odd.map(|(key, value)| {
            let instead = INSTEAD.iter().find(|(name, _)| name == key).map_or(
                "leave it out for this host, or give flow an ssh configuration without it (`[ssh] config` in flow.toml)",
                |(_, instead)| instead,
            );
            format!(
                "its ssh setting `{key} {}` cannot be honoured here; {instead}",
                value.escape_debug()
            )
        })
    }

    /// Values that ask for nothing.
    fn means_nothing(&self, key: &str, value: &str) -> bool {
        match key {
            // No command here has a terminal.
            "setenv" => value.starts_with("TERM=") || value.starts_with("COLORTERM="),
            "preferredauthentications" => value.split(',').any(|way| way == "publickey"),
            "localcommand" => self.one("permitlocalcommand") != "yes",
            "permitlocalcommand" => self.given("localcommand").is_none(),
            _ => value == "none" || value.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(more: &str) -> Option<String> {
        let plain = "user me\ncheckhostip no\npermitlocalcommand no\nbindaddress none\n";
        let given = format!("user deploy\npermitlocalcommand no\n{more}\n");
        Settings::read(&given).refused(&Settings::read(plain))
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_with_what_to_do() {
        for (line, said) in [
            ("checkhostip yes", "checkhostip yes"),
            ("pkcs11provider /usr/lib/p11.so", "ssh-add -s"),
            ("setenv A=b", "deploy_env"),
            ("remotecommand tmux", "remotecommand tmux"),
            ("pubkeyauthentication no", "only way in"),
            ("preferredauthentications password", "`publickey` must be"),
            ("newsetting on", "newsetting on"),
            ("bindaddress 10.0.0.9", "[ssh] config"),
            ("proxyusefdpass yes", "copies its input"),
            ("localcommand knock\nPermitLocalCommand yes", "localcommand"),
        ] {
            let line = if line.contains("PermitLocal") {
                refused_with_local()
            } else {
                refused(line)
            };
            let why = line.unwrap_or_default();
            assert!(why.contains(said), "{said}: {why}");
        }
    }

    fn refused_with_local() -> Option<String> {
        let plain = Settings::read("permitlocalcommand no\n");
        Settings::read("permitlocalcommand yes\nlocalcommand knock\n").refused(&plain)
    }

    #[test]
    fn what_is_honoured_asks_for_nothing_or_is_ssh_s_own_is_not_refused() {
        for line in [
            "checkhostip no",
            "bindaddress none",
            "setenv TERM=xterm",
            "proxycommand nc %h %p",
            "controlmaster auto",
            "preferredauthentications publickey,password",
            "localcommand knock",
            "sendenv LANG",
        ] {
            assert_eq!(refused(line), None, "{line}");
        }
    }
}
