//! Who may release to an environment, and who could get at what `flow` keeps there.

use std::sync::Arc;

use flow_steps::host::Host;
use flow_steps::lease::{LeaseError, LockState, lock_state, strangers, whereabouts};
use flow_steps::mail::secret;

use super::Report;
use crate::config::Environment;

pub(super) async fn lease(report: &mut Report, host: &Arc<dyn Host>, env: &Environment) {
    let name = report.place.clone();
    let open = match whereabouts(host, &env.database.at(&name)).await {
        Ok(dir) => state(&**host, &dir, env).await,
        Err(e) => Err(e),
    };
    let found = match open {
        Ok(LockState {
            locked: Some(locked),
            ..
        }) => Err(format!(
            "locked since {} by {}: {}",
            locked.since, locked.by, locked.reason
        )),
        Ok(LockState {
            held: Some(held), ..
        }) => Err(format!(
            "run {} releases to it since {}: {}",
            held.run, held.since, held.holder
        )),
        Ok(_) => Ok("free".to_owned()),
        Err(e) => Err(e.to_string()),
    };
    let fix = format!("look into it: flow lock {name} --show; then flow unlock {name} --reason …");
    report.add("lease", found, &fix);
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
        "name it (`env:NAME` or `file:PATH`) instead: a value is in the plan, the journal and every export",
    );
}
