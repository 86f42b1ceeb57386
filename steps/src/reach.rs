//! From a step to a machine: the few lines every step that talks to a host needs, those of other crates too.

use std::sync::Arc;

use flow_engine::step::{Cx, StepError};

use crate::host::{Command, Host, HostError, HostExt, Hosts, Lapse};
use crate::lease;

pub(crate) mod patterns;

/// The host of that name, which is that of its environment in `flow.toml`.
///
/// While this run holds the lease of that host, every command looks at it first, in the same call, and is not started
/// when it is not ours any more ([`HostError::NotLeased`]).
///
/// # Errors
/// [`StepError::Fail`] when no hosts were provided or none has the name: a mistake in the configuration.
pub fn host(cx: &Cx, name: &str) -> Result<Arc<dyn Host>, StepError> {
    let host = unguarded(cx, name)?;
    Ok(match lease::in_force(cx.run(), name)? {
        Some(held) => Arc::new(lease::Guard::new(host, held, cx)),
        None => host,
    })
}

/// The host of that name for the steps that take and give back its lease, and for a mere look at the lease.
pub(crate) fn unguarded(cx: &Cx, name: &str) -> Result<Arc<dyn Host>, StepError> {
    cx.resource::<Hosts>()?.get(name).map_err(|e| error(&e))
}

/// What a host's error means for a step that may safely be run again: a host that could not be asked says nothing,
/// whatever stood in the way; a program that said no does.
pub fn error(e: &HostError) -> StepError {
    match e {
        HostError::NotLeased {
            host, run, lapse, ..
        } => not_leased(e, host, run, lapse),
        _ if is_silence(e) => StepError::unreached(e.to_string()),
        _ => StepError::fail(e.to_string()),
    }
}

/// Whether a host was not asked, or its answer did not arrive: no way to it, a connection that broke, no answer in
/// time, our own keys and settings, or a lease that is not this run's any more.
pub fn is_silence(e: &HostError) -> bool {
    match e {
        HostError::Unreachable { .. }
        | HostError::Lost { .. }
        | HostError::Deadline { .. }
        | HostError::HostKey { .. }
        | HostError::Auth { .. }
        | HostError::Config { .. }
        | HostError::NotLeased { .. } => true,
        HostError::TooMuch { .. } | HostError::Failed { .. } | HostError::Spawn { .. } => false,
    }
}

/// Never a failure, which might begin a rollback: undoing acts on the host as well. A person is asked.
fn not_leased(e: &HostError, host: &str, run: &str, lapse: &Lapse) -> StepError {
    let ask = StepError::ask(e.to_string());
    match lapse {
        Lapse::Other(other) => ask
            .hint(format!("let run {other} end; what it released stays: flow status {other}"))
            .hint(format!(
                "to end this run without touching `{host}`: flow rollback {run} --reason …, then flow skip {run} STEP --reason … for each undo that is refused"
            )),
        Lapse::Nobody => ask
            .hint(format!("who took it, and what was released since: flow lock {host} --show"))
            .hint(format!(
                "when nothing was released since: flow lock {host} --for {run} --reason …, then flow retry {run}"
            ))
            .hint(format!(
                "when something was: flow rollback {run} --reason …, then flow skip {run} STEP --reason … for each undo that is refused"
            )),
        Lapse::Newer(_) => ask.hint(format!("leave this process; flow status {run}")),
        Lapse::Unreadable(dir) => ask
            .hint(format!("look at {dir}/held on the host, then: flow retry {run}")),
        Lapse::Machine(_) => ask.hint(format!(
            "check its address in DNS and in ssh's configuration, then: flow retry {run}"
        )),
    }
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

/// A path that may stand in a command line: absolute, without line breaks and without `..`.
///
/// # Errors
/// [`StepError::Fail`] for any other.
pub fn absolute(path: &str) -> Result<&str, StepError> {
    let bad = !path.starts_with('/')
        || path.contains(['\0', '\n', '\r'])
        || path.split('/').any(|part| part == "..");
    if bad {
        Err(StepError::fail(format!(
            "`{}` is no absolute path on the host; correct the configuration",
            path.escape_debug()
        )))
    } else {
        Ok(path)
    }
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
