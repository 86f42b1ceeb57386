//! The percent signs and variables that `ssh -G` leaves in a setting, and the quotes around its words.

use std::path::{Path, PathBuf};

use rustix::process::getuid;
use rustix::system::uname;

/// What the tokens of one connection stand for.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// `%d` and `~`: the home folder here.
    pub(super) home: PathBuf,
    /// `%n`: what was typed after `ssh`.
    pub(super) alias: String,
    /// `%h`
    pub(super) hostname: String,
    /// `%p`
    pub(super) port: u16,
    /// `%r`: the user there.
    pub(super) user: String,
    /// `%k`: the name of its keys.
    pub(super) key_alias: String,
    /// `%j`: the jump hosts.
    pub(super) jump: String,
}

/// What may stand in a host or user name that becomes part of a line of shell, as in OpenSSH since 9.6.
fn harmless(name: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "'`\"$\\;&<>|(){}*?!#~".contains(c);
    !name.starts_with('-') && !name.contains(odd)
}

impl Tokens {
    /// A file name of the configuration: quotes, `~`, percent signs and `${VARIABLE}`s.
    ///
    /// The error is a sentence naming what is not known.
    pub(super) fn file(&self, text: &str) -> Result<PathBuf, String> {
        let text = text.trim_matches('"');
        let text = self.percent(&variables(text)?, "dhijkLlnpru")?;
        Ok(match text.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None => PathBuf::from(text),
        })
    }

    /// A `ProxyCommand` or one hop of a `ProxyJump`, which know `%h`, `%n`, `%p` and `%r` only.
    ///
    /// The error also tells of a name that a shell would read as more than a name.
    pub(super) fn command(&self, text: &str) -> Result<String, String> {
        for name in [&self.hostname, &self.user, &self.alias] {
            if text.contains('%') && !harmless(name) {
                return Err(format!(
                    "`{}` may not become part of a command: a shell would read more in it than a name",
                    name.escape_debug()
                ));
            }
        }
        self.percent(text, "hnpr")
    }

    fn percent(&self, text: &str, known: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            let token = after.chars().next();
            match token {
                Some('%') => out.push('%'),
                Some(token) if known.contains(token) => out.push_str(&self.value(token)?),
                _ => {
                    return Err(format!(
                        "`{}` of its ssh configuration has a token that is not supported: `%{}`; write out what it stands for",
                        text.escape_debug(),
                        token.unwrap_or(' ').escape_debug()
                    ));
                }
            }
            rest = &after[token.map_or(0, char::len_utf8)..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&self, token: char) -> Result<String, String> {
        let here = || uname().nodename().to_string_lossy().into_owned();
        Ok(match token {
            'd' => self.home.to_string_lossy().into_owned(),
            'h' => self.hostname.clone(),
            'i' => getuid().as_raw().to_string(),
            'j' => self.jump.clone(),
            'k' => self.key_alias.clone(),
            'L' => here().split('.').next().unwrap_or("").to_owned(),
            'l' => here(),
            'n' => self.alias.clone(),
            'p' => self.port.to_string(),
            'r' => self.user.clone(),
            'u' => user_here()?,
            _ => String::new(),
        })
    }
}

/// The name of the user here, as `id` tells it.
fn user_here() -> Result<String, String> {
    let asked = std::process::Command::new("id").arg("-un").output();
    let output = asked.map_err(|e| format!("`id -un` could not be run: {e}"))?;
    let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !name.is_empty() {
        Ok(name)
    } else {
        Err("`id -un` does not tell the user's name, which `%u` stands for".to_owned())
    }
}

/// `${NAME}` is the variable of that name, which must be there.
fn variables(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, tail)) = after.split_once('}') else {
            return Err(format!(
                "`{}` has a `${{` without its `}}`",
                text.escape_debug()
            ));
        };
        out.push_str(before);
        let value = std::env::var(name)
            .map_err(|_| format!("`{}`: there is no variable `{name}`", text.escape_debug()))?;
        out.push_str(&value);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether a list of algorithms, as ssh prints it, has one of them.
pub(super) fn listed(list: &str, name: &str) -> bool {
    list.split(',').any(|item| item == name)
}

/// The home folder here; empty when nothing tells it.
pub(super) fn home() -> PathBuf {
    std::env::var_os("HOME").map_or_else(PathBuf::new, |home| Path::new(&home).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(hostname: &str) -> Tokens {
        Tokens {
            home: "/home/me".into(),
            alias: "prod".into(),
            hostname: hostname.into(),
            port: 2222,
            user: "deploy".into(),
            key_alias: "db".into(),
            jump: "gate".into(),
        }
    }

    #[test]
    fn names_and_commands_are_filled_in_as_ssh_does() {
        let tokens = tokens("10.0.0.1");
        for (text, path) in [
            ("~/.ssh/id_%r", "/home/me/.ssh/id_deploy"),
            ("%d/%n/%k/%j/100%%", "/home/me/prod/db/gate/100%"),
            ("\"/a b/%h\"", "/a b/10.0.0.1"),
        ] {
            assert_eq!(tokens.file(text), Ok(PathBuf::from(path)), "{text}");
        }
        assert_eq!(
            tokens.command("nc -x %n %h %p # 5%%"),
            Ok("nc -x prod 10.0.0.1 2222 # 5%".to_owned())
        );
    }

    #[test]
    fn a_token_or_variable_that_is_not_known_is_refused_by_name() {
        let tokens = tokens("h");
        assert!(tokens.file("~/.ssh/%C").unwrap_err().contains("`%C`"));
        assert!(tokens.command("nc %d").unwrap_err().contains("`%d`"));
        assert!(tokens.command("nc 5%").unwrap_err().contains("`% `"));
        let unknown = tokens.file("${FLOW_TEST_NOWHERE}/k").unwrap_err();
        assert!(
            unknown.contains("no variable `FLOW_TEST_NOWHERE`"),
            "{unknown}"
        );
    }

    #[test]
    fn a_name_that_a_shell_would_run_never_becomes_part_of_a_command() {
        for name in ["a;id", "$(id)", "`id`", "a b", "-oX", "a'b", "a\nb", "a|b"] {
            let why = tokens(name).command("nc %h %p").unwrap_err();
            assert!(why.contains("a shell would read more"), "{name}: {why}");
        }
        assert!(tokens("::1").command("nc %h %p").is_ok());
    }
}
