//! Every gate once more, at the last moment before production is touched: what held an hour ago may not hold now.

use async_trait::async_trait;
use flow_engine::clock::Timestamp;
use flow_engine::planner::Arg;
use flow_engine::record::Failure;
use flow_engine::run::{Run, Status};
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::backup::BackupRule;
use super::overtaken;
use crate::means::git::head;
use crate::means::host::{Command, Host, HostExt as _};
use crate::means::lease::Lease;
use crate::means::lease::store::lock_state;
use crate::means::promotion::PromotionRule;
use crate::means::reports::code::Snapshot;
use crate::means::reports::people::SignedOff;
use crate::means::signature::origin;
use crate::means::signature::sign_off::{NotValid, still_valid};
use crate::means::{kinds, promotion, reach, secret};

/// Room that must be free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Free {
    /// A folder on the host, absolute.
    pub path: String,
    /// How many bytes must be free where it lies.
    pub bytes: u64,
}

/// Re-checks everything a release relies on. All that is wrong is named at once. Run twice: judged anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preflight {
    /// The production host.
    pub host: String,
    /// Rule 1: test and staging first.
    pub promotion: PromotionRule,
    /// Rule 2: a backup that was restored.
    pub backup: BackupRule,
    /// Phases that must have passed in this run.
    pub phases: Vec<String>,
    /// Roles that must have signed, unexpired.
    pub roles: Vec<String>,
    /// The lease: the machine must be the same, and the lease still ours.
    pub lease: Arg<Lease>,
    /// Room on the host.
    pub free: Vec<Free>,
    /// Room for the dumps and the copy of the release and its rollback, by the size of the database.
    #[serde(default)]
    pub room: Option<crate::pg::Room>,
    /// The code that a rollback would put back: it must still be what is deployed.
    #[serde(default)]
    pub code: Option<CodeBefore>,
    /// Names of secrets (`env:NAME`, `file:/path`) that the deploy needs.
    #[serde(default)]
    pub secrets: Vec<String>,
}

/// The code of before, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeBefore {
    /// The work tree on the host, absolute.
    pub dir: String,
    /// What was kept of it.
    pub snapshot: Arg<Snapshot>,
}

/// What was confirmed, in words, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// One line for each check.
    pub confirmed: Vec<String>,
}

/// The roles that have signed, with what is wrong: a role without a sign-off, or one that has expired.
/// Those in `renewed` were signed again since.
fn sign_offs(
    run: &Run,
    roles: &[String],
    renewed: &[SignedOff],
    now: Timestamp,
) -> Vec<Result<String, String>> {
    let nodes = run.plan.nodes.iter().zip(&run.steps);
    let signed: Vec<SignedOff> = nodes
        .filter(|(n, s)| n.kind == kinds::SIGN_OFF && s.status == Status::Done)
        .filter_map(|(_, s)| serde_json::from_str(s.output.as_deref()?).ok())
        .chain(renewed.iter().cloned())
        .collect();
    let judge = |role: &String| match signed
        .iter()
        .filter(|s| s.role == *role)
        .map(|s| s.expires_at)
        .max()
    {
        None => Err(format!("`{role}` has not signed")),
        Some(until) if until <= now => Err(format!("the sign-off of `{role}` expired at {until}")),
        Some(until) => Ok(format!("signed by `{role}` until {until}")),
    };
    roles.iter().map(judge).collect()
}

/// With a roster at hand the signatures themselves are judged again: a key may have left it, or a rejection followed.
async fn signatures(cx: &Cx) -> Result<Option<Result<Vec<SignedOff>, NotValid>>, StepError> {
    let Some(people) = origin::at_hand(cx).await? else {
        return Ok(None);
    };
    match still_valid(cx.run(), &people, cx.now()).await {
        Ok(signed) => Ok(Some(Ok(signed))),
        Err(NotValid::Unchecked(e)) => {
            Err(StepError::unreached("a signature could not be judged").because(&e))
        }
        Err(no) => Ok(Some(Err(no))),
    }
}

fn phases(run: &Run, phases: &[String]) -> Vec<Result<String, String>> {
    let judge = |phase: &String| {
        if run.phase_passed(phase) {
            Ok(format!("phase `{phase}` passed"))
        } else {
            Err(format!("phase `{phase}` has not passed in this run"))
        }
    };
    phases.iter().map(judge).collect()
}

#[async_trait]
impl Step for Preflight {
    const KIND: &'static str = "gate.preflight";
    type Output = Ready;

    fn summary(&self) -> String {
        format!(
            "check every gate again, and `{}` itself: identity, lease, disk",
            self.host
        )
    }

    async fn run(&self, cx: &Cx) -> Result<Ready, StepError> {
        let host = reach::host(cx, &self.host)?;
        let mut all = phases(cx.run(), &self.phases);
        let signed = signatures(cx).await?;
        let not_valid = signed.as_ref().and_then(|s| s.as_ref().err()).cloned();
        let renewed = signed.as_ref().and_then(|s| s.as_deref().ok());
        let renewed = renewed.unwrap_or_default();
        all.extend(sign_offs(cx.run(), &self.roles, renewed, cx.now()));
        let count = |signed: Vec<SignedOff>| format!("{} signatures judged again", signed.len());
        all.extend(signed.map(|signed| signed.map(count).map_err(|no| no.to_string())));
        all.push(gate(
            promotion::judge(cx, &self.promotion).await,
            |passed| {
                let phases: Vec<String> = passed
                    .iter()
                    .map(|p| format!("{} in {}", p.phase, p.run))
                    .collect();
                format!("passed for this commit: {}", phases.join(", "))
            },
        )?);
        all.push(not_overtaken(cx).await?);
        all.push(gate(self.backup.judge(cx, false).await, |fresh| {
            format!(
                "proven backup of {} s ago",
                fresh.age_seconds.unwrap_or_default()
            )
        })?);
        all.extend(self.machine(cx, &*host).await?);
        if let Some(before) = &self.code {
            all.push(same_code(cx, &*host, before).await?);
        }
        for name in &self.secrets {
            all.push(secret_there(cx, name).await);
        }
        for free in &self.free {
            all.push(room(&*host, free).await?);
        }
        if let Some(room) = &self.room {
            all.push(room.judge(cx).await?);
        }
        let (confirmed, wrong): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
        let wrong: Vec<String> = wrong.into_iter().filter_map(Result::err).collect();
        if wrong.is_empty() {
            Ok(Ready {
                confirmed: confirmed.into_iter().filter_map(Result::ok).collect(),
            })
        } else {
            Err(StepError::Refuse(refusal(cx, &wrong, not_valid.as_ref())))
        }
    }
}

/// All that is wrong, and what leads on. Where no answer can put a sign-off right, a retry is not offered.
fn refusal(cx: &Cx, wrong: &[String], signed: Option<&NotValid>) -> Failure {
    let mut failure = Failure::new(format!("production is not touched: {}", wrong.join("; ")));
    let hints = signed.map(|no| no.hints(cx.run_id())).unwrap_or_default();
    failure = hints.into_iter().fold(failure, Failure::hint);
    if signed.is_some_and(NotValid::is_final) {
        return failure;
    }
    failure.hint(format!("put that right, then: flow retry {}", cx.run_id()))
}

/// That no other run of this journal changed production since this one was begun.
async fn not_overtaken(cx: &Cx) -> Result<Result<String, String>, StepError> {
    let this = cx.run();
    let (environment, begun) = (&this.plan.environment, this.created);
    let others = cx
        .other_runs(|other| other.environment == *environment && other.updated > begun)
        .await?;
    Ok(match overtaken::judge(this, &others) {
        Ok(()) => Ok(format!(
            "no other run changed {environment} since this one was begun"
        )),
        Err(failure) => Err(format!(
            "{} ({})",
            failure.message,
            failure.hints.join("; ")
        )),
    })
}

/// A gate's no is one finding among others; anything else ends the step.
fn gate<T>(
    judged: Result<T, StepError>,
    words: impl FnOnce(T) -> String,
) -> Result<Result<String, String>, StepError> {
    match judged {
        Ok(found) => Ok(Ok(words(found))),
        Err(StepError::Refuse(failure)) => Ok(Err(failure.message)),
        Err(other) => Err(other),
    }
}

/// Another release, or a hand, may have been there while people signed: a rollback would put back the wrong code.
async fn same_code(
    cx: &Cx,
    host: &dyn Host,
    before: &CodeBefore,
) -> Result<Result<String, String>, StepError> {
    let kept = cx.arg(&before.snapshot)?.commit;
    let now = head(host, &before.dir).await?;
    Ok(if now == kept {
        Ok(format!("{kept} is still deployed"))
    } else {
        Err(format!(
            "{now} is deployed now, not {kept} as when everything was backed up: another release came in between, begin again"
        ))
    })
}

async fn secret_there(cx: &Cx, name: &str) -> Result<String, String> {
    let shown = secret::shown(name);
    match secret::resolve(name).await {
        Ok(value) => {
            cx.keep_secret(name, [value.expose().to_owned()]);
            Ok(format!("the secret `{shown}` is there"))
        }
        Err(e) => Err(format!("the deploy needs `{shown}`: {e}")),
    }
}

impl Preflight {
    async fn machine(
        &self,
        cx: &Cx,
        host: &dyn Host,
    ) -> Result<Vec<Result<String, String>>, StepError> {
        let lease = cx.arg(&self.lease)?;
        let identity = host.identity().await.map_err(|e| reach::error(&e))?;
        let same = identity.machine_id == lease.machine_id;
        let machine = if same {
            Ok(format!(
                "`{}` is still {} ({})",
                self.host, identity.hostname, identity.machine_id
            ))
        } else {
            Err(format!(
                "`{}` is now another machine ({}, {}), not {}: check its address",
                self.host, identity.hostname, identity.machine_id, lease.machine_id
            ))
        };
        let state = lock_state(host, &lease.dir)
            .await
            .map_err(StepError::from)?;
        let ours = match state.held {
            Some(held) if held.run == cx.run_id().as_str() => Ok("the lease is ours".to_owned()),
            Some(held) => Err(format!("the lease is now run {}'s", held.run)),
            None => Err("the lease is gone".to_owned()),
        };
        Ok(vec![machine, ours])
    }
}

async fn room(host: &dyn Host, free: &Free) -> Result<Result<String, String>, StepError> {
    let df = Command::new("df")
        .args(["-Pk", "--", reach::absolute(&free.path)?])
        .env("LC_ALL", "C");
    let text = reach::run(host, &df).await?;
    let column = text
        .lines()
        .last()
        .and_then(|l| l.split_whitespace().nth(3)?.parse::<u64>().ok());
    let kib = column.ok_or_else(|| {
        StepError::fail(format!(
            "`df` does not say how much is free in {}",
            free.path
        ))
    })?;
    let (have, want) = (kib / 1024, free.bytes.div_ceil(1024 * 1024));
    Ok(if kib >= free.bytes.div_ceil(1024) {
        Ok(format!("{have} MiB free in {}", free.path))
    } else {
        Err(format!(
            "only {have} MiB free in {}, {want} are needed",
            free.path
        ))
    })
}

#[cfg(test)]
mod tests;
