//! A plan: every step of a run, in order, as plain data.
//!
//! A plan is made once, stored as the first record of its run and never changes. It is not executed by replaying
//! code, so a newer binary can go on with it, a sign-off can name it by digest, and an audit can name the steps that
//! did not run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::Digest;
use crate::retry::Policy;

/// What a run will do. See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The workflow that made it, such as `release`.
    pub workflow: String,
    /// The version of the protocol the workflow follows.
    pub protocol: String,
    /// The program and version that planned it.
    pub planned_by: String,
    /// The environment it changes last; one unfinished run per environment.
    pub environment: String,
    /// What was found out while planning and is relied on later: commit, previous commit, people, contacts.
    pub facts: BTreeMap<String, String>,
    /// The phases in order.
    pub phases: Vec<Phase>,
    /// The steps in order.
    pub nodes: Vec<Node>,
}

/// A stretch of the plan with one answer to the question what a failure means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Short name, such as `prod`.
    pub key: String,
    /// What stands above its steps in plan, status and mails.
    pub title: String,
    /// What a failed step of this phase leads to.
    pub on_failure: OnFailure,
}

/// What a failed step leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The run stops and waits for a person: production has not been touched.
    Park,
    /// Everything that started is undone, newest first: production has been touched.
    Rollback,
}

/// Whether a step leaves a trace in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It only looks.
    Reads,
    /// It tells people something; no machine is other than before. Taking it back is telling them so.
    Tells,
    /// It changes something.
    Changes,
}

/// One planned step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name for ever, such as `prod/backup`.
    pub key: String,
    /// Index of its phase.
    pub phase: u32,
    /// The kind of step, as its code is registered.
    pub kind: String,
    /// The version of that kind's parameters and output.
    pub version: u16,
    /// Its parameters. Never a secret: names of secrets only.
    pub params: serde_json::Value,
    /// What it will do, in words, readable by a binary that no longer has the step.
    pub summary: String,
    /// Whether it changes anything.
    pub effect: Effect,
    /// What undoes it, in words; nothing when there is nothing to undo.
    pub undo: Option<String>,
    /// Consecutive steps with the same group run at the same time.
    pub group: Option<String>,
    /// The step whose output, a bool, decides whether this one runs.
    pub only_if: Option<String>,
    /// Who must answer, when a person decides.
    pub answered_by: Option<String>,
    /// Whether an operator may go on without it, with a reason.
    pub skippable: bool,
    /// Whether a person's word that it was done is enough to go on; see [`Step::settles`](crate::step::Step::settles).
    #[serde(default)]
    pub settles: bool,
    /// Time limit and retries.
    pub policy: Policy,
}

impl Plan {
    /// The plan as canonical JSON: the bytes that [`Plan::digest`] is taken of.
    ///
    /// # Panics
    /// Never: a plan holds nothing that JSON cannot express.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a plan is plain data")
    }

    /// What a sign-off binds to.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_json())
    }

    /// The step with this key and its place in the plan.
    pub fn node(&self, key: &str) -> Option<(u32, &Node)> {
        (0u32..).zip(&self.nodes).find(|(_, n)| n.key == key)
    }

    /// The phase of a step.
    pub fn phase_of(&self, node: &Node) -> &Phase {
        &self.phases[node.phase as usize]
    }

    /// A fact, or the empty text when planning recorded none of that name.
    pub fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }
}
