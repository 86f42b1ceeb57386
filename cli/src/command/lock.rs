//! `flow lock` and `flow unlock`: who may release to an environment.
//!
//! The lock is a file on the host, so that it counts for every machine that releases to it. A rollback that touched
//! production sets it; only a person lifts it.

use std::fmt::Write as _;
use std::sync::Arc;

use flow_engine::clock::{Clock as _, SystemClock, Timestamp};
use flow_engine::id::RunId;
use flow_engine::signal::Actor;
use flow_steps::host::Host;
use flow_steps::lease::{
    Held, LeaseError, LockState, Locked, break_lease, give_back, lift_lock, lock_state, place,
    set_lock,
};

use crate::actor;
use crate::args::{Global, Lock, Unlock};
use crate::command::thaw;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::project;
use crate::view;

/// Locks, or shows what is in force. An existing lock stays as it is.
pub(crate) async fn lock(global: &Global, args: Lock) -> Result<Exit, Diagnostic> {
    let at = Place::of(global, &args.env).await?;
    let said = if args.show {
        at.in_words(&at.look().await?)
    } else if let Some(run) = &args.give_back {
        at.give_back(run, &args.reason).await?
    } else {
        at.lock(&args.reason).await?
    };
    view::out(&said);
    Ok(Exit::Done)
}

/// Lifts the lock. Lifted twice, the second finds nothing to do.
pub(crate) async fn unlock(global: &Global, args: Unlock) -> Result<Exit, Diagnostic> {
    let at = Place::of(global, &args.env).await?;
    let mut said = at.unlock(&args.reason, args.lost.as_deref()).await?;
    if args.lost.is_some() {
        said += &thaw::still_shut(global, &args.env).await;
    }
    view::out(&said);
    Ok(Exit::Done)
}

/// Where an environment's lock lies, and who asks.
struct Place {
    env: String,
    host: Arc<dyn Host>,
    /// The place of now, and that of an older `flow`, which still counts.
    dirs: Vec<String>,
    me: Actor,
    now: Timestamp,
}

impl Place {
    async fn of(global: &Global, env: &str) -> Result<Place, Diagnostic> {
        let setup = project::setup(global)?;
        let (name, found) = project::environment(&setup, env)?;
        let host = setup.hosts().get(name);
        let host = host.map_err(|e| unseen(env, &e.into()))?;
        let dir = place(&host, &found.database.at(name)).await;
        let mut dirs = vec![dir.map_err(|e| unseen(env, &e))?];
        if dirs[0] != found.flow_dir {
            dirs.push(found.flow_dir.clone());
        }
        Ok(Place {
            env: env.to_owned(),
            host,
            dirs,
            me: actor::me(),
            now: SystemClock.now(),
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

    async fn give_back(&self, run: &str, reason: &str) -> Result<String, Diagnostic> {
        refuse_empty(reason)?;
        let run: RunId = run.parse().map_err(|_| {
            Diagnostic::usage("`--for` takes the whole id of a run, as `flow list` shows it")
        })?;
        let state = self.look().await?;
        if let Some(held) = state.held.as_ref().filter(|held| held.run != run.as_str()) {
            return Err(self.busy(held));
        }
        let by = format!("{} from {}", self.me.name, self.me.from);
        let given = give_back(
            &*self.host,
            &self.dirs[0],
            run.as_str(),
            (&by, reason),
            self.now,
        )
        .await;
        match given {
            Ok(_) => Ok(format!(
                "{} belongs to run {run} again.\n  flow retry {run}\n",
                self.env
            )),
            Err(LeaseError::NotSo(why)) => Err(Diagnostic::new(
                Exit::Refused,
                format!("{} was not given back to run {run}: {why}", self.env),
            )
            .world("Nothing was changed.")
            .hint(format!("flow lock {} --show", self.env))),
            Err(e) => Err(unsure(&self.env, &e)),
        }
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
        match &state.held {
            Some(held) if Some(held.run.as_str()) == lost => {
                self.break_lease(&held.run, (&by, reason)).await?;
                let _infallible = writeln!(said, "The lease of run {} is gone.", held.run);
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
            "{} is unlocked. It was locked: {}\n  flow start",
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
mod tests {
    use flow_steps::host::Local;

    use super::*;
    use crate::testing::{NOON, actor};

    fn place(dir: &tempfile::TempDir, minutes: i64) -> Place {
        Place {
            env: "prod".into(),
            host: Arc::new(Local::new("prod")),
            dirs: ["flow", "older"]
                .map(|name| dir.path().join(name).display().to_string())
                .into(),
            me: actor(),
            now: Timestamp(NOON.0 + minutes * 60_000),
        }
    }

    #[tokio::test]
    async fn a_lock_names_its_holder_age_and_reason_until_it_is_lifted_with_a_reason() {
        let dir = tempfile::tempdir().expect("a folder");
        let said = place(&dir, 0).lock("disk is full").await.expect("locks");
        assert!(said.starts_with("prod is now locked: by anna"), "{said}");
        let again = place(&dir, 5).lock("another").await.expect("stays");
        assert!(
            again.contains("already locked: by anna from box since"),
            "{again}"
        );
        assert!(again.contains("(5 min ago), disk is full"), "{again}");
        let none = place(&dir, 5).unlock(" ", None).await.expect_err("refused");
        assert_eq!(none.exit, Exit::Usage);
        let said = place(&dir, 9).unlock("made room", None).await;
        let said = said.expect("lifts");
        assert!(said.contains("(9 min ago), disk is full"), "{said}");
        let twice = place(&dir, 9).unlock("made room", None).await;
        assert_eq!(twice.expect("once"), "prod is not locked.\n");
        let history = std::fs::read_to_string(dir.path().join("flow/history")).expect("kept");
        assert!(history.contains("made room") && history.lines().count() == 1);
    }

    #[tokio::test]
    async fn what_an_older_flow_locked_or_holds_counts_and_is_lifted_as_well() {
        let dir = tempfile::tempdir().expect("a folder");
        let older = Place {
            dirs: place(&dir, 0).dirs.split_off(1),
            ..place(&dir, 0)
        };
        older.lock("disk is full").await.expect("locks");
        let at = place(&dir, 3);
        let shown = at.in_words(&at.look().await.expect("seen"));
        assert!(shown.contains("prod is locked: by anna"), "{shown}");
        at.unlock("made room", None).await.expect("lifts");
        assert_eq!(at.look().await.expect("seen").locked, None);
    }

    #[tokio::test]
    async fn a_lease_is_given_back_by_name_with_a_reason_and_to_nobody_while_another_has_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = place(&dir, 3);
        let none = at.give_back("r-one", " ").await.expect_err("refused");
        assert_eq!(none.exit, Exit::Usage);
        let said = at.give_back("r-one", "nothing happened").await;
        assert!(said.expect("given").contains("flow retry r-one"));
        let held = at.look().await.expect("seen").held.expect("held");
        assert_eq!((held.run.as_str(), held.epoch), ("r-one", 0));
        let other = at.give_back("r-two", "mine").await.expect_err("refused");
        assert_eq!(other.exit, Exit::Refused);
        at.unlock("lost", Some("r-one")).await.expect("broken");
        at.lock("look first").await.expect("locks");
        let locked = at.give_back("r-two", "mine").await.expect_err("refused");
        assert!(locked.message.contains("look first"), "{locked:?}");
    }

    #[tokio::test]
    async fn a_lease_is_only_taken_from_the_run_that_is_named_as_lost() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = place(&dir, 3);
        std::fs::create_dir(dir.path().join("flow")).expect("made");
        let held = serde_json::to_string(&Held {
            run: "r-one".into(),
            holder: "process 7 on box".into(),
            epoch: 1,
            since: NOON,
        });
        let file = dir.path().join("flow/held");
        std::fs::write(&file, held.expect("JSON")).expect("written");
        for refused in [
            at.unlock("why", None).await,
            at.unlock("why", Some("r-two")).await,
            at.lock("why").await,
        ] {
            let refused = refused.expect_err("a release is under way");
            assert_eq!(refused.exit, Exit::Refused);
            assert!(refused.message.contains("r-one since"), "{refused:?}");
        }
        assert!(file.exists());
        let said = at.unlock("its disk burnt", Some("r-one")).await;
        let said = said.expect("broken");
        assert_eq!(
            said,
            "The lease of run r-one is gone.\nprod is not locked.\n"
        );
        assert!(!file.exists());
    }
}
