//! The machines a configuration names.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Host, HostError};

/// Hosts by name, such as `prod`; what steps look a machine up in.
#[derive(Clone, Default)]
pub struct Hosts(BTreeMap<String, Arc<dyn Host>>);

impl Hosts {
    /// No host at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a host under its own name, in place of one that had it.
    #[must_use]
    pub fn with(mut self, host: impl Host) -> Self {
        self.insert(Arc::new(host));
        self
    }

    /// Adds a host that is shared.
    pub fn insert(&mut self, host: Arc<dyn Host>) {
        self.0.insert(host.name().to_owned(), host);
    }

    /// The host of that name.
    ///
    /// [`HostError::Config`], naming those that exist, when there is none.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Host>, HostError> {
        self.0.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.names().collect();
            HostError::Config {
                host: name.to_owned(),
                why: format!("is not configured; configured are: {}", known.join(", ")),
            }
        })
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl std::fmt::Debug for Hosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
