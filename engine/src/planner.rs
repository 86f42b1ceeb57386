//! How workflow code becomes a [`Plan`].

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::event::without_passwords;
use crate::plan::{Effect, Node, OnFailure, Phase, Plan};
use crate::retry::Policy;
use crate::step::Step;

/// The output of a planned step, as a typed handle. Only [`Planner::step`] makes one, so a reference can only point
/// backwards, and handing over the wrong output does not compile.
#[derive(Debug)]
pub struct Out<T> {
    key: String,
    type_: PhantomData<fn() -> T>,
}

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        Out {
            key: self.key.clone(),
            type_: PhantomData,
        }
    }
}

impl<T> Out<T> {
    /// The key of the step whose output this is.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// The key of a step that is planned later, as a handle for the steps planned before it. Only [`Planner::reserve`] makes one,
/// and a plan that lacks the step is a mistake: a reference by key can then not point nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The key as it stands in the plan, such as `prod/writable`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Key> for String {
    fn from(key: &Key) -> String {
        key.0.clone()
    }
}

/// A parameter that is either known while planning or the output of an earlier step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arg<T> {
    /// Known while planning.
    Value(T),
    /// The output of the step with this key.
    Output(String),
}

impl<T> From<T> for Arg<T> {
    fn from(value: T) -> Self {
        Arg::Value(value)
    }
}

impl<T> From<&Out<T>> for Arg<T> {
    fn from(out: &Out<T>) -> Self {
        Arg::Output(out.key.clone())
    }
}

/// Why workflow code did not make a plan: a mistake in that code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Two steps share a key.
    #[error("the step key `{0}` is used twice")]
    DuplicateKey(String),
    /// A key that is neither `place/step` nor `place/host/step` in a-z, 0-9, `-` and `.`.
    #[error("`{0}` is no step key: use `phase/step` or `phase/host/step` in a-z, 0-9, `-` and `.`")]
    BadKey(String),
    /// A step outside any phase.
    #[error("the step `{0}` stands outside a phase")]
    OutsidePhase(String),
    /// Parameters that JSON cannot express.
    #[error("the parameters of `{key}` cannot be stored: {why}")]
    Params {
        /// The key of the step.
        key: String,
        /// The serialiser's words.
        why: String,
    },
    /// A reserved key of which no step was planned.
    #[error("the step key `{0}` was reserved, and no step of it was planned")]
    NeverPlanned(String),
    /// A plan without steps.
    #[error("the plan has no steps")]
    Empty,
}

/// The longest patience of a step whose failure parks the run anyway.
const PATIENCE_BEFORE_PRODUCTION_S: u64 = 30;

/// Collects steps in the order in which workflow code names them.
#[derive(Debug)]
pub struct Planner {
    plan: Plan,
    phase: Option<u32>,
    group: Option<String>,
    only_if: Option<String>,
    reserved: Vec<Key>,
    error: Option<PlanError>,
}

impl Planner {
    /// A planner for one workflow that ends in one environment.
    pub fn new(workflow: &str, protocol: &str, environment: &str, planned_by: &str) -> Self {
        let plan = Plan {
            workflow: workflow.into(),
            protocol: protocol.into(),
            planned_by: planned_by.into(),
            environment: environment.into(),
            facts: BTreeMap::new(),
            phases: Vec::new(),
            nodes: Vec::new(),
        };
        Planner {
            plan,
            phase: None,
            group: None,
            only_if: None,
            reserved: Vec::new(),
            error: None,
        }
    }

    /// Records something found out while planning. Facts are told in mails: the password of a URL in one is not kept.
    pub fn fact(&mut self, name: &str, value: impl Into<String>) {
        let value = without_passwords(&value.into()).into_owned();
        self.plan.facts.insert(name.into(), value);
    }

    /// A phase: the steps named in `body`, with one answer to what a failure means.
    pub fn phase<T>(
        &mut self,
        key: &str,
        title: &str,
        on_failure: OnFailure,
        body: impl FnOnce(&mut Planner) -> T,
    ) -> T {
        let index = u32::try_from(self.plan.phases.len()).unwrap_or(u32::MAX);
        self.plan.phases.push(Phase {
            key: key.into(),
            title: title.into(),
            on_failure,
        });
        let outer = self.phase.replace(index);
        let made = body(self);
        self.phase = outer;
        made
    }

    /// Steps that run at the same time. If one fails, the others are let finish first.
    pub fn parallel<T>(&mut self, key: &str, body: impl FnOnce(&mut Planner) -> T) -> T {
        let outer = self.group.replace(key.into());
        let made = body(self);
        self.group = outer;
        made
    }

    /// Steps that run only when an earlier step answered `true`; otherwise they are recorded as skipped.
    pub fn only_if<T>(&mut self, condition: &Out<bool>, body: impl FnOnce(&mut Planner) -> T) -> T {
        let outer = self.only_if.replace(condition.key.clone());
        let made = body(self);
        self.only_if = outer;
        made
    }

    /// Adds a step and returns a handle to its output.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a step becomes part of the plan; a loan would read as a copy"
    )]
    pub fn step<S: Step>(&mut self, key: &str, step: S) -> Out<S::Output> {
        if let Err(error) = self.add(key, &step) {
            self.error.get_or_insert(error);
        }
        Out {
            key: key.into(),
            type_: PhantomData,
        }
    }

    /// Keeps `key` for a step that is planned later with [`Planner::step`], and returns a handle for steps planned before it.
    ///
    /// [`Planner::finish`] fails if no step of that key was planned, if it is planned or reserved already, or if it is no
    /// step key.
    pub fn reserve(&mut self, key: &str) -> Key {
        let key = Key(key.into());
        if self.reserved.contains(&key) || self.plan.node(&key.0).is_some() {
            self.error
                .get_or_insert_with(|| PlanError::DuplicateKey(key.0.clone()));
        }
        self.reserved.push(key.clone());
        key
    }

    fn add<S: Step>(&mut self, key: &str, step: &S) -> Result<(), PlanError> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let parts: Vec<_> = key.split('/').collect();
        let word =
            |part: &&str| !part.is_empty() && !part.starts_with('.') && part.chars().all(legal);
        if key.len() > 64 || !(2..=3).contains(&parts.len()) || !parts.iter().all(word) {
            return Err(PlanError::BadKey(key.into()));
        }
        if self.plan.node(key).is_some() {
            return Err(PlanError::DuplicateKey(key.into()));
        }
        let phase = self
            .phase
            .ok_or_else(|| PlanError::OutsidePhase(key.into()))?;
        let params = serde_json::to_value(step).map_err(|e| PlanError::Params {
            key: key.into(),
            why: e.to_string(),
        })?;
        let undo = step.undo_in_words();
        let undo = undo.map(|words| without_passwords(&words).into_owned());
        self.plan.nodes.push(Node {
            key: key.into(),
            phase,
            kind: S::KIND.into(),
            version: S::VERSION,
            params,
            summary: without_passwords(&step.summary()).into_owned(),
            effect: match step.effect() {
                Effect::Reads if undo.is_some() => Effect::Changes,
                effect => effect,
            },
            undo,
            group: self.group.clone(),
            only_if: self.only_if.clone(),
            answered_by: step.answered_by(),
            skippable: step.skippable(),
            settles: step.settles(),
            policy: self.patient(step.policy(), phase),
        });
        Ok(())
    }

    /// As long as nothing has changed that waits for people to come back to it, they are told soon.
    fn patient(&self, policy: Policy, phase: u32) -> Policy {
        let most = match self.plan.phases[phase as usize].on_failure {
            OnFailure::Park => PATIENCE_BEFORE_PRODUCTION_S,
            OnFailure::Rollback => u64::MAX,
        };
        Policy {
            patience_s: policy.patience_s.min(most),
            ..policy
        }
    }

    /// The finished plan, or the first mistake made on the way.
    pub fn finish(self) -> Result<Plan, PlanError> {
        match self.error {
            Some(error) => Err(error),
            None if self.plan.nodes.is_empty() => Err(PlanError::Empty),
            None => {
                let missing = |key: &&Key| self.plan.node(&key.0).is_none();
                match self.reserved.iter().find(missing) {
                    Some(key) => Err(PlanError::NeverPlanned(key.0.clone())),
                    None => Ok(self.plan),
                }
            }
        }
    }
}
