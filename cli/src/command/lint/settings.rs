//! What the nearest `flow.toml` says to `flow lint`: `[lint]`, and in `[app]` where the migrations and their schema are. The rest
//! of the file is not read, and no other file: the check also works where no release is set up.

use std::path::{Path, PathBuf};

use flow_lint::migration::Settings;
use serde::Deserialize;

use crate::diagnostic::Diagnostic;
use crate::session::Session;

/// The part of the file that is read.
#[derive(Default, Deserialize)]
pub(super) struct File {
    #[serde(default)]
    pub(super) lint: Settings,
    #[serde(default)]
    app: Option<App>,
    /// Where it lies; nothing without a file.
    #[serde(skip)]
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct App {
    #[serde(default = "here")]
    repository: PathBuf,
    migrations: Option<String>,
    schema: Option<String>,
}

fn here() -> PathBuf {
    ".".into()
}

impl File {
    fn repository(&self, app: &App) -> PathBuf {
        let dir = self.path.as_deref().and_then(Path::parent);
        dir.unwrap_or(Path::new("")).join(&app.repository)
    }

    /// The configured folder of migrations.
    pub(super) fn migrations(&self) -> Result<PathBuf, Diagnostic> {
        let Some(path) = &self.path else {
            return Err(Diagnostic::usage(
                "no folder of migrations is named, and there is no flow.toml that names one",
            )
            .hint("flow lint prisma/migrations"));
        };
        let app = self.app.as_ref();
        let folder = app.and_then(|app| Some(self.repository(app).join(app.migrations.as_ref()?)));
        folder.ok_or_else(|| {
            Diagnostic::usage(format!(
                "no folder of migrations is named, and {} has no `migrations` in [app]",
                path.display()
            ))
            .hint("flow lint prisma/migrations")
        })
    }

    /// The repository and the place of the schema inside it, for the configured folder of migrations; no other is meant.
    pub(super) fn schema_of(&self, folder: &Path) -> Option<(PathBuf, Option<&str>)> {
        let app = self.app.as_ref()?;
        let repository = self.repository(app);
        let own = repository
            .join(app.migrations.as_ref()?)
            .canonicalize()
            .ok()?;
        let same = folder.canonicalize().is_ok_and(|folder| folder == own);
        same.then_some((repository, app.schema.as_deref()))
    }
}

/// Without a file the defaults; a file that cannot be read or does not say what it should is refused.
pub(super) fn read(session: &Session) -> Result<File, Diagnostic> {
    let path = match session.config_path() {
        Ok(path) => path,
        Err(_) if session.named_config().is_none() => return Ok(File::default()),
        Err(error) => return Err(error.into()),
    };
    let failed = |error: &dyn std::error::Error| {
        let what = format!("[lint] and [app] of {} cannot be used", path.display());
        Diagnostic::usage(what).because(error)
    };
    let text = std::fs::read_to_string(&path).map_err(|e| failed(&e))?;
    let file: File = toml::from_str(&text).map_err(|e| failed(&e))?;
    Ok(File {
        path: Some(path),
        ..file
    })
}
