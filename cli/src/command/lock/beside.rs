//! The other hosts of an environment: each has a lease in its own folder, which only the run that took it gives back.

use std::fmt::Write as _;

use flow_engine::clock::Timestamp;
use flow_steps::lease::{break_lease, give_back};
use flow_steps::means::host::Hosts;
use flow_steps::means::lease::store::{Held, LeaseError, lock_state};
use flow_workflows::config::Environment;
use flow_workflows::setup::Setup;

use super::{PATIENCE, not_given, unsure};
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

    /// Gives a run back the leases of `hosts` that nobody holds.
    ///
    /// # Errors
    /// A diagnostic, when a host cannot be asked or is locked: what was given back before stays given back.
    pub(super) async fn give_back(
        &self,
        run: &str,
        why: (&str, &str),
        now: Timestamp,
        hosts: impl Fn(&str) -> bool,
    ) -> Result<String, Diagnostic> {
        let mut text = String::new();
        for (name, dir) in self.leases.iter().filter(|(name, _)| hosts(name)) {
            let host = self.hosts.get(name);
            let host = host.map_err(|e| not_given(name, run, e.into()))?;
            let state = lock_state(&*host, dir).await;
            match state.map_err(|e| not_given(name, run, e))?.held {
                Some(held) if held.run == run => {}
                Some(held) => {
                    let _infallible = writeln!(text, "{name} stays with run {}.", held.run);
                }
                None => {
                    let given = give_back(&*host, dir, run, why, now).await;
                    given.map_err(|e| not_given(name, run, e))?;
                    let _infallible = writeln!(text, "{name} does, too.");
                }
            }
        }
        Ok(text)
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
    use crate::command::lock::Place;
    use crate::command::lock::tests::place;
    use crate::testing::NOON;

    /// Production with a web host and a worker, in folders of this machine.
    fn estate(dir: &tempfile::TempDir) -> Place {
        let names = ["prod/web-2", "prod/worker"];
        let folder = |name: &str| dir.path().join(name).display().to_string();
        Place {
            beside: Beside {
                env: "prod".into(),
                hosts: names
                    .into_iter()
                    .fold(Hosts::new(), |hosts, name| hosts.with(Local::new(name))),
                leases: [("prod/web-2", "web"), ("prod/worker", "worker")]
                    .map(|(name, file)| (name.to_owned(), folder(file)))
                    .to_vec(),
            },
            ..place(dir, 0)
        }
    }

    fn hold(dir: &tempfile::TempDir, name: &str, run: &str) {
        std::fs::create_dir_all(dir.path().join(name)).expect("a folder");
        let held = serde_json::json!({
            "run": run, "holder": "anna@laptop", "epoch": 1, "since": NOON
        });
        std::fs::write(dir.path().join(name).join("held"), held.to_string()).expect("writes");
    }

    /// The run that holds a lease there.
    fn holder(dir: &tempfile::TempDir, name: &str) -> Option<String> {
        let text = std::fs::read_to_string(dir.path().join(name).join("held")).ok()?;
        let held: Held = serde_json::from_str(&text).expect("a lease");
        Some(held.run)
    }

    #[tokio::test]
    async fn unlocking_a_lost_run_takes_its_lease_of_every_host_and_leaves_those_of_others() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = estate(&dir);
        hold(&dir, "web", "r-lost");
        hold(&dir, "worker", "r-other");
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
        assert_eq!(holder(&dir, "web"), None);
        assert_eq!(holder(&dir, "worker").as_deref(), Some("r-other"));
    }

    #[tokio::test]
    async fn what_a_lost_run_left_on_a_further_host_is_taken_while_another_run_has_the_environment()
    {
        let dir = tempfile::tempdir().expect("a folder");
        let at = estate(&dir);
        hold(&dir, "flow", "r-new");
        hold(&dir, "web", "r-lost");
        hold(&dir, "worker", "r-new");
        let said = at.unlock("its machine burned", Some("r-lost")).await;
        let said = said.expect("unlocks");
        assert!(said.contains("prod/web-2 is gone"), "{said}");
        assert!(said.contains("Run r-new releases to prod"), "{said}");
        assert_eq!(holder(&dir, "web"), None);
        for kept in ["flow", "worker"] {
            assert_eq!(holder(&dir, kept).as_deref(), Some("r-new"), "{kept}");
        }
        // Nothing of it is left: whoever names it again is told who has the environment.
        let twice = at.unlock("its machine burned", Some("r-lost")).await;
        assert_eq!(twice.expect_err("refused").exit, crate::exit::Exit::Refused);
    }

    #[tokio::test]
    async fn a_host_that_cannot_be_asked_keeps_the_lease_by_which_a_lost_run_is_found() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut at = estate(&dir);
        hold(&dir, "flow", "r-lost");
        hold(&dir, "worker", "r-lost");
        let hosts = std::mem::replace(
            &mut at.beside.hosts,
            Hosts::new().with(Local::new("prod/web-2")),
        );
        at.unlock("lost", Some("r-lost"))
            .await
            .expect_err("a host is out of reach");
        assert_eq!(holder(&dir, "flow").as_deref(), Some("r-lost"));
        at.beside.hosts = hosts;
        at.unlock("lost", Some("r-lost")).await.expect("again");
        for free in ["flow", "web", "worker"] {
            assert_eq!(holder(&dir, free), None, "{free}");
        }
    }

    #[tokio::test]
    async fn a_run_that_was_not_lost_gets_every_lease_back_that_was_taken_from_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = estate(&dir);
        let all = ["flow", "web", "worker"];
        for name in all {
            hold(&dir, name, "r-one");
        }
        at.unlock("lost", Some("r-one")).await.expect("taken");
        for name in all {
            assert_eq!(holder(&dir, name), None, "{name}");
        }
        let run = "r-one".parse().expect("an id");
        for _ in 0..2 {
            let said = at.give_back(&run, "it is alive", |_| true).await;
            let said = said.expect("given back");
            assert!(said.ends_with("  flow retry r-one\n"), "{said}");
            for name in all {
                assert_eq!(holder(&dir, name).as_deref(), Some("r-one"), "{name}");
            }
        }
    }

    #[tokio::test]
    async fn only_hosts_that_a_run_gives_back_itself_and_nobody_has_are_given_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = estate(&dir);
        hold(&dir, "web", "r-other");
        let run = "r-one".parse().expect("an id");
        let said = at.give_back(&run, "it is alive", |host| host == "prod/web-2");
        let said = said.await.expect("given back");
        assert!(said.contains("prod/web-2 stays with run r-other"), "{said}");
        assert_eq!(holder(&dir, "flow").as_deref(), Some("r-one"));
        assert_eq!(holder(&dir, "web").as_deref(), Some("r-other"));
        assert_eq!(holder(&dir, "worker"), None);
    }
}
