//! The secrets of the deploy script: looked up when it is started, and kept out of everything that is shown.

use std::os::unix::fs::MetadataExt as _;

use flow_engine::clock::Timestamp;
use flow_engine::step::{Cx, StepError};

use super::Deploy;
use crate::means::host::job::JobSpec;
use crate::means::notes::ScriptNotes;
use crate::means::secret;

fn named(step: &Deploy) -> impl Iterator<Item = (&String, &String)> {
    step.env.iter().filter(|(_, value)| secret::is_name(value))
}

/// The values of the secrets that a job is started with, masked from now on. Only for a launch: whoever looks at a job or ends
/// it needs none.
pub(super) async fn for_launch(
    cx: &Cx,
    step: &Deploy,
    job: &JobSpec,
) -> Result<Vec<(String, String)>, StepError> {
    let mut values = Vec::new();
    for (variable, name) in named(step) {
        let value = secret::resolve(name).await.map_err(|e| {
            StepError::ask(format!(
                "the deploy script needs `{variable}`: {e}; nothing was started"
            ))
            .hint("set it where this flow runs, then retry")
        })?;
        values.push((variable.clone(), value.expose().to_owned()));
    }
    cx.keep_secret(&job.folder(), values.iter().map(|(_, value)| value.clone()));
    Ok(values)
}

/// Why the output of a job that runs already must not be shown: it was started with secrets that this driver does not know for
/// certain. Nothing when all of them are masked.
pub(super) async fn unknown(
    cx: &Cx,
    step: &Deploy,
    job: &JobSpec,
    kept: &ScriptNotes,
) -> Option<String> {
    if cx.keeps_secret(&job.folder()) {
        return None;
    }
    let launch = kept.launched_at.filter(|_| kept.launched == job.attempt);
    let since = launch.unwrap_or(cx.run().created);
    let mut why = Vec::new();
    for (variable, name) in named(step) {
        if secret::is_command(name) {
            why.push(format!(
                "`{variable}`: {} may print another value each time",
                secret::shown(name)
            ));
            continue;
        }
        match secret::resolve(name).await {
            Ok(value) => {
                cx.keep_secret(name, [value.expose().to_owned()]);
                if name
                    .strip_prefix("file:")
                    .is_some_and(|path| has_changed(path, since))
                {
                    why.push(format!(
                        "`{variable}`: {name} was changed after the script was started"
                    ));
                }
            }
            Err(e) => why.push(format!("`{variable}`: {e}")),
        }
    }
    if why.is_empty() {
        return None;
    }
    Some(format!(
        "the script was started with secrets that are not known here, so they could not be masked ({})",
        why.join("; ")
    ))
}

/// Whether a file was written, replaced or renamed after a moment. One that cannot be looked at may have been.
fn has_changed(path: &str, since: Timestamp) -> bool {
    std::fs::metadata(path).map_or(true, |meta| {
        let ms = |seconds: i64, nanos: i64| {
            seconds
                .saturating_mul(1000)
                .saturating_add(nanos / 1_000_000)
        };
        let written = ms(meta.mtime(), meta.mtime_nsec());
        written.max(ms(meta.ctime(), meta.ctime_nsec())) > since.0
    })
}
