//! `flow lock` and `flow unlock`: who may release to an environment.
//!
//! The lock is a file on the host, so that it counts for every machine that releases to it. A rollback that touched
//! production sets it; only a person lifts it.

use std::fmt::Write as _;
use std::sync::Arc;

use flow_engine::clock::{Clock as _, SystemClock, Timestamp};
use flow_engine::signal::Actor;
use flow_steps::host::Host;
use flow_steps::lease::{
    Held, LeaseError, LockState, Locked, break_lease, lift_lock, lock_state, set_lock,
};

use crate::actor;
use crate::args::{Global, Lock, Unlock};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::project;
use crate::view;

/// Locks, or shows what is in force. An existing lock stays as it is.
pub(crate) async fn lock(global: &Global, args: Lock) -> Result<Exit, Diagnostic> {
    let at = Place::of(global, &args.env)?;
    let said = if args.show {
        at.in_words(&at.look().await?)
    } else {
        at.lock(&args.reason).await?
    };
    view::out(&said);
    Ok(Exit::Done)
}

/// Lifts the lock. Lifted twice, the second finds nothing to do.
pub(crate) async fn unlock(global: &Global, args: Unlock) -> Result<Exit, Diagnostic> {
    let at = Place::of(global, &args.env)?;
    let said = at.unlock(&args.reason, args.lost.as_deref()).await?;
    view::out(&said);
    Ok(Exit::Done)
}

/// Where an environment's lock lies, and who asks.
struct Place {
    env: String,
    host: Arc<dyn Host>,
    dir: String,
    me: Actor,
    now: Timestamp,
}

impl Place {
    fn of(global: &Global, env: &str) -> Result<Place, Diagnostic> {
        let setup = project::setup(global)?;
        let environments = setup.config.environments();
        let Some((name, found)) = environments.iter().find(|(name, _)| *name == env) else {
            let known: Vec<&str> = environments.iter().map(|(name, _)| *name).collect();
            return Err(Diagnostic::usage(format!(
                "there is no environment `{env}`; there are: {}",
                known.join(", ")
            )));
        };
        let host = setup.hosts().get(name);
        Ok(Place {
            env: env.to_owned(),
            host: host.map_err(|e| unseen(env, &e.into()))?,
            dir: found.flow_dir.clone(),
            me: actor::me(),
            now: SystemClock.now(),
        })
    }

    async fn look(&self) -> Result<LockState, Diagnostic> {
        let state = lock_state(&*self.host, &self.dir).await;
        state.map_err(|e| unseen(&self.env, &e))
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
        let kept = set_lock(&*self.host, &self.dir, &ours).await;
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
                let broken =
                    break_lease(&*self.host, &self.dir, &held.run, (&by, reason), self.now).await;
                broken.map_err(|e| unsure(&self.env, &e))?;
                let _infallible = writeln!(said, "The lease of run {} is gone.", held.run);
            }
            Some(held) => return Err(self.busy(held)),
            None => {}
        }
        let Some(locked) = state.locked else {
            let _infallible = writeln!(said, "{} is not locked.", self.env);
            return Ok(said);
        };
        let lifted = lift_lock(&*self.host, &self.dir, &by, reason, self.now).await;
        match lifted {
            // Somebody else was faster: it is as was asked.
            Ok(_) | Err(LeaseError::NotSo(_)) => {}
            Err(e) => return Err(unsure(&self.env, &e)),
        }
        let _infallible = writeln!(
            said,
            "{} is unlocked. It was locked: {}\n  flow start",
            self.env,
            self.about(&locked)
        );
        Ok(said)
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
            dir: dir.path().join("flow").display().to_string(),
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
