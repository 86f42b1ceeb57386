//! Where the roster of a run comes from: the commit that its plan names, not a file that its starter can edit.

use std::sync::Arc;

use async_trait::async_trait;
use flow_engine::plan::Plan;
use flow_engine::step::{Cx, StepError};

use crate::means::facts;
use crate::means::signature::roster::People;

/// The file that a plan counts as its roster. Stands in the plan's facts as `SHA256 COMMIT:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterAt {
    /// Of the file's bytes, in hexadecimal digits.
    pub sha256: String,
    /// The commit it is read from.
    pub commit: String,
    /// Inside the repository.
    pub path: String,
    /// The reviewed ref whose later commits take keys out of it. Nothing where the plan names none: the team had none then,
    /// or the plan is of a version that took it from the configuration of the day.
    pub reference: Option<String>,
}

impl RosterAt {
    /// What the plan says; nothing in a plan of a version that read the working tree.
    pub fn of(plan: &Plan) -> Option<RosterAt> {
        let (sha256, at) = plan.fact(facts::ROSTER).split_once(' ')?;
        let (commit, path) = at.split_once(':')?;
        Some(RosterAt {
            sha256: sha256.to_owned(),
            commit: commit.to_owned(),
            path: path.to_owned(),
            reference: Some(plan.fact(facts::ROSTER_REF))
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
        })
    }

    /// Names and values of its facts.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let RosterAt {
            sha256,
            commit,
            path,
            reference,
        } = self;
        let at = (facts::ROSTER, format!("{sha256} {commit}:{path}"));
        let reference = reference
            .iter()
            .map(|name| (facts::ROSTER_REF, name.clone()));
        std::iter::once(at).chain(reference).collect()
    }
}

/// Why there is no roster to judge by. Whether an answer counts is not known then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the roster cannot be read: {0}")]
pub struct RosterUnread(pub String);

/// What is to be done where the roster lacks somebody.
pub(crate) const FROZEN: &str = "the roster of a run is the one of its commit: commit a flow.people.toml that names them, cancel this run, and start anew with that commit";

/// Reads rosters. Each call reads anew: a key that was taken out counts no more from then on.
#[async_trait]
pub trait RosterSource: Send + Sync {
    /// The roster that counts for a plan now: the one it names, without the keys that were taken out since.
    async fn of(&self, plan: &Plan) -> Result<People, RosterUnread>;

    /// The roster of another commit at the same place; nothing when the commit has none.
    async fn at(&self, commit: &str, path: &str) -> Result<Option<People>, RosterUnread>;

    /// The roster of the working tree; nothing when there is none.
    async fn here(&self) -> Result<Option<People>, RosterUnread>;
}

/// One that is given, and stays.
#[async_trait]
impl RosterSource for People {
    async fn of(&self, _: &Plan) -> Result<People, RosterUnread> {
        Ok(self.clone())
    }

    async fn at(&self, _: &str, _: &str) -> Result<Option<People>, RosterUnread> {
        Ok(Some(self.clone()))
    }

    async fn here(&self) -> Result<Option<People>, RosterUnread> {
        Ok(None)
    }
}

/// The resource by which steps find the roster.
#[derive(Clone)]
pub struct Rosters(pub Arc<dyn RosterSource>);

/// The roster that counts for this run now. Nothing where there is neither a source nor a roster.
///
/// # Errors
/// A failure that is tried again, and then parks or refuses: without a roster no answer is believed.
pub(crate) async fn at_hand(cx: &Cx) -> Result<Option<People>, StepError> {
    let Ok(rosters) = cx.resource::<Rosters>() else {
        return Ok(cx.resource::<People>().ok().map(|people| (*people).clone()));
    };
    let people = rosters.0.of(cx.plan()).await;
    people
        .map(Some)
        .map_err(|e| StepError::unreached("whose signatures count is not known").because(&e))
}

/// As [`at_hand`]; without any roster the step fails.
pub(crate) async fn needed(cx: &Cx) -> Result<People, StepError> {
    match at_hand(cx).await? {
        Some(people) => Ok(people),
        None => Ok((*cx.resource::<People>()?).clone()),
    }
}
