//! The roster as it was committed.

use std::path::PathBuf;

use async_trait::async_trait;
use flow_engine::id::Digest;
use flow_engine::plan::Plan;
use flow_steps::means::signature::origin::{RosterAt, RosterSource, RosterUnread};
use flow_steps::means::signature::roster::People;

use crate::config::{Config, ConfigError, parse_toml, read_toml};
use crate::git::{GitError, Repository};
use crate::guard::{self, NotOurs};

mod people_file;

pub(crate) use people_file::PeopleFile;

/// The largest roster, in bytes.
const SIZE_MAX: usize = 1 << 20;

/// Reads rosters from the repository.
#[derive(Debug, Clone)]
pub(crate) struct CommittedRoster {
    repository: Repository,
    /// The file in the working tree: it names who is to be taken out at once, and never lets anybody in.
    file: PathBuf,
    /// The place inside the repository, when the team names one.
    inside: Option<String>,
    /// The reviewed ref, when the team names one; else the released commit. A plan that names one of its own is judged by that.
    reference: Option<String>,
}

/// Why there is no roster to plan with. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// A commit without a roster at that place.
    #[error(
        "{path} is not in {commit}: the people who sign are those of the released commit, which its reviewers saw, not those of the working tree"
    )]
    NotCommitted {
        /// Inside the repository.
        path: String,
        /// Where it was looked for.
        commit: String,
    },
    /// A file that lies outside the repository.
    #[error("{file} lies outside the repository {repository}")]
    Outside {
        /// The roster's file, as the configuration names it.
        file: String,
        /// The top of the repository's work tree.
        repository: String,
    },
    /// Others can write the file or the repository.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    /// A reviewed ref that is not there.
    #[error(
        "[signoff] roster_ref = \"{reference}\" in flow.toml names no commit of {repository}: {source}"
    )]
    NoReference {
        /// The ref, as `flow.toml` names it.
        reference: String,
        /// The repository that was asked.
        repository: String,
        /// Why, in git's words.
        source: GitError,
    },
    /// git could not be asked, or refused.
    #[error("the roster cannot be looked up")]
    Git(#[from] GitError),
    /// Not a roster.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl RosterError {
    /// What to do.
    pub fn hints(&self) -> Vec<String> {
        match self {
            RosterError::NotCommitted { path, .. } => vec![
                format!("git add {path} && git commit -m \"Who signs releases\"     and release that commit"),
                "or name a reviewed ref that has it: [signoff] roster_ref = \"origin/main\" in flow.toml".into(),
            ],
            RosterError::Outside { .. } => vec![
                "commit the file to the repository and name it there: [signoff] roster_file = \"flow.people.toml\"".into(),
            ],
            RosterError::NoReference { repository, .. } => vec![
                format!("git -C {repository} fetch     where it is a ref of a remote that was never fetched"),
                "or correct [signoff] roster_ref in flow.toml; without it the roster is that of the released commit".into(),
            ],
            RosterError::Git(_) | RosterError::Config(_) | RosterError::NotOurs(_) => Vec::new(),
        }
    }
}

impl CommittedRoster {
    pub(crate) fn new(config: &Config, repository: Repository) -> CommittedRoster {
        CommittedRoster {
            repository,
            file: config.path(&config.people),
            inside: config.signoff.roster_file.clone(),
            reference: config.signoff.roster_ref.clone(),
        }
    }

    /// The roster for a release of `commit`, and where it stands.
    pub(crate) fn plan(&self, commit: &str) -> Result<(People, RosterAt), RosterError> {
        let path = self.path()?;
        guard::only_our_repository(&self.repository.own_folders()?)?;
        let from = match &self.reference {
            Some(reference) => self.reviewed(reference)?,
            None => commit.to_owned(),
        };
        let bytes = self.repository.blob(&from, &path, SIZE_MAX)?;
        let bytes = bytes.ok_or_else(|| RosterError::NotCommitted {
            path: path.clone(),
            commit: from.chars().take(12).collect(),
        })?;
        let people = parse(&bytes, &from, &path)?;
        let sha256 = Digest::of(&bytes).to_string();
        let commit = from;
        Ok((
            people,
            RosterAt {
                sha256,
                commit,
                path,
                reference: self.reference.clone(),
            },
        ))
    }

    /// The commit of the reviewed ref.
    fn reviewed(&self, reference: &str) -> Result<String, RosterError> {
        let missing = |source| RosterError::NoReference {
            reference: reference.escape_debug().to_string(),
            repository: self.repository.dir().display().to_string(),
            source,
        };
        self.repository.commit(reference).map_err(missing)
    }

    fn path(&self) -> Result<String, RosterError> {
        if let Some(inside) = &self.inside {
            return Ok(inside.clone());
        }
        let top = self.repository.top()?;
        let outside = || RosterError::Outside {
            file: self.file.display().to_string(),
            repository: top.display().to_string(),
        };
        // The file itself may be gone from the working tree; its folder is not.
        let folder = self.file.parent().and_then(|dir| {
            let dir = if dir.as_os_str().is_empty() {
                ".".as_ref()
            } else {
                dir
            };
            std::fs::canonicalize(dir).ok()
        });
        let (folder, name) = folder.zip(self.file.file_name()).ok_or_else(outside)?;
        let inside = folder.strip_prefix(&top).map_err(|_| outside())?.join(name);
        inside.to_str().map(str::to_owned).ok_or_else(outside)
    }

    /// What counts for a plan now.
    fn counting(&self, plan: &Plan) -> Result<People, String> {
        let here = self.working_tree()?;
        let Some(at) = RosterAt::of(plan) else {
            let none = || format!("there is no {}", self.file.display());
            return here.ok_or_else(none);
        };
        let words = |e: &dyn std::error::Error| e.to_string();
        let folders = self.repository.own_folders().map_err(|e| words(&e))?;
        guard::only_our_repository(&folders).map_err(|e| words(&e))?;
        let bytes = self.repository.blob(&at.commit, &at.path, SIZE_MAX);
        let bytes = bytes
            .map_err(|e| words(&e))?
            .ok_or_else(|| format!("{} is not in {}", at.path, at.commit))?;
        if Digest::of(&bytes).to_string() != at.sha256 {
            return Err(format!(
                "{} of {} is not the one of the plan",
                at.path, at.commit
            ));
        }
        let mut people = parse(&bytes, &at.commit, &at.path).map_err(|e| words(&e))?;
        if let Some(reference) = at.reference.as_ref().or(self.reference.as_ref()) {
            let now = match (self.repository.commit(reference), &at.reference) {
                (Ok(now), _) => now,
                (Err(e), Some(frozen)) => {
                    let repository = self.repository.dir().display();
                    let frozen = frozen.escape_debug();
                    return Err(format!(
                        "the ref \"{frozen}\", by which this run was planned, names no commit of {repository} any more: {e}"
                    ));
                }
                (Err(_), None) => self.reviewed(reference).map_err(|e| words(&e))?,
            };
            let now = self.repository.blob(&now, &at.path, SIZE_MAX);
            let now = now
                .map_err(|e| words(&e))?
                .ok_or_else(|| format!("{} is not in {reference} any more", at.path))?;
            people = people.still_in(&parse(&now, reference, &at.path).map_err(|e| words(&e))?);
        }
        Ok(match here {
            Some(here) => people.still_in(&here),
            None => people,
        })
    }

    fn working_tree(&self) -> Result<Option<People>, String> {
        if !self.file.exists() {
            return Ok(None);
        }
        guard::only_ours(&self.file).map_err(|e| e.to_string())?;
        read_toml(&self.file).map(Some).map_err(|e| e.to_string())
    }

    /// Reading files and asking git takes milliseconds, but not on the thread that drives.
    async fn aside<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&CommittedRoster) -> Result<T, String> + Send + 'static,
    ) -> Result<T, RosterUnread> {
        let own = self.clone();
        tokio::task::spawn_blocking(move || ask(&own))
            .await
            .map_err(|e| RosterUnread(e.to_string()))?
            .map_err(RosterUnread)
    }
}

fn parse(bytes: &[u8], commit: &str, path: &str) -> Result<People, ConfigError> {
    let short: String = commit.chars().take(12).collect();
    parse_toml(&String::from_utf8_lossy(bytes), &format!("{short}:{path}"))
}

#[async_trait]
impl RosterSource for CommittedRoster {
    async fn of(&self, plan: &Plan) -> Result<People, RosterUnread> {
        let plan = plan.clone();
        self.aside(move |own| own.counting(&plan)).await
    }

    async fn at(&self, commit: &str, path: &str) -> Result<Option<People>, RosterUnread> {
        let (commit, path) = (commit.to_owned(), path.to_owned());
        let ask = move |own: &CommittedRoster| {
            let bytes = own.repository.blob(&commit, &path, SIZE_MAX);
            let bytes = bytes.map_err(|e| e.to_string())?;
            let people = bytes.map(|bytes| parse(&bytes, &commit, &path));
            people.transpose().map_err(|e| e.to_string())
        };
        self.aside(ask).await
    }

    async fn here(&self) -> Result<Option<People>, RosterUnread> {
        self.aside(CommittedRoster::working_tree).await
    }
}
