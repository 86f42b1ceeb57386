//! Who may release to an environment, and who could get at what `flow` keeps there.

use std::sync::Arc;

use flow_steps::means::host::Host;
use flow_steps::means::lease::place::{strangers, whereabouts};
use flow_steps::means::lease::store::{LeaseError, LockState, lock_state};
use flow_steps::means::reach::environment;
use flow_steps::means::secret;
use flow_steps::means::secret::{ByName, Secrets as _};

use super::Report;
use crate::config::{Config, Environment, Place};

/// What to do about a run that holds a lease: nothing where the run is not known here.
pub type WayOut<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// Whether the environment `name` is free. `at`: the host of its database.
pub(super) async fn lease(
    report: &mut Report,
    host: &Arc<dyn Host>,
    (name, at): (&str, &Place<'_>),
    known: WayOut<'_>,
) {
    let env = at.env;
    let open = match whereabouts(host, &env.database.at(at.name)).await {
        Ok(dir) => state(&**host, &dir, env).await,
        Err(e) => Err(e),
    };
    let fix = way_out(name, open.as_ref().ok(), known);
    report.add(
        "lease",
        open.map_err(|e| e.to_string()).and_then(in_words),
        &fix,
    );
}

/// Whether the lease of a host without a database is free: a further one, or the application's own. It lies in the host's own
/// folder, and a release to the environment takes it as well.
pub(super) async fn lease_of_host(
    report: &mut Report,
    host: &dyn Host,
    (name, dir): (&str, &str),
    known: WayOut<'_>,
) {
    let state = lock_state(host, dir).await;
    let fix = match &state {
        Ok(state) if state.locked.is_none() => way_out(environment(name), Some(state), known),
        _ => format!("look at {dir}/locked and {dir}/held on `{name}`"),
    };
    report.add(
        "lease",
        state.map_err(|e| e.to_string()).and_then(in_words),
        &fix,
    );
}

/// What to do about a run that this journal does not know: `flow unlock` takes a lease only from the run that it is told.
fn lost(env: &str, run: &str) -> String {
    format!(
        "look into it: flow lock {env} --show; when that run and its journal are lost for good: flow unlock {env} --lost {run} --reason …"
    )
}

fn in_words(state: LockState) -> Result<String, String> {
    match state {
        LockState {
            locked: Some(locked),
            ..
        } => Err(format!(
            "locked since {} by {}: {}",
            locked.since, locked.by, locked.reason
        )),
        LockState {
            held: Some(held), ..
        } => Err(format!(
            "run {} releases to it since {}: {}",
            held.run, held.since, held.holder
        )),
        LockState { .. } => Ok("free".to_owned()),
    }
}

/// A run of this journal is gone on with or undone: whoever unlocks under it takes its lease away in the middle.
fn way_out(name: &str, state: Option<&LockState>, known: WayOut<'_>) -> String {
    let held = state.filter(|state| state.locked.is_none());
    let held = held.and_then(|state| state.held.as_ref());
    held.map_or_else(
        || format!("look into it: flow lock {name} --show; then flow unlock {name} --reason …"),
        |held| known(&held.run).unwrap_or_else(|| lost(name, &held.run)),
    )
}

/// What is in force at the place of the lease, and where an older `flow` had it.
async fn state(host: &dyn Host, dir: &str, env: &Environment) -> Result<LockState, LeaseError> {
    let now = lock_state(host, dir).await?;
    let older = lock_state(host, &env.flow_dir).await?;
    Ok(LockState {
        held: now.held.or(older.held),
        locked: now.locked.or(older.locked),
    })
}

pub(super) async fn owners(report: &mut Report, host: &dyn Host, env: &Environment) {
    let folders = [env.flow_dir.clone(), env.backup_dir.clone()];
    let found = match strangers(host, &folders).await {
        Ok(found) if found.is_empty() => Ok("nobody else's".to_owned()),
        Ok(found) => Err(found.join("; ")),
        Err(e) => Err(e.to_string()),
    };
    report.add(
        "owners",
        found,
        "give flow_dir and backup_dir, and what they lie in, to the ssh user or root: chown USER FOLDER, chmod go-w FOLDER",
    );
}

/// Parts of a variable's name that promise a secret.
const SECRET: [&str; 6] = ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "KEY", "CREDENTIAL"];

/// What the deploy would stop at: secrets that cannot be found here.
pub(super) fn variables(report: &mut Report, config: &Config, env: &Environment) {
    if env.deploy_env.is_empty() {
        return;
    }
    let mut wrong = Vec::new();
    for (name, value) in &env.deploy_env {
        if secret::is_name(value)
            && let Err(e) = ByName.resolve(&config.beside(value))
        {
            wrong.push(format!("{name}: {e}"));
        }
    }
    let found = if wrong.is_empty() {
        Ok(format!(
            "{} variables, every secret is there",
            env.deploy_env.len()
        ))
    } else {
        Err(wrong.join("; "))
    };
    report.add(
        "deploy_env",
        found,
        "set what is missing where flow runs: the deploy asks for it before it starts",
    );
}

/// Values that look like secrets and stand in `flow.toml` as they are: they would be in every plan and export.
pub(super) fn literals(report: &mut Report, env: &Environment) {
    let looks = |name: &str, value: &str| {
        let name = name.to_uppercase();
        let promises = SECRET.iter().any(|part| name.contains(part));
        let address = value.split_once("://").is_some_and(|(_, rest)| {
            rest.split(['/', '?']).next().is_some_and(|who| {
                who.split_once('@')
                    .is_some_and(|(who, _)| who.contains(':'))
            })
        });
        !secret::is_name(value) && !value.is_empty() && (promises || address)
    };
    let open: Vec<&str> = env
        .deploy_env
        .iter()
        .filter(|(name, value)| looks(name, value))
        .map(|(name, _)| name.as_str())
        .collect();
    if open.is_empty() {
        return;
    }
    report.add(
        "deploy_env",
        Err(format!("looks like a secret: {}", open.join(", "))),
        "name it (`env:NAME`, `file:PATH` or `command:PROGRAM …`) instead: a value is in the plan, the journal and every export",
    );
}

#[cfg(test)]
mod tests {
    use flow_engine::clock::Timestamp;
    use flow_steps::means::lease::store::Held;

    use super::*;

    fn environment(variables: &str) -> Environment {
        let text = format!(
            "ssh = \"x\"\napp_dir = \"/a\"\nbackup_dir = \"/b\"\nflow_dir = \"/f\"\ndeploy = [\"./d\"]\n\
             health = \"https://app.example.org/\"\ndatabase = {{ user = \"p\", name = \"p\" }}\ndeploy_env = {{ {variables} }}\n"
        );
        toml::from_str(&text).expect("an environment")
    }

    #[test]
    fn secrets_of_the_deploy_that_are_not_there_are_named_without_a_value_being_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let all: String = ["test", "stage", "prod"]
            .map(|name| {
                format!(
                    "[env.{name}]\nssh = \"{name}\"\napp_dir = \"/a\"\nbackup_dir = \"/b\"\nflow_dir = \"/f\"\n\
                     deploy = [\"./d\"]\nhealth = \"https://app.example.org/\"\ndatabase = {{ user = \"p\", name = \"p\" }}\n"
                )
            })
            .concat();
        let path = folder.path().join("flow.toml");
        let app = "[app]\nname = \"x\"\nmigrations = \"m\"\n";
        std::fs::write(&path, format!("{app}{all}")).expect("writes");
        let config = Config::load(&path).expect("it loads");
        std::fs::write(folder.path().join("open"), "hunter2\n").expect("writes");
        for (variables, said) in [
            (
                "A = \"env:FLOW_TEST_NOWHERE\"",
                "A: the environment has no variable `FLOW_TEST_NOWHERE`",
            ),
            ("A = \"file:gone\"", "A: the secret file "),
            ("A = \"file:open\"", "may be read by others"),
        ] {
            let mut report = Report::of("prod");
            variables_of(&mut report, &config, variables);
            let found = &report.findings[0];
            assert!(!found.ok && found.found.contains(said), "{found:?}");
            assert!(!found.found.contains("hunter2"), "{found:?}");
        }
        let mut report = Report::of("prod");
        variables_of(
            &mut report,
            &config,
            "NODE_ENV = \"production\", A = \"env:HOME\"",
        );
        assert!(report.findings[0].ok, "{:?}", report.findings);
    }

    fn variables_of(report: &mut Report, config: &Config, variables: &str) {
        super::variables(report, config, &environment(variables));
    }

    #[test]
    fn a_lease_of_a_run_of_this_journal_is_never_told_to_be_unlocked() {
        let held = Held {
            run: "r-1".into(),
            holder: "anna@laptop".into(),
            epoch: 1,
            since: Timestamp(0),
        };
        let state = LockState {
            held: Some(held),
            locked: None,
        };
        let known = |run: &str| (run == "r-1").then(|| "flow resume r-1".to_owned());
        assert_eq!(way_out("prod", Some(&state), &known), "flow resume r-1");
        let other = |_: &str| None;
        assert!(way_out("prod", Some(&state), &other).contains("flow unlock prod"));
        assert!(way_out("prod", None, &known).contains("flow lock prod --show"));
        assert!(in_words(state).is_err());
    }

    #[tokio::test]
    async fn a_lease_that_was_left_on_a_further_host_is_found_there_with_the_run_to_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().display().to_string();
        let host = flow_steps::means::host::Local::new("prod/web-2");
        let look = async |known: WayOut<'_>| {
            let mut report = Report::of("prod/web-2");
            lease_of_host(&mut report, &host, ("prod/web-2", &folder), known).await;
            report.findings.remove(0)
        };
        let other = |_: &str| None;
        let free = look(&other).await;
        assert!(free.ok && free.found == "free", "{free:?}");
        let held = Held {
            run: "r-lost".into(),
            holder: "anna@laptop".into(),
            epoch: 1,
            since: Timestamp(0),
        };
        let text = serde_json::to_string(&held).expect("JSON");
        std::fs::write(dir.path().join("held"), text).expect("writes");
        let found = look(&other).await;
        assert!(!found.ok && found.found.contains("run r-lost"), "{found:?}");
        let unlock = "flow unlock prod --lost r-lost --reason …";
        assert!(found.fix.ends_with(unlock), "{found:?}");
        let known = look(&|run: &str| Some(format!("flow resume {run}"))).await;
        assert_eq!(known.fix, "flow resume r-lost");
        std::fs::write(dir.path().join("held"), "{").expect("writes");
        assert!(!look(&other).await.ok, "what cannot be read is not free");
    }
}
