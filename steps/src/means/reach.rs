//! From a step to a machine: the few lines every step that talks to a host needs, those of other crates too.

use std::sync::Arc;

use flow_engine::step::{Cx, StepError};

use crate::means::host::{Command, Host, HostExt, Hosts};
use crate::means::lease::guard::{Guard, in_force};

mod error;
pub(crate) mod patterns;

pub use error::{absolute, error, is_silence};

/// The host of that name, which is that of its environment in `flow.toml`.
///
/// While this run holds the lease of that host, every command looks at it first, in the same call, and is not started
/// when it is not ours any more ([`NotLeased`](crate::means::host::HostError::NotLeased)).
///
/// # Errors
/// [`StepError::Fail`] when no hosts were provided or none has the name: a mistake in the configuration.
pub fn host(cx: &Cx, name: &str) -> Result<Arc<dyn Host>, StepError> {
    let host = unguarded(cx, name)?;
    Ok(match in_force(cx.run(), name)? {
        Some(held) => Arc::new(Guard::new(host, held, cx)),
        None => host,
    })
}

/// The environment that a host belongs to, as `flow lock` and `flow unlock` take it: a further host is called `prod/worker`.
#[must_use]
pub fn environment(host: &str) -> &str {
    host.split_once('/')
        .map_or(host, |(environment, _)| environment)
}

/// The host of that name for the steps that take and give back its lease, and for a mere look at the lease.
pub(crate) fn unguarded(cx: &Cx, name: &str) -> Result<Arc<dyn Host>, StepError> {
    cx.resource::<Hosts>()?.get(name).map_err(|e| error(&e))
}

/// Runs a command that must succeed, and that may be run again after a broken connection; what it printed.
///
/// # Errors
/// As [`error`] sorts them: [`StepError::Unreached`] for a host that could not be asked, [`StepError::Fail`] for a program
/// that said no, [`StepError::Ask`] where the lease is another run's by now.
pub async fn run(host: &dyn Host, command: &Command) -> Result<String, StepError> {
    host.run(command).await.map_err(|e| error(&e))
}

/// A command made of a configured program with its leading arguments, such as `sudo -u app pm2`, and further ones.
///
/// # Errors
/// [`StepError::Fail`] on an empty program.
pub fn command(prefix: &[String], args: &[&str]) -> Result<Command, StepError> {
    let (program, rest) = prefix
        .split_first()
        .ok_or_else(|| StepError::fail("a configured command is empty; name at least a program"))?;
    Ok(Command::new(program).args(rest).args(args.iter().copied()))
}

/// A full commit name: 40 or 64 hexadecimal digits in lower case. Anything shorter could be an option or a branch.
pub(crate) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::means::host::HostError;

    #[test]
    fn a_host_that_could_not_be_asked_is_unreached_and_one_that_said_no_has_failed() {
        let (host, why) = (String::from("h"), String::from("w"));
        let silent = [
            HostError::Lost {
                host: host.clone(),
                program: "p".into(),
            },
            HostError::Unreachable {
                host: host.clone(),
                why: why.clone(),
            },
            HostError::Deadline {
                host: host.clone(),
                program: "p".into(),
                seconds: 1,
            },
            HostError::Auth {
                host: host.clone(),
                user: "u".into(),
                why: why.clone(),
            },
            HostError::HostKey {
                host: host.clone(),
                file: "f".into(),
                why: why.clone(),
            },
            HostError::Config { host, why },
        ];
        for silence in silent {
            assert!(
                matches!(error(&silence), StepError::Unreached(_)),
                "{silence}"
            );
        }
        let failed = HostError::Failed {
            host: "h".into(),
            program: "p".into(),
            how: "exited with 1".into(),
            stderr: String::new(),
        };
        assert!(matches!(error(&failed), StepError::Fail(_)));
    }

    #[test]
    fn a_path_that_climbs_or_is_relative_is_refused() {
        assert!(absolute("/data/dap").is_ok());
        for bad in ["data", "/data/../etc", "/a\nb", ""] {
            assert!(absolute(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_branch_or_an_option_is_no_commit() {
        assert!(is_commit(&"a".repeat(40)));
        for bad in ["main", "--upload-pack=x", &"A".repeat(40), &"a".repeat(39)] {
            assert!(!is_commit(bad), "{bad}");
        }
    }
}
