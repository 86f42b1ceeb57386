//! The containers of docker compose, known by the labels that compose gives them.
//!
//! Only `docker` is asked; compose itself is needed where a rollback has to make a container anew. What the daemon does
//! and this has to live with (measured with docker 20.10): its counter of restarts grows only with those it makes by
//! itself; a container that was stopped stays so, whatever its restart policy, until the daemon itself is restarted; a
//! container that is made anew has the same name, another image and an empty log.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use flow_engine::step::{Cx, StepError};

use self::container::Container;
use super::application::Application;
use super::contract::{Population, Supervisor};
use super::list::{App, ProcessList};
use super::logs::{News, Place};
use super::settle::{ONLINE_WITHIN, Settled, Wanted, settle};
use super::stamped;
use crate::means::host::{Command, Host};
use crate::means::reach;

mod container;
mod output;

/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long everything must have been down at the second look.
const CALM: Duration = Duration::from_secs(2);
/// How long containers may take to go down, at most.
const DOWN_WITHIN: Duration = Duration::from_mins(1);
/// How long docker may take to stop or start some containers; it kills one that is deaf after ten seconds.
const ACT_WITHIN: Duration = Duration::from_mins(2);

/// docker compose on a host, and which of its services are meant.
pub(crate) struct Compose<'a> {
    pub(crate) host: &'a dyn Host,
    /// The program and its leading arguments, such as `sudo docker compose -p shop`.
    pub(crate) program: &'a [String],
    pub(crate) application: &'a Application,
}

#[async_trait]
impl Supervisor for Compose<'_> {
    fn host(&self) -> &dyn Host {
        self.host
    }

    fn name(&self) -> &'static str {
        "docker compose"
    }

    async fn survey(&self) -> Result<Population, StepError> {
        let containers = self.containers().await?;
        let places: Vec<_> = containers.iter().map(Container::place).collect();
        let mut own = self.application.own(self.host, &places).await?;
        self.one_project_each(&containers, &mut own)?;
        let mut found = Population::default();
        for (container, own) in containers.into_iter().zip(own) {
            if own {
                found.own.apps.push(container.app);
            } else {
                found
                    .others
                    .push(format!("{} (not the application's)", container.name));
            }
        }
        found.own.apps.sort_by_key(|a| (a.name.clone(), a.id));
        Ok(found)
    }

    /// How a container is started is its image, which is in the list.
    async fn record(&self, _keep_in: Option<&str>, _run: &str) -> Result<Population, StepError> {
        self.survey().await
    }

    async fn stop(&self, cx: &Cx) -> Result<String, StepError> {
        let begun = cx.now();
        let mut stopped = BTreeSet::new();
        let mut down_since = None;
        loop {
            let found = self.list().await?;
            let awake: Vec<&App> = found.apps.iter().filter(|a| is_awake(a)).collect();
            let now = cx.now();
            if awake.is_empty() {
                let since = *down_since.get_or_insert(now);
                if now.since(since) >= CALM {
                    return Ok(in_words(&stopped));
                }
                cx.sleep(CALM).await?;
                continue;
            }
            down_since = None;
            let names: Vec<&str> = awake.iter().filter_map(|a| container::name(a)).collect();
            if now.since(begun) > DOWN_WITHIN {
                return Err(StepError::fail(format!(
                    "still running, or started again, after `docker stop`: {}",
                    names.join(", ")
                )));
            }
            stopped.extend(names.iter().map(|name| (*name).to_owned()));
            self.docker(&["stop"], &names).await?;
            cx.sleep(LOOK_EVERY).await?;
        }
    }

    async fn bring_back(
        &self,
        cx: &Cx,
        before: &ProcessList,
        settle_seconds: u64,
    ) -> Result<String, StepError> {
        let mut failed = Vec::new();
        let mut lost = Vec::new();
        let mut started = Vec::new();
        for app in before.apps.iter().filter(|a| a.is_running()) {
            match self.restart(app).await {
                Ok(()) => started.push(app.name.clone()),
                Err(StepError::Fail(why)) => {
                    failed.push(format!("{}: {}", app.name, why.message));
                    lost.push(&app.name);
                }
                Err(unreached) => return Err(unreached),
            }
        }
        let mut words = if started.is_empty() {
            "nothing was restarted".to_owned()
        } else {
            format!("restarted {}", started.join(", "))
        };
        words.push_str(&self.put_to_rest(before).await?);
        let still = Duration::from_secs(settle_seconds);
        let wanted = Wanted::as_before(before).without(lost);
        if let Settled::Not(why) = settle(cx, self, &wanted, (ONLINE_WITHIN, still)).await? {
            failed.push(format!("after the restart: {why}"));
        }
        if failed.is_empty() {
            return Ok(format!("{words}; no restart within {settle_seconds} s"));
        }
        Err(StepError::fail(format!(
            "on `{}` {}; {words}",
            self.host.name(),
            failed.join("; ")
        ))
        .hint(format!("look at it there: {} ps", self.program.join(" "))))
    }

    async fn log_sizes(&self, names: &[String]) -> Result<Vec<(u64, u64)>, StepError> {
        let mut sizes = Vec::new();
        for name in names {
            let end = self.log_end(name).await?;
            sizes.push((end.number(), end.size()));
        }
        Ok(sizes)
    }

    async fn log_end(&self, name: &str) -> Result<Place, StepError> {
        let stamp = output::now(self.host).await?;
        let container = container::of_log(name)?;
        let words = ["logs", "--tail", "0", container];
        let is_there = match reach::run(self.host, &self.command(&words)?).await {
            Ok(_) => true,
            Err(StepError::Fail(_)) => false,
            Err(unreached) => return Err(unreached),
        };
        Ok(stamped::place(is_there, stamp))
    }

    async fn log_news(&self, name: &str, place: &mut Place) -> Result<News, StepError> {
        let container = container::of_log(name)?;
        let since = output::moment(place.size());
        let words = ["logs", "--timestamps", "--since", &since, container];
        let entries = output::read(self.host, &self.command(&words)?).await?;
        Ok(stamped::take(place, entries))
    }
}

impl Compose<'_> {
    /// `docker` with what stands before it.
    fn command(&self, args: &[&str]) -> Result<Command, StepError> {
        let at = self.program.iter().position(|word| word == "compose");
        let mut words = self.program[..at.unwrap_or(self.program.len())].to_vec();
        if let Some(last) = words.last_mut().filter(|w| w.ends_with("docker-compose")) {
            last.truncate(last.len() - "-compose".len());
        }
        Ok(reach::command(&words, args)?.deadline(ACT_WITHIN))
    }

    async fn docker(&self, args: &[&str], containers: &[&str]) -> Result<String, StepError> {
        let args = [args, containers].concat();
        reach::run(self.host, &self.command(&args)?).await
    }

    /// The project that the program names, if it names one.
    fn project(&self) -> Option<&str> {
        let mut words = self.program.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                "-p" | "--project-name" => return words.next(),
                _ => {}
            }
            if let Some(name) = word.strip_prefix("--project-name=") {
                return Some(name);
            }
        }
        None
    }

    /// Every container of compose, running or not; those of one project where the program names it.
    async fn containers(&self) -> Result<Vec<Container>, StepError> {
        let label = match self.project() {
            Some(name) => format!("label={}={name}", container::PROJECT),
            None => format!("label={}", container::PROJECT),
        };
        let words = ["ps", "--all", "--no-trunc", "--quiet", "--filter", &label];
        let ids = self.docker(&words, &[]).await?;
        let ids: Vec<&str> = ids.lines().filter(|line| !line.is_empty()).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let shown = self
            .docker(&["inspect", "--format", container::SHOW], &ids)
            .await?;
        container::parse(&shown)
    }

    /// Two projects on one host may have a service of one name: the folder says which is meant.
    ///
    /// Fails where it does not.
    fn one_project_each(&self, all: &[Container], own: &mut [bool]) -> Result<(), StepError> {
        let folder = self.application.folder.as_deref();
        for name in &self.application.processes {
            let meant = |at: &usize| own[*at] && all[*at].app.name == *name;
            let found: Vec<usize> = (0..all.len()).filter(meant).collect();
            let projects: BTreeSet<&Option<String>> =
                found.iter().map(|at| &all[*at].app.namespace).collect();
            if projects.len() < 2 {
                continue;
            }
            let here: Vec<usize> = found
                .iter()
                .copied()
                .filter(|at| folder.is_some() && all[*at].app.folder.as_deref() == folder)
                .collect();
            let projects: BTreeSet<&Option<String>> =
                here.iter().map(|at| &all[*at].app.namespace).collect();
            if projects.len() != 1 {
                return Err(StepError::refuse(format!(
                    "several compose projects on `{}` have a service {name}, and none is in the application's folder",
                    self.host.name()
                ))
                .hint("name the project, such as `docker compose -p shop`"));
            }
            for at in found {
                own[at] = here.contains(&at);
            }
        }
        Ok(())
    }

    /// Starts a container as it was: with the image it had.
    async fn restart(&self, was: &App) -> Result<(), StepError> {
        let name = container::name(was)
            .ok_or_else(|| StepError::fail("its container's name was not kept"))?;
        let now = self.containers().await?;
        let is = now.iter().find(|c| c.app.id == was.id);
        if is.is_some_and(|is| is.app.script == was.script) {
            return self.docker(&["restart"], &[name]).await.map(drop);
        }
        let sibling = is.or_else(|| now.iter().find(|c| c.app.name == was.name));
        let (Some(tag), Some(image)) = (sibling.map(|c| c.tag.as_str()), &was.script) else {
            return Err(StepError::fail(format!(
                "its container {name} is gone, and no other says what its image was called"
            )));
        };
        if !self.program.iter().any(|word| word.ends_with("compose")) {
            return Err(StepError::fail(format!(
                "its container {name} has another image now, and `{}` cannot make it anew",
                self.program.join(" ")
            ))
            .hint(format!(
                "there: docker tag {image} {tag}, then docker compose up --detach {}",
                was.name
            )));
        }
        self.docker(&["tag", image, tag], &[]).await?;
        let up = [
            "up",
            "--detach",
            "--no-build",
            "--no-deps",
            "--force-recreate",
        ];
        let up = [&up[..], &[&was.name]].concat();
        let mut command = reach::command(self.program, &up)?.deadline(ACT_WITHIN);
        if let Some(folder) = &was.folder {
            command = command.cwd(reach::absolute(folder)?);
        }
        reach::run(self.host, &command).await?;
        let now = self.containers().await?;
        let ours = now
            .iter()
            .filter(|c| c.app.name == was.name && c.app.namespace == was.namespace);
        if ours.clone().count() > 0 && ours.clone().all(|c| c.app.script == was.script) {
            return Ok(());
        }
        Err(StepError::fail(format!(
            "compose did not give it back the image it had, {image}"
        )))
    }

    /// Stops what was stopped before and runs now.
    async fn put_to_rest(&self, before: &ProcessList) -> Result<String, StepError> {
        let now = self.list().await?;
        let woken = before.woken(&now);
        let names: Vec<&str> = woken.iter().filter_map(|a| container::name(a)).collect();
        if names.is_empty() {
            return Ok(String::new());
        }
        self.docker(&["stop"], &names).await?;
        Ok(format!("; stopped again, as before: {}", names.join(", ")))
    }
}

fn is_awake(app: &App) -> bool {
    !matches!(app.status.as_str(), "stopped" | "errored")
}

fn in_words(stopped: &BTreeSet<String>) -> String {
    if stopped.is_empty() {
        return "no service was running".into();
    }
    let names: Vec<&str> = stopped.iter().map(String::as_str).collect();
    format!("stopped {}", names.join(", "))
}

#[cfg(test)]
mod tests;
