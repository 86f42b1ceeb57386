//! `people.keys`: whose keys count for this release, and how they differ from those of what runs now.

use std::collections::BTreeMap;

use async_trait::async_trait;
use flow_engine::run::Run;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::origin::{RosterAt, RosterSource, Rosters};
use super::roster::People;
use crate::code;
use crate::means::reach;

/// Names the keys that this release adds to the roster of production's commit, those it takes out, and whether the
/// working tree says otherwise. It judges nothing: who signs sees it, and it is part of what is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// Where production's code is.
    pub host: String,
    /// The work tree there, absolute.
    pub dir: String,
}

/// The keys of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysFound {
    /// Of the roster's file, in hexadecimal digits; empty when the plan names none.
    pub sha256: String,
    /// The commit it was read from.
    pub commit: String,
    /// The commit that production runs, where it could be asked.
    pub deployed: Option<String>,
    /// `role name SHA256:…` of each key that production's commit does not have.
    pub added: Vec<String>,
    /// `role name SHA256:…` of each key that only production's commit has.
    pub removed: Vec<String>,
    /// How the file in the working tree differs, which does not count: one line for each key.
    pub elsewhere: Vec<String>,
    /// What could not be compared, and why.
    pub unknown: Vec<String>,
}

#[async_trait]
impl Step for Keys {
    const KIND: &'static str = "people.keys";
    type Output = KeysFound;

    fn summary(&self) -> String {
        format!(
            "name the keys that may sign, and what changed since the commit on `{}`",
            self.host
        )
    }

    async fn run(&self, cx: &Cx) -> Result<KeysFound, StepError> {
        let Some(at) = RosterAt::of(cx.plan()) else {
            let unknown =
                vec!["the plan names no roster: the file of the working tree counts".into()];
            return Ok(KeysFound {
                unknown,
                ..KeysFound::default()
            });
        };
        let rosters = cx.resource::<Rosters>()?;
        let unread = |e| StepError::unreached("whose signatures count is not known").because(&e);
        let ours = rosters.0.at(&at.commit, &at.path).await.map_err(unread)?;
        let ours = ours.unwrap_or_default();
        let mut found = KeysFound {
            sha256: at.sha256.clone(),
            commit: at.commit.clone(),
            ..KeysFound::default()
        };
        self.deployed(cx, &*rosters.0, &at, &ours, &mut found)
            .await?;
        match rosters.0.here().await {
            Ok(Some(here)) => {
                let added = lines(&here, &ours)
                    .into_iter()
                    .map(|k| format!("only there: {k}"));
                let gone = lines(&ours, &here)
                    .into_iter()
                    .map(|k| format!("not there: {k}"));
                found.elsewhere = added.chain(gone).collect();
            }
            Ok(None) => {}
            Err(e) => found
                .unknown
                .push(format!("the file of the working tree: {e}")),
        }
        for line in found.lines() {
            cx.log(line);
        }
        Ok(found)
    }
}

impl Keys {
    async fn deployed(
        &self,
        cx: &Cx,
        rosters: &dyn RosterSource,
        at: &RosterAt,
        ours: &People,
        found: &mut KeysFound,
    ) -> Result<(), StepError> {
        let host = reach::host(cx, &self.host)?;
        let deployed = match code::head(&*host, &self.dir).await {
            Ok(commit) => commit,
            Err(e) => {
                let why = format!("the commit on `{}` is not known: {e}", self.host);
                found.unknown.push(why);
                return Ok(());
            }
        };
        match rosters.at(&deployed, &at.path).await {
            Ok(theirs) => {
                if theirs.is_none() {
                    let why = format!("production's commit has no {}", at.path);
                    found.unknown.push(why);
                }
                let theirs = theirs.unwrap_or_default();
                found.added = lines(ours, &theirs);
                found.removed = lines(&theirs, ours);
                if theirs.forbid_starter && !ours.forbid_starter {
                    found.removed.push("`forbid_starter`".into());
                }
            }
            Err(e) => found.unknown.push(format!("production's keys: {e}")),
        }
        found.deployed = Some(deployed);
        Ok(())
    }
}

/// The keys of one roster that the other does not have in the same role.
fn lines(of: &People, without: &People) -> Vec<String> {
    let theirs = keys(without);
    let ours = keys(of).into_iter();
    let only = ours.filter(|(held, _)| !theirs.contains_key(held));
    only.map(|((fingerprint, role), name)| format!("{role} {name} {fingerprint}"))
        .collect()
}

fn keys(people: &People) -> BTreeMap<(String, String), String> {
    let persons = people
        .roles
        .iter()
        .flat_map(|(role, persons)| persons.iter().map(move |p| (role, p)));
    let held = persons.filter_map(|(role, person)| {
        let fingerprint = person.public_key().ok()?.fingerprint().to_owned();
        Some(((fingerprint, role.clone()), person.name.clone()))
    });
    held.collect()
}

impl KeysFound {
    /// What a run found, once it has asked.
    pub fn of(run: &Run) -> Option<KeysFound> {
        let asking = run.plan.nodes.iter().find(|node| node.kind == Keys::KIND)?;
        serde_json::from_str(run.output(&asking.key)?).ok()
    }

    /// Whether somebody may sign who could not before, or the other way round, or that is not known.
    pub fn differs(&self) -> bool {
        !(self.added.is_empty() && self.removed.is_empty() && self.unknown.is_empty())
    }

    /// For people: which roster counts, and every key that changed.
    pub fn lines(&self) -> Vec<String> {
        let short = |text: &str| text.chars().take(12).collect::<String>();
        let mut lines = Vec::new();
        if !self.sha256.is_empty() {
            lines.push(format!(
                "keys: roster {} of {}, {} added and {} taken out since production's",
                short(&self.sha256),
                short(&self.commit),
                self.added.len(),
                self.removed.len()
            ));
        }
        let named = |what: &'static str, keys: &[String]| {
            let lines = keys.iter().map(move |key| format!("{what} {key}"));
            lines.collect::<Vec<_>>()
        };
        lines.extend(named("KEY ADDED:", &self.added));
        lines.extend(named("KEY TAKEN OUT:", &self.removed));
        lines.extend(named("keys not compared:", &self.unknown));
        if !self.elsewhere.is_empty() {
            let count = self.elsewhere.len();
            lines.push(format!(
                "the working tree differs in {count} keys, which do not count"
            ));
        }
        lines
    }
}
