//! What the nearest `flow.toml` says to `flow lint`: `[release.lint]`, and in `[release.app]` where the migrations and their schema
//! are; in an older file `[lint]` and `[app]`. The rest of the file is not read, and no other file: the check also works where no
//! release is set up.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::migration::Settings;

/// The part of `flow.toml` that is read: the table `lint` and three keys of the table `app`. Other tables are not looked at.
#[derive(Debug, Clone, Default)]
pub struct File {
    /// How the team weighs the rules.
    pub lint: Settings,
    app: Option<App>,
    /// Where it lies; nothing without a file.
    path: Option<PathBuf>,
}

/// The file as it is written: the tables stand under `release`, or in an older file on the top level.
#[derive(Deserialize)]
struct Sections {
    lint: Option<Settings>,
    app: Option<App>,
    release: Option<Section>,
}

#[derive(Deserialize)]
struct Section {
    lint: Option<Settings>,
    app: Option<App>,
}

impl Sections {
    /// The tables, wherever they stand; nothing where they stand in both places.
    fn tables(self) -> Option<(Option<Settings>, Option<App>)> {
        match self.release {
            None => Some((self.lint, self.app)),
            Some(section) if self.lint.is_none() && self.app.is_none() => {
                Some((section.lint, section.app))
            }
            Some(_) => None,
        }
    }
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
    /// Which of two layouts counts cannot be known.
    #[error(
        "{} has [lint] or [app] on the top level and a [release], too: write [release.lint] and [release.app]",
        path.display()
    )]
    BothLayouts {
        /// The file, as it was found or named.
        path: PathBuf,
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
            Ok(text) => match toml::from_str::<Sections>(&text).map(Sections::tables) {
                Err(source) => Err(FileError::Wrong {
                    path,
                    source: Box::new(source),
                }),
                Ok(None) => Err(FileError::BothLayouts { path }),
                Ok(Some((lint, app))) => Ok(File {
                    lint: lint.unwrap_or_default(),
                    app,
                    path: Some(path),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_say_the_same_and_are_refused_together() {
        let dir = tempfile::tempdir().expect("a folder");
        let read = |text: &str| {
            let path = dir.path().join("flow.toml");
            std::fs::write(&path, text).expect("writes");
            File::read(path)
        };
        let older = "[app]\nmigrations = \"m\"\n[lint.level]\ndrop-table = \"note\"\n";
        let newer =
            "[release.app]\nmigrations = \"m\"\n[release.lint.level]\ndrop-table = \"note\"\n";
        let said = [older, newer].map(|text| {
            let file = read(text).expect("is read");
            (
                file.migrations().expect("a folder"),
                format!("{:?}", file.lint),
            )
        });
        assert_eq!(said[0], said[1]);
        assert_ne!(said[0].1, format!("{:?}", Settings::default()));
        let both = read(&format!("{older}[release.gates]\nfree_mib = 1\n"));
        let why = both.expect_err("is refused").to_string();
        assert!(
            why.contains("write [release.lint] and [release.app]"),
            "{why}"
        );
        let none = read("[env.prod]\nssh = \"x\"\n").expect("is read");
        assert!(none.migrations().is_err());
    }
}
