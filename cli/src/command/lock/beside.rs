//! The other hosts of an environment: each has a lease in its own folder, which only the run that took it gives back.

use std::fmt::Write as _;

use flow_engine::clock::Timestamp;
use flow_steps::lease::break_lease;
use flow_steps::means::host::Hosts;
use flow_steps::means::lease::store::{Held, LeaseError, lock_state};
use flow_workflows::config::Environment;
use flow_workflows::setup::Setup;

use super::{PATIENCE, unsure};
use crate::diagnostic::Diagnostic;

/// Where their leases lie.
#[derive(Default)]
pub(super) struct Beside {
    env: String,
    hosts: Hosts,
    /// Each host by its name, and its folder.
    leases: Vec<(String, String)>,
}

impl Beside {
    /// The further hosts of an environment, and its own where the database is on another.
    pub(super) fn of(setup: &Setup, (name, env): (&str, &Environment)) -> Beside {
        let own = env.apart.as_ref().map(|_| (name, env));
        let further = env.machines.iter();
        let further = further.map(|machine| (machine.name.as_str(), &machine.env));
        let leases = own
            .into_iter()
            .chain(further)
            .map(|(name, env)| (name.to_owned(), env.flow_dir.clone()));
        Beside {
            env: name.to_owned(),
            hosts: setup.hosts(),
            leases: leases.collect(),
        }
    }

    /// Who holds a lease there. One that cannot be looked at says so: the environment's own is what counts.
    pub(super) async fn in_words(&self) -> String {
        let mut text = String::new();
        for (name, dir) in &self.leases {
            let look = tokio::time::timeout(PATIENCE, self.held(name, dir)).await;
            let _infallible = match look {
                Ok(Ok(None)) => Ok(()),
                Ok(Ok(Some(held))) => writeln!(
                    text,
                    "Run {} has the lease of {name} since {}: {}",
                    held.run, held.since, held.holder
                ),
                Ok(Err(e)) => writeln!(text, "Who has the lease of {name} is not known: {e}"),
                Err(_) => writeln!(
                    text,
                    "Who has the lease of {name} is not known: no answer in time"
                ),
            };
        }
        text
    }

    async fn held(&self, name: &str, dir: &str) -> Result<Option<Held>, LeaseError> {
        let host = self.hosts.get(name)?;
        Ok(lock_state(&*host, dir).await?.held)
    }

    /// Takes the leases of a run that is lost; those of other runs stay.
    ///
    /// # Errors
    /// A diagnostic, when a host cannot be asked: what was taken before stays taken.
    pub(super) async fn break_leases(
        &self,
        run: &str,
        why: (&str, &str),
        now: Timestamp,
    ) -> Result<String, Diagnostic> {
        let mut text = String::new();
        for (name, dir) in &self.leases {
            let held = self
                .held(name, dir)
                .await
                .map_err(|e| unsure(&self.env, &e))?;
            if held.is_some_and(|held| held.run == run) {
                let host = self.hosts.get(name);
                let host = host.map_err(|e| unsure(&self.env, &e.into()))?;
                let broken = break_lease(&*host, dir, run, why, now).await;
                broken.map_err(|e| unsure(&self.env, &e))?;
                let _infallible = writeln!(text, "Its lease of {name} is gone, too.");
            }
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use flow_steps::means::host::Local;

    use super::*;
    use crate::command::lock::tests::place;
    use crate::testing::NOON;

    #[tokio::test]
    async fn unlocking_a_lost_run_takes_its_lease_of_every_host_and_leaves_those_of_others() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = |name: &str| dir.path().join(name).display().to_string();
        let mut at = place(&dir, 0);
        let names = ["prod/web-2", "prod/worker"];
        at.beside = Beside {
            env: "prod".into(),
            hosts: names
                .into_iter()
                .fold(Hosts::new(), |hosts, name| hosts.with(Local::new(name))),
            leases: [("prod/web-2", "web"), ("prod/worker", "worker")]
                .map(|(name, file)| (name.to_owned(), folder(file)))
                .to_vec(),
        };
        for (name, run) in [("web", "r-lost"), ("worker", "r-other")] {
            std::fs::create_dir(folder(name)).expect("a folder");
            let held = serde_json::json!({
                "run": run, "holder": "anna@laptop", "epoch": 1, "since": NOON
            });
            std::fs::write(dir.path().join(name).join("held"), held.to_string()).expect("writes");
        }
        let shown = at.beside.in_words().await;
        assert!(
            shown.contains("Run r-lost has the lease of prod/web-2"),
            "{shown}"
        );
        assert!(
            shown.contains("Run r-other has the lease of prod/worker"),
            "{shown}"
        );
        let said = at.unlock("its machine burned", Some("r-lost")).await;
        let said = said.expect("unlocks");
        assert!(
            said.contains("Its lease of prod/web-2 is gone, too."),
            "{said}"
        );
        assert!(!said.contains("prod/worker"), "{said}");
        assert!(!dir.path().join("web/held").exists());
        assert!(dir.path().join("worker/held").exists());
    }
}
