//! Where the code is type-checked: in one folder with a `package.json`, or in several.

use std::fmt;
use std::path::{Component, Path};

use flow_steps::schema::{CodeAt, CodeFolder};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::{App, Config, Place};

/// The most folders of one application.
const MOST: usize = 8;

/// Folders inside the repository: `code = "backend"`, or `code = ["backend", "frontend"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code(Vec<String>);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Code;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a folder inside the repository, or a list of them")
            }

            fn visit_str<E: Error>(self, folder: &str) -> Result<Code, E> {
                Ok(Code(vec![folder.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, all: A) -> Result<Code, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(all)).map(Code)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Code {
    fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|folder| trimmed(folder))
    }

    /// The first thing about it that is well-formed but cannot be meant. `has_modules` says whether one folder of installed
    /// packages is named for all.
    pub(super) fn problem(&self, has_modules: bool) -> Option<String> {
        let given: Vec<&str> = self.folders().collect();
        if given.is_empty() || given.len() > MOST {
            return Some(format!(
                "it must name 1 to {MOST} folders, not {}; leave it out for the one above the schema",
                given.len()
            ));
        }
        let inside = |folder: &&&str| {
            let mut parts = Path::new(folder).components();
            !parts.all(|part| matches!(part, Component::Normal(_)))
        };
        if let Some(odd) = given.iter().find(inside) {
            return Some(format!(
                "`{}` is no folder inside the repository: without `.` and `..`, and empty for its root",
                odd.escape_debug()
            ));
        }
        for (n, folder) in given.iter().enumerate() {
            let within = |other: &&&str| {
                Path::new(folder).starts_with(other) || Path::new(other).starts_with(folder)
            };
            if let Some(other) = given.iter().take(n).find(within) {
                return Some(format!(
                    "`{folder}` and `{other}` are one folder, or one lies in the other: what is there would be looked at twice"
                ));
            }
        }
        (has_modules && given.len() > 1).then(|| {
            "with several folders `node_modules` stands for none of them: take it out; each folder's own are used".into()
        })
    }
}

fn trimmed(folder: &str) -> &str {
    folder.trim_matches('/')
}

impl App {
    /// The folders of the code inside the repository, at least one; empty for its root.
    fn code_folders(&self) -> Vec<String> {
        if let Some(code) = &self.code {
            return code.folders().map(str::to_owned).collect();
        }
        let schema = self.schema_file();
        let holder = Path::new(&schema).parent().and_then(Path::parent);
        vec![holder.map_or_else(String::new, |path| path.to_string_lossy().into_owned())]
    }
}

impl Config {
    /// The code of a commit in a repository, and where production runs its own.
    pub(crate) fn code_at(&self, repository: &str, commit: &str, production: &Place) -> CodeAt {
        let app = &self.app;
        let given = app.node_modules.as_ref().map(|path| self.path(path));
        let mut folders = app.code_folders().into_iter().map(|folder| {
            let beside = Path::new(repository).join(&folder).join("node_modules");
            let modules = given.clone().unwrap_or(beside);
            CodeFolder {
                node_modules: modules.to_string_lossy().into_owned(),
                folder,
            }
        });
        let first = folders.next().unwrap_or_default();
        CodeAt {
            repo: repository.to_owned(),
            commit: commit.to_owned(),
            schema: app.schema_file(),
            folder: first.folder,
            node_modules: first.node_modules,
            further: folders.collect(),
            host: production.name.to_owned(),
            dir: production.env.app_dir.clone(),
        }
    }
}
