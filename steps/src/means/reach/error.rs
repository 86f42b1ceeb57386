//! What a host's errors mean for a step, and the paths a host is given.

use flow_engine::step::StepError;

use super::environment;
use crate::means::host::{HostError, Lapse};

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
    let env = environment(host);
    match lapse {
        Lapse::Other(other) => ask
            .hint(format!("let run {other} end; what it released stays: flow status {other}"))
            .hint(format!(
                "to end this run without touching `{host}`: flow rollback {run} --reason …, then flow skip {run} STEP --reason … for each undo that is refused"
            )),
        Lapse::Nobody => ask
            .hint(format!("who took it, and what was released since: flow lock {env} --show"))
            .hint(format!(
                "when nothing was released since: flow lock {env} --for {run} --reason …, then flow retry {run}"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_nobody_has_on_a_further_host_is_given_back_by_the_name_of_its_environment() {
        let said = error(&HostError::NotLeased {
            host: "prod/web-2".into(),
            program: "true".into(),
            run: "r-one".into(),
            lapse: Lapse::Nobody,
        });
        let StepError::Ask(failure) = said else {
            panic!("a person is asked: {said:?}");
        };
        let hints = failure.hints.join("\n");
        for command in ["flow lock prod --show", "flow lock prod --for r-one "] {
            assert!(hints.contains(command), "{hints}");
        }
    }
}
