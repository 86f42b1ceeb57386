//! A team's project: what every workflow may know of it, whichever workflows it uses.

use std::path::Path;
use std::sync::Arc;

use flow_engine::event::Masked;
use flow_engine::journal::Journal;
use flow_engine::outbox::Notifier;
use flow_engine::step::Resources;
use flow_steps::mail::{Mailer, TeamMail};
use flow_steps::means::host::Hosts;
use flow_steps::means::signature::origin::Rosters;
use flow_steps::means::signature::roster::People;
use serde::de::DeserializeOwned;

use crate::config::{ConfigError, Core, Layout, RELEASE};
use crate::guard;
use crate::roster::PeopleFile;
use crate::setup::{Setup, SetupError};

/// `flow.toml` and the files that its core names. With a section `[release]` also what that one names.
#[derive(Debug, Clone)]
pub struct Project {
    layout: Layout,
    core: Core,
    people: People,
    release: Option<Setup>,
}

impl Project {
    /// Reads a project for workflows that have these sections.
    ///
    /// # Errors
    /// [`SetupError`], naming the place and the fix; a section of no workflow is one.
    pub fn load(file: &Path, sections: &[&str]) -> Result<Project, SetupError> {
        guard::only_ours(file)?;
        let layout = Layout::read(file)?;
        layout.refuse_others(sections)?;
        if layout.has(RELEASE)? {
            return Setup::of(&layout, file)?.project();
        }
        let core = layout.core()?;
        let people = PeopleFile(core.path(&core.people))
            .people()?
            .unwrap_or_default();
        Ok(Project {
            layout,
            core,
            people,
            release: None,
        })
    }

    /// The project of a release that was read.
    pub(crate) fn of(layout: Layout, setup: Setup) -> Result<Project, SetupError> {
        Ok(Project {
            core: layout.core()?,
            layout,
            people: setup.people.clone(),
            release: Some(setup),
        })
    }

    /// What stands in the core of `flow.toml`: environments, ssh, mail.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Who signs and who is called. Empty where there is neither a people file nor a section `[release]`.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// A section of `flow.toml`. One that is absent is read as an empty one.
    ///
    /// # Errors
    /// [`ConfigError`], with line and column.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T, ConfigError> {
        self.layout.section(name)
    }

    /// What `[release]` says, with the roster, the policy and the repository that belong to it.
    ///
    /// # Errors
    /// [`SetupError::NoRelease`] in a project that has no such section.
    pub fn release(&self) -> Result<&Setup, SetupError> {
        self.release
            .as_ref()
            .ok_or_else(|| SetupError::NoRelease(self.layout.file().to_owned()))
    }

    /// What steps need: hosts and rosters; with `[release]` also the policy. Connects to nothing yet.
    pub fn resources(&self) -> Resources {
        match &self.release {
            Some(setup) => setup.resources(),
            None => Resources::default().with(self.hosts()).with(self.rosters()),
        }
    }

    /// The machines, by the names of their environments.
    pub fn hosts(&self) -> Hosts {
        match &self.release {
            Some(setup) => setup.hosts(),
            None => self.core.hosts(),
        }
    }

    /// Where rosters are read, anew each time: with `[release]` as they were committed, else from the people file as it lies
    /// beside `flow.toml`.
    pub fn rosters(&self) -> Rosters {
        match &self.release {
            Some(setup) => setup.rosters(),
            None => Rosters(Arc::new(PeopleFile(self.core.path(&self.core.people)))),
        }
    }

    /// The values of every secret the configuration names, to be masked in all output. One that cannot be found now is
    /// left out: whoever needs it will say so.
    pub fn masked(&self) -> Masked {
        match &self.release {
            Some(setup) => setup.masked(),
            None => self.core.masked(),
        }
    }

    /// What hands mail to the server, when mail is configured.
    ///
    /// # Errors
    /// [`SetupError::Mail`].
    pub fn mailer(&self) -> Result<Option<Mailer>, SetupError> {
        self.core.mailer()
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
        let people = Arc::new(self.people.clone());
        let team = TeamMail::new(mailer, people, Some(Arc::clone(journal)));
        Ok(Some(Arc::new(team)))
    }
}

impl Setup {
    /// The project that this is the release of.
    ///
    /// # Errors
    /// [`SetupError::Config`].
    pub fn project(&self) -> Result<Project, SetupError> {
        Project::of(self.layout.clone(), self.clone())
    }
}
