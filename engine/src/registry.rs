//! From a stored (kind, version, params) back to a step. Type erasure lives only here.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::context::Cx;
use crate::plan::Node;
use crate::step::{DecodeError, Step, StepError};

/// Every kind of step this binary can run.
#[derive(Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Load>,
}

type Load = fn(&Node) -> Result<Box<dyn AnyStep>, DecodeError>;

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.kinds.keys()).finish()
    }
}

impl Registry {
    /// Adds a kind of step.
    ///
    /// # Panics
    /// When two kinds share a name: a mistake in the program.
    #[must_use]
    pub fn with<S: Step>(mut self) -> Self {
        let load: Load = |node| Ok(Box::new(S::decode(node.version, &node.params)?));
        assert!(
            self.kinds.insert(S::KIND, load).is_none(),
            "the step kind `{}` is registered twice",
            S::KIND
        );
        self
    }

    /// The names of all kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.keys().copied()
    }

    /// The step a node describes.
    ///
    /// # Errors
    /// [`DecodeError`] when this binary has no such kind, another version of it, or cannot read the parameters.
    pub fn load(&self, node: &Node) -> Result<Box<dyn AnyStep>, DecodeError> {
        match self.kinds.get(node.kind.as_str()) {
            Some(load) => load(node),
            None => Err(DecodeError::Unknown(node.kind.clone())),
        }
    }
}

/// A step whose types are forgotten: outputs are JSON.
#[async_trait]
pub trait AnyStep: Send + Sync {
    /// [`Step::run`].
    async fn run(&self, cx: &Cx) -> Result<Vec<u8>, StepError>;
    /// [`Step::undo`].
    async fn undo(&self, cx: &Cx, done: Option<&str>) -> Result<String, StepError>;
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
}
