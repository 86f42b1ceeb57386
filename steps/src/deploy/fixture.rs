//! A deploy for tests.

use std::collections::BTreeMap;
use std::path::Path;

use super::Deploy;

/// Runs these words on `here`, in `folder`, and leaves the release's commit behind; `folder/jobs` is for its jobs. No lease, no gate,
/// no freeze, nothing that is stopped when it is undone.
pub(crate) fn deploy(folder: &Path, script: Vec<String>) -> Deploy {
    let commit = "c".repeat(40);
    Deploy {
        host: "here".into(),
        jobs_dir: folder.join("jobs").to_string_lossy().into_owned(),
        cwd: folder.to_string_lossy().into_owned(),
        script,
        env: BTreeMap::new(),
        commit: commit.clone(),
        errors: vec![],
        allow: vec![],
        lease: None,
        gate: None,
        stop_on_undo: None,
        verify: Some(vec!["echo".into(), commit]),
        may_migrate: false,
        freeze: None,
        frozen_elsewhere: None,
        timeout_minutes: 2,
    }
}
