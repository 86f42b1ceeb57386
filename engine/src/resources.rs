//! What a workflow hands its steps, by type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

/// Things steps need and the engine knows nothing of, by type: hosts, mail, settings, secrets.
#[derive(Default, Clone)]
pub struct Resources(Arc<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl std::fmt::Debug for Resources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resources({})", self.0.len())
    }
}

impl Resources {
    /// Adds or replaces the thing of this type.
    #[must_use]
    pub fn with<T: Any + Send + Sync>(self, thing: T) -> Self {
        self.with_shared(Arc::new(thing))
    }

    /// Adds or replaces the thing of this type, shared with others.
    #[must_use]
    pub fn with_shared<T: Any + Send + Sync>(mut self, thing: Arc<T>) -> Self {
        Arc::make_mut(&mut self.0).insert(TypeId::of::<T>(), thing);
        self
    }

    /// The thing of this type.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0
            .get(&TypeId::of::<T>())
            .cloned()
            .and_then(|a| a.downcast().ok())
    }
}
