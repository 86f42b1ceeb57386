//! From a stored (kind, version, params) back to a step. Type erasure lives only here.

use std::any::{TypeId, type_name};
use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde_json::Value;

use crate::answer::{Asked, Refusal};
use crate::context::Cx;
use crate::plan::Node;
use crate::run::{Life, Run, Status};
use crate::signal::Signal;
pub use crate::step::Clash;
use crate::step::{DecodeError, Step, StepError};

/// Every kind of step this binary can run.
#[derive(Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Kind>,
    clashes: Vec<Clash>,
}

/// A kind of step, and the type that runs it.
struct Kind {
    load: Load,
    id: TypeId,
    name: &'static str,
}

type Load = fn(&Node) -> Result<Box<dyn AnyStep>, DecodeError>;

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.kinds.keys()).finish()
    }
}

impl Registry {
    /// Adds a kind of step. The same type added again changes nothing; another type of the same kind is a
    /// [clash](Registry::clash), and no step of that kind can be loaded.
    #[must_use]
    pub fn with<S: Step>(mut self) -> Self {
        let load: Load = |node| {
            let step = S::decode(node.version, &node.params)?;
            if node.version == S::VERSION {
                understood(&step, &node.params)?;
            }
            Ok(Box::new(step))
        };
        let kind = Kind {
            load,
            id: TypeId::of::<S>(),
            name: type_name::<S>(),
        };
        match self.kinds.get(S::KIND) {
            None => {
                self.kinds.insert(S::KIND, kind);
            }
            Some(first) if first.id == kind.id => {}
            Some(first) => self.clashes.push(Clash {
                kind: S::KIND,
                first: first.name,
                second: kind.name,
            }),
        }
        self
    }

    /// The first two types that claim one kind. A program that has such a pair must not drive any run.
    pub fn clash(&self) -> Option<&Clash> {
        self.clashes.first()
    }

    /// The names of all kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.keys().copied()
    }

    /// The first step of a run that this binary cannot read although it is still to be run, or may have to be undone.
    ///
    /// Asked before anything is begun: a run must not get half-way into production and stop there because the rest, or
    /// the way back, is unknown.
    pub fn unreadable(&self, run: &Run) -> Option<(u32, DecodeError)> {
        let forward = match run.life {
            Life::Forward => true,
            Life::Unwinding(_) => false,
            Life::Parked { .. } | Life::Finished { .. } => return None,
        };
        let back: BTreeSet<u32> = run.undo_order().into_iter().collect();
        (0u32..)
            .zip(run.plan.nodes.iter().zip(&run.steps))
            .filter(|(index, (_, state))| {
                let to_run = forward && !matches!(state.status, Status::Done | Status::Skipped);
                to_run || back.contains(index)
            })
            .find_map(|(index, (node, _))| self.load(node).err().map(|e| (index, e)))
    }

    /// The step a node describes.
    ///
    /// # Errors
    /// [`DecodeError`] when this binary has no such kind, two of it or another version of it, or cannot read the parameters.
    pub fn load(&self, node: &Node) -> Result<Box<dyn AnyStep>, DecodeError> {
        if let Some(clash) = self.clashes.iter().find(|clash| clash.kind == node.kind) {
            return Err(DecodeError::Clash(clash.clone()));
        }
        match self.kinds.get(node.kind.as_str()) {
            Some(kind) => (kind.load)(node),
            None => Err(DecodeError::Unknown(node.kind.clone())),
        }
    }
}

impl Registry {
    /// Whether an answer would count, in the judgement of the step that asks.
    ///
    /// # Errors
    /// [`Refusal`]; the answer must not be stored then.
    pub async fn accepts(&self, asked: &Asked<'_>, signal: &Signal) -> Result<(), Refusal> {
        let step = self.load(asked.node())?;
        step.accepts(asked, signal).await
    }
}

/// Refuses parameters that the step would ignore: a newer flow meant something by them.
fn understood<S: Step>(step: &S, stored: &Value) -> Result<(), DecodeError> {
    let read = serde_json::to_value(step).map_err(|e| DecodeError::Malformed(e.to_string()))?;
    match ignored(stored, &read) {
        None => Ok(()),
        Some(name) => Err(DecodeError::Malformed(format!(
            "this flow does not know the parameter `{name}`"
        ))),
    }
}

/// The first name in `stored` that is not in `read`.
fn ignored(stored: &Value, read: &Value) -> Option<String> {
    match (stored, read) {
        (Value::Object(stored), Value::Object(read)) => {
            stored
                .iter()
                .find_map(|(name, value)| match read.get(name) {
                    None => Some(name.clone()),
                    Some(read) => ignored(value, read).map(|inner| format!("{name}.{inner}")),
                })
        }
        (Value::Array(stored), Value::Array(read)) if stored.len() == read.len() => {
            stored.iter().zip(read).find_map(|(s, r)| ignored(s, r))
        }
        _ => None,
    }
}

/// A step whose types are forgotten: outputs are JSON.
#[async_trait]
pub trait AnyStep: Send + Sync {
    /// [`Step::run`], with the output as JSON.
    async fn run(&self, cx: &Cx) -> Result<Vec<u8>, StepError>;
    /// [`Step::undo`], with the output of its run as JSON, if there is one.
    async fn undo(&self, cx: &Cx, done: Option<&str>) -> Result<String, StepError>;
    /// As [`Step::accepts`], with its type forgotten.
    async fn accepts(&self, asked: &Asked<'_>, signal: &Signal) -> Result<(), Refusal>;
}

#[async_trait]
impl<S: Step> AnyStep for S {
    async fn run(&self, cx: &Cx) -> Result<Vec<u8>, StepError> {
        let output = Step::run(self, cx).await?;
        serde_json::to_vec(&output).map_err(|e| {
            StepError::fail(format!("the output of `{}` cannot be stored", cx.key())).because(&e)
        })
    }

    async fn undo(&self, cx: &Cx, done: Option<&str>) -> Result<String, StepError> {
        let done = done.map(serde_json::from_str).transpose().map_err(|e| {
            StepError::fail(format!(
                "the stored output of `{}` cannot be read",
                cx.key()
            ))
            .because(&e)
        })?;
        Step::undo(self, cx, done).await
    }

    async fn accepts(&self, asked: &Asked<'_>, signal: &Signal) -> Result<(), Refusal> {
        Step::accepts(self, asked, signal).await
    }
}

#[cfg(test)]
mod tests;
