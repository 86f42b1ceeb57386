//! What the nearest `flow.toml` says to `flow lint`: `[lint]`, and in `[app]` where the migrations and their schema are. The rest
//! of the file is not read, and no other file: the check also works where no release is set up.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::migration::Settings;

/// The part of `flow.toml` that is read: `[lint]` and three keys of `[app]`. Other tables are not looked at.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct File {
    /// How the team weighs the rules.
    #[serde(default)]
    pub lint: Settings,
    #[serde(default)]
    app: Option<App>,
    /// Where it lies; nothing without a file.
    #[serde(skip)]
    path: Option<PathBuf>,
}

/// Why `flow.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("[lint] and [app] of {} cannot be used", path.display())]
    Unreadable {
        /// The file, as it was found or named.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// It does not say what it should.
    #[error("[lint] and [app] of {} cannot be used", path.display())]
    Wrong {
        /// The file, as it was found or named.
        path: PathBuf,
        /// With the line, and what was expected there.
        source: Box<toml::de::Error>,
    },
    /// No folder of migrations was named, neither by the caller nor by the file.
    #[error("no folder of migrations is named, and {}", match .0 {
        Some(path) => format!("{} has no `migrations` in [app]", path.display()),
        None => "there is no flow.toml that names one".to_owned(),
    })]
    NoMigrations(Option<PathBuf>),
}

/// What the check needs to know about the application.
#[derive(Debug, Clone, Deserialize)]
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
    /// Reads the file. What it says about anything but the check is not judged here.
    pub fn read(path: PathBuf) -> Result<File, FileError> {
        match std::fs::read_to_string(&path) {
            Err(source) => Err(FileError::Unreadable { path, source }),
            Ok(text) => match toml::from_str::<File>(&text) {
                Err(source) => Err(FileError::Wrong {
                    path,
                    source: Box::new(source),
                }),
                Ok(file) => Ok(File {
                    path: Some(path),
                    ..file
                }),
            },
        }
    }

    fn repository(&self, app: &App) -> PathBuf {
        let dir = self.path.as_deref().and_then(Path::parent);
        dir.unwrap_or(Path::new("")).join(&app.repository)
    }

    /// The configured folder of migrations.
    pub fn migrations(&self) -> Result<PathBuf, FileError> {
        let app = self.app.as_ref();
        let folder = app.and_then(|app| Some(self.repository(app).join(app.migrations.as_ref()?)));
        folder.ok_or_else(|| FileError::NoMigrations(self.path.clone()))
    }

    /// The repository and the place of the schema inside it, for the configured folder of migrations; no other is meant.
    pub fn schema_of(&self, folder: &Path) -> Option<(PathBuf, Option<&str>)> {
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
