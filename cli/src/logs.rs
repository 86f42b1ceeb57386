//! Output of steps, kept in one file each.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use flow_engine::event::{Event, Observer};
use flow_engine::run::Run;

use crate::state::State;

/// Appends what steps put out to `<state>/logs/RUN/STEP.log`. Output is a help, not a record: when it cannot be kept,
/// that is said once and the run goes on.
pub(crate) struct Keeper {
    state: State,
    seen: Mutex<KeeperState>,
}

#[derive(Default)]
struct KeeperState {
    run: Option<Arc<Run>>,
    files: BTreeMap<u32, File>,
    complained: bool,
}

impl Keeper {
    /// Keeps output under this state folder.
    pub(crate) fn new(state: State) -> Self {
        Keeper {
            state,
            seen: Mutex::default(),
        }
    }

    /// Tells which run's output will come.
    pub(crate) fn begin(&self, run: &Arc<Run>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.run = Some(Arc::clone(run));
    }

    fn keep(&self, seen: &mut KeeperState, step: u32, text: &str) -> std::io::Result<()> {
        let Some(run) = seen.run.clone() else {
            return Ok(());
        };
        let Some(node) = run.plan.nodes.get(step as usize) else {
            return Ok(());
        };
        let file = match seen.files.entry(step) {
            std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::btree_map::Entry::Vacant(vacant) => {
                let path = self.state.log(&run.id, &node.key);
                vacant.insert(open(&path)?)
            }
        };
        file.write_all(text.as_bytes())
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

impl Observer for Keeper {
    fn see(&self, event: &Event) {
        let Event::Output { step, text, .. } = event else {
            return;
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.keep(&mut seen, *step, text)
            && !seen.complained
        {
            seen.complained = true;
            tracing::warn!(%error, "output of steps cannot be kept; the run goes on");
        }
    }
}
