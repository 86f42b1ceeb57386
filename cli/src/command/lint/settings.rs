//! `[lint]` of the nearest `flow.toml`. The rest of the file is not read: the check also works where no release is set up.

use flow_steps::migration::Settings;
use serde::Deserialize;

use crate::args::Global;
use crate::diagnostic::Diagnostic;
use crate::state::config_path;

#[derive(Deserialize)]
struct Only {
    #[serde(default)]
    lint: Settings,
}

/// Without a file the defaults; a file that cannot be read or does not say what it should is refused.
pub(super) fn read(global: &Global) -> Result<Settings, Diagnostic> {
    let path = match config_path(global) {
        Ok(path) => path,
        Err(_) if global.config.is_none() => return Ok(Settings::default()),
        Err(error) => return Err(error.into()),
    };
    let failed = |error: &dyn std::error::Error| {
        Diagnostic::usage(format!("[lint] of {} cannot be used", path.display())).because(error)
    };
    let text = std::fs::read_to_string(&path).map_err(|e| failed(&e))?;
    let only: Only = toml::from_str(&text).map_err(|e| failed(&e))?;
    Ok(only.lint)
}
