//! Trying one kind of isolation, so that another can be tried when it does not work.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::cgroups::remove_cgroups;
use crate::claim::MARKER;
use crate::error::SandboxError;
use crate::files::{random, write};
use crate::ground::Ground;
use crate::kit::Kit;
use crate::sandbox::Sandbox;

impl Sandbox {
    /// The reason, in words, when it did not work; nothing is left running then.
    pub(crate) fn up_in_containers(
        ground: &Ground,
        store: &Path,
        keep: bool,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, String> {
        let kit = Kit::find(&ground.dir, store, &ground.tools, progress)?;
        progress(&format!("starting {} hosts", ground.layout.number()));
        let explanation = format!(
            "Each host in namespaces of its own with a real docker daemon, on {}.",
            kit.addresses(ground.layout)
        );
        let mut ground = ground.clone();
        ground.kit = Some(Arc::new(kit));
        Self::attempt(ground, keep, explanation).map_err(|error| error.to_string())
    }

    /// Starts everything under a new id; ends all of it again when a part fails.
    pub(crate) fn attempt(
        mut ground: Ground,
        keep: bool,
        explanation: String,
    ) -> Result<Self, SandboxError> {
        ground.id = random()?;
        write(&ground.dir.join(MARKER), &ground.id, 0o600)?;
        let (scope, id) = (ground.scope(None), ground.id.clone());
        let started = Self::start(ground, keep, explanation);
        if started.is_err() {
            scope.end(Duration::ZERO).ok();
            remove_cgroups(&id);
        }
        started
    }

    /// Keeps the folder locked for as long as the sandbox lives.
    pub(crate) fn holding(mut self, lock: fs::File) -> Self {
        self.held = Some(lock);
        self
    }
}
