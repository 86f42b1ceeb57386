//! From the files a team wrote to what a driver needs.

use std::path::Path;
use std::sync::Arc;

use flow_engine::event::Masked;
use flow_engine::journal::Journal;
use flow_engine::outbox::Notifier;
use flow_engine::planner::Planner;
use flow_engine::step::Resources;
use flow_steps::mail::{Mailer, TeamMail};
use flow_steps::means::host::{Hosts, SshConfig, SshHost};
use flow_steps::means::secret;
use flow_steps::means::secret::{ByName, Secrets as _};
use flow_steps::means::signature::origin::{RosterAt, Rosters};
use flow_steps::means::signature::roster::People;
use flow_steps::pg::Policy;
use flow_steps::schema::CodeAt;

use crate::config::{Config, Layout, RELEASE, read_toml};
use crate::git::Repository;
use crate::guard;
use crate::release::Release;
use crate::roster::CommittedRoster;

mod error;

pub use error::SetupError;

/// Everything read from `flow.toml` and the files it names.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What stands in `flow.toml`.
    pub config: Config,
    /// Who signs and who is called.
    pub people: People,
    /// Which columns may leave production.
    pub policy: Policy,
    pub(crate) layout: Layout,
}

fn repository(config: &Config) -> Repository {
    Repository::at(&config.path(&config.app.repository))
}

fn commit(repository: &Repository, rev: &str) -> Result<String, SetupError> {
    repository
        .commit(rev)
        .map_err(|source| SetupError::NoCommit {
            rev: rev.escape_default().to_string(),
            repository: repository.dir().display().to_string(),
            source,
        })
}

/// The code at HEAD, and the full name of the commit that `base` stands for, for the check of code against a schema.
/// Only `flow.toml` is read: the check also works where nobody's keys are.
///
/// # Errors
/// [`SetupError::Config`], [`SetupError::NoCommit`].
pub fn code(path: &Path, base: &str) -> Result<(CodeAt, String), SetupError> {
    let config = Config::load(path)?;
    let repository = repository(&config);
    let head = commit(&repository, "HEAD")?;
    let base = commit(&repository, base)?;
    let dir = repository.dir().display().to_string();
    let production = config.order()?.production;
    Ok((config.code_at(&dir, &head, &production), base))
}

/// Refuses a project of which a file is missing, naming all that are.
fn everything_there(config: &Path, others: &[&Path]) -> Result<(), SetupError> {
    let missing = others.iter().filter(|path| !path.exists());
    let missing: Vec<String> = missing.map(|path| path.display().to_string()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(SetupError::Unfinished {
        config: config.display().to_string(),
        missing,
    })
}

/// Refuses a roster in which nobody holds a role that is asked.
fn everybody_asked(config: &Config, people: &People, file: String) -> Result<(), SetupError> {
    let roles = config.signoff.roles.iter().map(String::as_str);
    let environments = config.environments();
    let lists = environments
        .iter()
        .filter_map(|(_, env)| env.checklist.as_ref());
    let lists = lists.flatten().map(|list| list.role.as_str());
    let mut roles = roles.chain([config.signoff.reviewer()]).chain(lists);
    match roles.find(|role| people.of_role(role).is_empty()) {
        None => Ok(()),
        Some(role) => Err(SetupError::NobodyHolds {
            file,
            role: role.to_owned(),
        }),
    }
}

impl Setup {
    /// Reads `flow.toml` and the files it names.
    ///
    /// # Errors
    /// [`SetupError::Config`], [`SetupError::Unfinished`], [`SetupError::NotOurs`], [`SetupError::NobodyHolds`].
    pub fn load(path: &Path) -> Result<Setup, SetupError> {
        guard::only_ours(path)?;
        let layout = Layout::read(path)?;
        layout.refuse_others(&[RELEASE])?;
        Setup::of(&layout, path)
    }

    /// The same for a `flow.toml` that was read, whatever other sections it has.
    ///
    /// # Errors
    /// As [`Setup::load`].
    pub fn of(layout: &Layout, path: &Path) -> Result<Setup, SetupError> {
        let config = Config::of(layout, path)?;
        let (file, data) = (config.path(&config.people), config.path(&config.data));
        everything_there(path, &[&file, &data])?;
        let ssh = config.ssh.config.as_deref().map(|path| config.path(path));
        for believed in [&file, &data].into_iter().chain(&ssh) {
            guard::only_ours(believed)?;
        }
        let people: People = read_toml(&file)?;
        let policy: Policy = read_toml(&data)?;
        everybody_asked(&config, &people, file.display().to_string())?;
        Ok(Setup {
            config,
            people,
            policy,
            layout: layout.clone(),
        })
    }

    fn repository(&self) -> Repository {
        repository(&self.config)
    }

    fn committed(&self) -> CommittedRoster {
        CommittedRoster::new(&self.config, self.repository())
    }

    /// Where rosters are read, anew each time.
    pub fn rosters(&self) -> Rosters {
        Rosters(Arc::new(self.committed()))
    }

    /// Whether a commit could be released: its roster is there and names everybody who is asked.
    ///
    /// # Errors
    /// [`SetupError::Roster`], [`SetupError::NobodyHolds`].
    pub fn roster_of(&self, commit: &str) -> Result<(People, RosterAt), SetupError> {
        let (people, at) = self.committed().plan(commit)?;
        let short: String = at.commit.chars().take(12).collect();
        everybody_asked(&self.config, &people, format!("{short}:{}", at.path))?;
        Ok((people, at))
    }

    /// The environment that a release changes last.
    ///
    /// # Errors
    /// [`SetupError::Config`].
    pub fn production(&self) -> Result<String, SetupError> {
        Ok(self.config.order()?.production.name.to_owned())
    }

    /// The full name of a commit in the local repository.
    ///
    /// # Errors
    /// [`SetupError::NoCommit`].
    pub fn commit(&self, rev: &str) -> Result<String, SetupError> {
        commit(&self.repository(), rev)
    }

    /// The newest commits of the local repository, newest first, `count` at the most.
    ///
    /// # Errors
    /// [`SetupError::Repository`].
    pub fn newest_commits(&self, count: usize) -> Result<Vec<String>, SetupError> {
        Ok(self.repository().newest(count)?)
    }

    /// What the steps of a release of a commit (40 hexadecimal digits) are told; what people are told becomes facts of
    /// the plan.
    pub(crate) fn release_of(
        &self,
        commit: &str,
        planner: &mut Planner,
    ) -> Result<Release<'_>, SetupError> {
        // In a folder that is none, nothing would be pending.
        if self.config.app.migrations == crate::init::MIGRATIONS_OPEN {
            return Err(SetupError::Refused {
                workflow: "release".into(),
                message: "flow.toml does not say yet which folder has its migrations".into(),
                fix: "flow doctor     names the line, and every other that waits".into(),
            });
        }
        let repository = self.repository();
        let (people, roster) = self.roster_of(commit)?;
        let release = Release {
            config: &self.config,
            environments: self.config.order()?,
            repository: repository.dir().display().to_string(),
            commit: commit.to_owned(),
            migrations: repository.migrations(commit, &self.config.app.migrations)?,
            policy: self.policy.clone(),
            bars_starter: people.forbid_starter || self.people.forbid_starter,
        };
        planner.fact("application", &self.config.app.name);
        planner.fact("commit", commit);
        planner.fact("subject", repository.subject(commit)?);
        for (name, value) in roster.facts() {
            planner.fact(name, value);
        }
        planner.fact("window", &self.config.window.when);
        planner.fact("downtime", &self.config.window.downtime);
        planner.fact("rollback-contact", &self.config.window.contact);
        for (n, contact) in people.contacts.iter().enumerate() {
            let reached = [&contact.phone, &contact.email]
                .into_iter()
                .flatten()
                .cloned()
                .collect::<Vec<_>>();
            let line = format!("{} {} {}", contact.name, contact.role, reached.join(" "));
            planner.fact(
                &format!("contact-{}", n + 1),
                line.split_whitespace().collect::<Vec<_>>().join(" "),
            );
        }
        Ok(release)
    }

    /// What steps need: hosts, people and the policy, each as the files say now. Connects to nothing yet.
    pub fn resources(&self) -> Resources {
        Resources::default()
            .with(self.hosts())
            .with(self.rosters())
            .with(self.policy.clone())
    }

    /// The values of every secret the configuration names (`env:NAME`, `file:path`), to be masked in all output. One
    /// that cannot be found now is left out: whoever needs it will say so. One that a program prints is asked for, and
    /// masked, by the step that uses it: no program runs only because `flow` was started.
    pub fn masked(&self) -> Masked {
        let mail = self.config.mail.as_ref().and_then(|m| m.password.as_ref());
        let environments = self.config.environments();
        let deploy = environments.iter().flat_map(|(_, e)| e.deploy_env.values());
        let named = mail.into_iter().chain(deploy);
        let named = named.filter(|name| !secret::is_command(name));
        let values = named.filter_map(|name| ByName.resolve(&self.config.beside(name)).ok());
        Masked::new(values.map(|secret| secret.expose().to_owned()))
    }

    /// The machines, by the names of their environments.
    pub fn hosts(&self) -> Hosts {
        self.config
            .machines()
            .into_iter()
            .fold(Hosts::new(), |hosts, (name, env)| {
                let mut ssh = SshConfig::new(name, &env.ssh);
                ssh.config_file = self
                    .config
                    .ssh
                    .config
                    .as_deref()
                    .map(|path| self.config.path(path));
                hosts.with(SshHost::new(ssh))
            })
    }

    /// Who tells the team, when mail is configured. Who has which mail is remembered in the file `reached`.
    ///
    /// # Errors
    /// [`SetupError::Mail`].
    pub fn notifier(
        &self,
        journal: &Arc<dyn Journal>,
        reached: &Path,
    ) -> Result<Option<Arc<dyn Notifier>>, SetupError> {
        let Some(mailer) = self.mailer()? else {
            return Ok(None);
        };
        let mailer = mailer.remembering(reached.to_owned());
        let team = TeamMail::new(
            mailer,
            Arc::new(self.people.clone()),
            Some(Arc::clone(journal)),
        );
        Ok(Some(Arc::new(team)))
    }

    /// What hands mail to the server, when mail is configured.
    ///
    /// # Errors
    /// [`SetupError::Mail`].
    pub fn mailer(&self) -> Result<Option<Mailer>, SetupError> {
        self.layout.core()?.mailer()
    }
}
