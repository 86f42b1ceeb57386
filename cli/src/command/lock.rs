//! `flow lock` and `flow unlock`: who may release to an environment.
//!
//! The lock is a file on the host, so that it counts for every machine that releases to it. A rollback that touched
//! production sets it; only a person lifts it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flow_engine::clock::Timestamp;
use flow_engine::id::RunId;
use flow_engine::record::ParkReason;
use flow_engine::run::{Life, Run, Undo};
use flow_engine::signal::Actor;
use flow_engine::step::Step as _;
use flow_steps::lease::{HostLease, break_lease, give_back, lift_lock, set_lock};
use flow_steps::means::host::Host;
use flow_steps::means::lease::place::place;
use flow_steps::means::lease::store::{Held, LeaseError, LockState, Locked, lock_state};
use flow_steps::means::reach::environment;

use crate::args::{Lock, Unlock};
use crate::command::thaw;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;
use crate::{actor, project, view};

mod beside;

use beside::Beside;

/// Locks, or shows what is in force. An existing lock stays as it is.
pub(crate) async fn lock(session: &Session, args: Lock) -> Result<Exit, Diagnostic> {
    let at = Place::of(session, &args.env).await?;
    let said = if args.show {
        at.in_words(&at.look().await?) + &at.beside.in_words().await
    } else if let Some(run) = &args.give_back {
        let run = run.parse().map_err(|_| {
            Diagnostic::usage("`--for` takes the whole id of a run, as `flow list` shows it")
        })?;
        let wants = wanted(session, &run).await;
        at.give_back(&run, &args.reason, wants).await?
    } else {
        at.lock(&args.reason).await?
    };
    view::out(&said);
    Ok(Exit::Done)
}

/// Lifts the lock. Lifted twice, the second finds nothing to do.
pub(crate) async fn unlock(session: &Session, args: Unlock) -> Result<Exit, Diagnostic> {
    let at = Place::of(session, &args.env).await?;
    let mut said = at.unlock(&args.reason, args.lost.as_deref()).await?;
    said += &go_on(stopped_by_lock(session, &args.env).await.as_ref());
    if args.lost.is_some() {
        said += &thaw::still_shut(session, &args.env).await;
    }
    view::out(&said);
    Ok(Exit::Done)
}

/// Whether a run will give back the lease of a host by itself: its plan took it, and did not undo that. All of them are
/// meant for a run that this journal does not have.
async fn wanted(session: &Session, run: &RunId) -> impl Fn(&str) -> bool {
    let known = match session.look().await {
        Ok(store) => store.find(run.as_str()).await.ok(),
        Err(_) => None,
    };
    move |host: &str| known.as_ref().is_none_or(|run| takes(run, host))
}

fn takes(run: &Run, host: &str) -> bool {
    run.plan.nodes.iter().zip(&run.steps).any(|(node, state)| {
        node.kind == HostLease::KIND
            && node.undo.is_some()
            && node.params.get("host").and_then(|name| name.as_str()) == Some(host)
            && state.undo != Undo::Undone
    })
}

/// What to type once an environment is not locked: the run that the lock stopped goes on; else a new one may be started.
fn go_on(stopped: Option<&RunId>) -> String {
    stopped.map_or_else(
        || "  flow start\n".to_owned(),
        |run| format!("  flow retry {run}\n"),
    )
}

/// The newest run of this journal that a lock of an environment stopped. A journal that cannot be read names none.
async fn stopped_by_lock(session: &Session, env: &str) -> Option<RunId> {
    let store = session.look().await.ok()?;
    let past = store.past().await.ok()?;
    let mut stopped: Vec<&Run> = past.runs.iter().filter(|run| waits_for(run, env)).collect();
    stopped.sort_by_key(|run| run.created);
    stopped.last().map(|run| run.id.clone())
}

/// Whether a run is parked because this environment was locked when it wanted the lease.
fn waits_for(run: &Run, env: &str) -> bool {
    let Life::Parked {
        why: ParkReason::Refused { step },
        ..
    } = &run.life
    else {
        return false;
    };
    let (node, state) = (&run.plan.nodes[*step as usize], &run.steps[*step as usize]);
    let said = state.failure.as_ref().map(|(_, f)| f);
    node.kind == HostLease::KIND
        && said.is_some_and(|f| {
            let unlock = format!("flow unlock {env} ");
            f.message.contains(&unlock) || f.hints.iter().any(|hint| hint.contains(&unlock))
        })
}

/// How long one look at the lock may take that nobody asked for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the lock that the rollback of a run left is gone, or another's by now. Not known is no.
pub(super) async fn is_lifted(session: &Session, run: &Run) -> bool {
    let look = async {
        let at = Place::of(session, &run.plan.environment).await.ok()?;
        at.look().await.ok()
    };
    let Ok(Some(state)) = tokio::time::timeout(PATIENCE, look).await else {
        return false;
    };
    !is_left_by(run, &state)
}

/// Whether the lock in force is the one that the rollback of a run left.
fn is_left_by(run: &Run, state: &LockState) -> bool {
    let by_run = |locked: &Locked| locked.run.as_deref() == Some(run.id.as_str());
    state.locked.as_ref().is_some_and(by_run)
}

/// Where an environment's lock lies, and who asks.
struct Place {
    env: String,
    host: Arc<dyn Host>,
    /// The place of now, and that of an older `flow`, which still counts.
    dirs: Vec<String>,
    /// The other hosts of the environment, each with a lease of its own.
    beside: Beside,
    me: Actor,
    now: Timestamp,
}

impl Place {
    async fn of(session: &Session, env: &str) -> Result<Place, Diagnostic> {
        let setup = session.setup()?;
        let (name, found) = project::environment(setup, env)?;
        let (store, at) = found.database_host(name);
        let host = setup.hosts().get(store);
        let host = host.map_err(|e| unseen(env, &e.into()))?;
        let dir = place(&host, &found.database.at(store)).await;
        let mut dirs = vec![dir.map_err(|e| unseen(env, &e))?];
        if dirs[0] != at.flow_dir {
            dirs.push(at.flow_dir.clone());
        }
        Ok(Place {
            env: env.to_owned(),
            host,
            dirs,
            beside: Beside::of(setup, (name, found)),
            me: actor::me(),
            now: session.now(),
        })
    }

    /// What is in force, wherever it lies.
    async fn look(&self) -> Result<LockState, Diagnostic> {
        let mut all = LockState {
            held: None,
            locked: None,
        };
        for dir in &self.dirs {
            let state = lock_state(&*self.host, dir).await;
            let state = state.map_err(|e| unseen(&self.env, &e))?;
            all.held = all.held.or(state.held);
            all.locked = all.locked.or(state.locked);
        }
        Ok(all)
    }

    /// Gives a run back every lease that nobody holds: beside the database first, then on each of `hosts`.
    async fn give_back(
        &self,
        run: &RunId,
        reason: &str,
        hosts: impl Fn(&str) -> bool,
    ) -> Result<String, Diagnostic> {
        refuse_empty(reason)?;
        let by = format!("{} from {}", self.me.name, self.me.from);
        let why = (by.as_str(), reason);
        match self.look().await?.held {
            Some(held) if held.run != run.as_str() => return Err(self.busy(&held)),
            // Given back before; the other hosts may not have been.
            Some(_) => {}
            None => {
                let dir = &self.dirs[0];
                let given = give_back(&*self.host, dir, run.as_str(), why, self.now).await;
                given.map_err(|e| not_given(&self.env, run.as_str(), e))?;
            }
        }
        let beside = self
            .beside
            .give_back(run.as_str(), why, self.now, hosts)
            .await?;
        Ok(format!(
            "{} belongs to run {run} again.\n{beside}  flow retry {run}\n",
            self.env
        ))
    }

    async fn lock(&self, reason: &str) -> Result<String, Diagnostic> {
        refuse_empty(reason)?;
        let state = self.look().await?;
        if let Some(held) = &state.held {
            return Err(self.busy(held));
        }
        let ours = Locked {
            run: None,
            by: format!("{} from {}", self.me.name, self.me.from),
            reason: reason.to_owned(),
            since: self.now,
        };
        let kept = set_lock(&*self.host, &self.dirs[0], &ours).await;
        let kept = kept.map_err(|e| unsure(&self.env, &e))?;
        let (env, word) = (&self.env, if kept == ours { "now" } else { "already" });
        Ok(format!(
            "{env} is {word} locked: {}\n  flow unlock {env} --reason …\n",
            self.about(&kept)
        ))
    }

    async fn unlock(&self, reason: &str, lost: Option<&str>) -> Result<String, Diagnostic> {
        refuse_empty(reason)?;
        let by = format!("{} from {}", self.me.name, self.me.from);
        let mut said = String::new();
        let state = self.look().await?;
        // The other hosts first: until the last of them is free, the environment's own still says whose they are.
        if let Some(lost) = lost {
            said += &self
                .beside
                .break_leases(lost, (&by, reason), self.now)
                .await?;
        }
        match &state.held {
            Some(held) if Some(held.run.as_str()) == lost => {
                self.break_lease(&held.run, (&by, reason)).await?;
                let _infallible = writeln!(said, "The lease of run {} is gone.", held.run);
            }
            Some(held) if !said.is_empty() => {
                let (env, run) = (&self.env, &held.run);
                let _infallible = writeln!(said, "Run {run} releases to {env}: its lease stays.");
                return Ok(said);
            }
            Some(held) => return Err(self.busy(held)),
            None => {}
        }
        let Some(locked) = state.locked else {
            let _infallible = writeln!(said, "{} is not locked.", self.env);
            return Ok(said);
        };
        for dir in &self.dirs {
            match lift_lock(&*self.host, dir, &by, reason, self.now).await {
                // None there, or somebody else was faster: it is as was asked.
                Ok(_) | Err(LeaseError::NotSo(_)) => {}
                Err(e) => return Err(unsure(&self.env, &e)),
            }
        }
        let _infallible = writeln!(
            said,
            "{} is unlocked. It was locked: {}",
            self.env,
            self.about(&locked)
        );
        Ok(said)
    }

    async fn break_lease(&self, run: &str, why: (&str, &str)) -> Result<(), Diagnostic> {
        for dir in &self.dirs {
            let state = lock_state(&*self.host, dir).await;
            let held = state.map_err(|e| unseen(&self.env, &e))?.held;
            if held.is_some_and(|held| held.run == run) {
                let broken = break_lease(&*self.host, dir, run, why, self.now).await;
                broken.map_err(|e| unsure(&self.env, &e))?;
            }
        }
        Ok(())
    }

    fn in_words(&self, state: &LockState) -> String {
        let mut text = match &state.locked {
            Some(locked) => format!("{} is locked: {}\n", self.env, self.about(locked)),
            None => format!("{} is not locked.\n", self.env),
        };
        if let Some(held) = &state.held {
            let _infallible = writeln!(
                text,
                "Run {} releases to it since {} ({} ago): {}",
                held.run,
                held.since,
                view::age(self.now.since(held.since)),
                held.holder
            );
        }
        if state.locked.is_some() {
            let _infallible = writeln!(text, "  flow unlock {} --reason …", self.env);
        }
        text
    }

    fn about(&self, locked: &Locked) -> String {
        format!(
            "by {} since {} ({} ago), {}",
            locked.by,
            locked.since,
            view::age(self.now.since(locked.since)),
            locked.reason
        )
    }

    fn busy(&self, held: &Held) -> Diagnostic {
        let (env, run) = (&self.env, &held.run);
        let message = format!(
            "{env} is being released by run {run} since {} ({} ago): {}",
            held.since,
            view::age(self.now.since(held.since)),
            held.holder
        );
        Diagnostic::new(Exit::Refused, message)
            .world("Nothing was changed.")
            .hint(format!("flow status {run}"))
            .hint(format!(
                "flow unlock {env} --lost {run} --reason …     only when that run and its journal are lost for good"
            ))
    }
}

fn refuse_empty(reason: &str) -> Result<(), Diagnostic> {
    if reason.trim().is_empty() {
        return Err(Diagnostic::usage("the reason is empty; it goes on record"));
    }
    Ok(())
}

fn unseen(env: &str, error: &LeaseError) -> Diagnostic {
    Diagnostic::new(Exit::Failed, format!("the lock of {env} cannot be read"))
        .because(error)
        .world("Nothing was changed.")
        .hint(format!("flow doctor {env}"))
}

/// Why a place is not a run's again; `flow` may be asked for it once more.
fn not_given(place: &str, run: &str, error: LeaseError) -> Diagnostic {
    let env = environment(place);
    match error {
        LeaseError::NotSo(why) => Diagnostic::new(
            Exit::Refused,
            format!("{place} was not given back to run {run}: {why}"),
        )
        .world("What was given back before stays; doing the same again is safe.")
        .hint(format!("flow lock {env} --show")),
        e => unsure(env, &e),
    }
}

fn unsure(env: &str, error: &LeaseError) -> Diagnostic {
    Diagnostic::new(
        Exit::Unknown,
        format!("whether the lock of {env} was changed is not known"),
    )
    .because(error)
    .world("Doing the same again is safe.")
    .hint(format!("flow lock {env} --show"))
}

#[cfg(test)]
mod tests;
