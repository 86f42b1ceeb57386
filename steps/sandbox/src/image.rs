//! The database container's image: this machine's own `PostgreSQL`, packed once and kept in the cache.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::{Doing, SandboxError};
use crate::files::{folder, lock};
use crate::process::run_within;
use crate::tools::Tools;

const SCRIPT: &str = include_str!("../files/image.sh");
const START: &str = include_str!("../files/postgres.sh");

/// Packing takes two seconds, a few times that on a busy machine; another process's packing is waited for as long.
const LIMIT: Duration = Duration::from_mins(2);

/// The tar for `docker import`; made when it is missing or when `PostgreSQL` here is another since.
pub(crate) fn ready(
    cache: &Path,
    tools: &Tools,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, SandboxError> {
    folder(cache, 0o755)?;
    let _held = lock(&cache.join("image.lock"), LIMIT)?
        .ok_or_else(|| SandboxError::Busy(cache.to_owned()))?;
    let server = tools.postgres.join("postgres");
    let about = fs::metadata(&server).doing(|| format!("cannot read {}", server.display()))?;
    let mut hasher = DefaultHasher::new();
    (SCRIPT, START, &server, about.len(), about.mtime()).hash(&mut hasher);
    let tar = cache.join(format!("image-{:016x}.tar", hasher.finish()));
    if tar.is_file() {
        return Ok(tar);
    }
    progress("packing this machine's PostgreSQL for containers (once per machine)");
    let part = cache.join("image.part");
    let mut script = Command::new("bash");
    script
        .args(["-c", SCRIPT, "image.sh"])
        .arg(&tools.postgres)
        .arg(&part);
    run_within("packing PostgreSQL", &mut script, START.as_bytes(), LIMIT)?;
    fs::rename(&part, &tar).doing(|| format!("cannot rename {}", part.display()))?;
    Ok(tar)
}
