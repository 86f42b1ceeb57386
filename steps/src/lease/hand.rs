//! What people do to a lease and its lock: lock, lift, break, give back. Each is written down beside it.

use flow_engine::clock::Timestamp;
use serde::Serialize;

use crate::means::host::Host;
use crate::means::lease::store::{
    CHANGED, Claim, Held, IF_UNCHANGED, KEEP_AS_LAST, LeaseError, Locked, WRITE, claim, json,
    lock_state, look, parse, script,
};

/// Locks an environment. An existing lock stays as it is; what is in force is returned.
pub async fn set_lock(host: &dyn Host, dir: &str, lock: &Locked) -> Result<Locked, LeaseError> {
    let text = format!(
        "{WRITE}
ln -- \"$tmp\" \"$1/locked\" 2>/dev/null || [ -e \"$1/locked\" ]
sync -- \"$1\" 2>/dev/null || sync"
    );
    script(host, &text, dir, &["lock"], json(lock)).await?;
    lock_state(host, dir)
        .await?
        .locked
        .ok_or_else(|| LeaseError::NotSo(format!("the lock in {dir} was set and is gone again")))
}

#[derive(Serialize)]
struct Lifted<'a, T> {
    by: &'a str,
    reason: &'a str,
    at: Timestamp,
    was: &'a T,
}

/// Lifts the lock, with a reason, and keeps who did so beside it (`history`, one line of JSON each).
///
/// [`LeaseError::NotSo`] when the environment is not locked or the reason is empty.
pub async fn lift_lock(
    host: &dyn Host,
    dir: &str,
    who: &str,
    reason: &str,
    now: Timestamp,
) -> Result<Locked, LeaseError> {
    let (_, line) = look(host, dir).await?;
    let was: Locked = parse("locked", &line)?
        .ok_or_else(|| LeaseError::NotSo("the environment is not locked".into()))?;
    let note = lifted(who, reason, now, &was)?;
    remove(host, dir, ("locked", &line), &note).await?;
    Ok(was)
}

/// Removes the lease of a run that will never come back. The caller names the run, so that a lease taken meanwhile by
/// another is never broken by mistake.
///
/// [`LeaseError::NotSo`] when that run does not hold it or the reason is empty.
pub async fn break_lease(
    host: &dyn Host,
    dir: &str,
    run: &str,
    (who, reason): (&str, &str),
    now: Timestamp,
) -> Result<Held, LeaseError> {
    let (line, _) = look(host, dir).await?;
    let was = parse("held", &line)?.filter(|h: &Held| h.run == run);
    let was = was.ok_or_else(|| LeaseError::NotSo(format!("run {run} does not hold the lease")))?;
    let note = lifted(who, reason, now, &was)?;
    remove(host, dir, ("held", &line), &note).await?;
    Ok(was)
}

/// Gives a run the lease back that was taken from it, by a person who knows that nothing was released since. The run's
/// next process makes it its own.
///
/// [`LeaseError::NotSo`] when somebody holds it, the environment is locked, or the reason is empty.
pub async fn give_back(
    host: &dyn Host,
    dir: &str,
    run: &str,
    (who, reason): (&str, &str),
    now: Timestamp,
) -> Result<Held, LeaseError> {
    let ours = Held {
        run: run.to_owned(),
        holder: format!("given back by {who}: {reason}"),
        epoch: 0,
        since: now,
    };
    lifted(who, reason, now, &ours)?;
    match claim(host, dir, &ours, false).await? {
        Claim::Taken => Ok(ours),
        Claim::Held(other) => Err(LeaseError::NotSo(format!(
            "run {} holds the lease since {}: {}",
            other.run, other.since, other.holder
        ))),
        Claim::Locked(locked) => Err(LeaseError::NotSo(format!(
            "it is locked since {} by {}: {}",
            locked.since, locked.by, locked.reason
        ))),
    }
}

fn lifted<T: Serialize>(
    by: &str,
    reason: &str,
    at: Timestamp,
    was: &T,
) -> Result<String, LeaseError> {
    if reason.trim().is_empty() {
        return Err(LeaseError::NotSo("a reason is needed".into()));
    }
    Ok(json(&Lifted {
        by,
        reason,
        at,
        was,
    }))
}

/// The line of history is durable before the file goes. A file that changed since it was read stays.
pub(super) async fn remove(
    host: &dyn Host,
    dir: &str,
    (file, read): (&str, &str),
    line: &str,
) -> Result<(), LeaseError> {
    // What a broken lease's run changed is not known.
    let keep = if file == "held" { KEEP_AS_LAST } else { "" };
    let text = format!(
        "{IF_UNCHANGED}
cat >> \"$1/history\"
sync -- \"$1/history\" 2>/dev/null || sync
{keep}rm -f -- \"$1/$2\"{CHANGED}"
    );
    let done = script(host, &text, dir, &[file, read], format!("{line}\n")).await?;
    if done.trim() == "changed" {
        return Ok(());
    }
    Err(LeaseError::NotSo(format!(
        "the file `{file}` in {dir} changed while it was being removed, and was left alone; look again"
    )))
}
