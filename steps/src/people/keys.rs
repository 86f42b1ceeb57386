//! `people.keys`: whose keys count for this release, and how they differ from those of what runs now.

use std::collections::BTreeMap;

use async_trait::async_trait;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::git::head;
use crate::means::reports::people::KeysFound;
use crate::means::signature::origin::{RosterAt, RosterSource, Rosters};
use crate::means::signature::roster::People;
use crate::means::{kinds, reach};

/// Names the keys that this release adds to the roster of production's commit, those it takes out, and whether the
/// working tree says otherwise. It judges nothing: who signs sees it, and it is part of what is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// Where production's code is.
    pub host: String,
    /// The work tree there, absolute.
    pub dir: String,
}

#[async_trait]
impl Step for Keys {
    const KIND: &'static str = kinds::KEYS;
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
        let deployed = match head(&*host, &self.dir).await {
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
