//! How `flow.toml` is laid out: a small core, and one section for each workflow.
//!
//! ```toml
//! [env.prod]          # the core: env, path, ssh, mail, people
//! ssh = "prod.example"
//!
//! [release.app]       # one section: whatever the workflow `release` asks
//! name = "shop"
//! ```
//!
//! The older layout, in which the tables of `release` stand on the top level, is read too: a run that an older `flow`
//! parked is resumed without editing the file. Both at once are refused.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};

use super::read::{invalid_at, place, read_text};
use super::{ConfigError, Core, Environment, HostAt};

/// The keys of the core.
pub const CORE: [&str; 5] = ["env", "path", "ssh", "mail", "people"];
/// The section of `release` and `promote`.
pub const RELEASE: &str = "release";
/// The keys of that section, which in the older layout stand on the top level.
pub const RELEASE_KEYS: [&str; 7] = ["app", "gates", "watch", "signoff", "window", "lint", "data"];

/// The least likeness, from 0 to 1, at which a name is taken for a misspelt one.
const LIKENESS_MIN: f64 = 0.7;

/// The text of a `flow.toml`, read once. What it says is looked up part by part.
#[derive(Debug, Clone)]
pub struct Layout {
    text: String,
    file: String,
}

/// The parts of the file.
struct Parts<'t> {
    core: DeTable<'t>,
    sections: BTreeMap<String, (Range<usize>, Spanned<DeValue<'t>>)>,
}

impl Layout {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`]; [`ConfigError::Invalid`] for what is not TOML or has both layouts at once.
    pub fn read(path: &Path) -> Result<Layout, ConfigError> {
        Layout::of_text(read_text(path)?, path)
    }

    /// Takes the text that stands in a file, or is meant to.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], as [`Layout::read`].
    pub(crate) fn of_text(text: String, path: &Path) -> Result<Layout, ConfigError> {
        let layout = Layout {
            text,
            file: path.display().to_string(),
        };
        layout.parts()?;
        Ok(layout)
    }

    /// Refuses a section that none of these workflows reads: a misspelt gate must not be one that silently does not exist.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], with line, column and what may be meant.
    pub fn refuse_others(&self, sections: &[&str]) -> Result<(), ConfigError> {
        let parts = self.parts()?;
        let mut found = parts.sections.iter();
        let Some((name, (at, _))) = found.find(|(name, _)| !sections.contains(&name.as_str()))
        else {
            return Ok(());
        };
        let known = || CORE.iter().chain(sections).copied();
        let likely = closest(name, known().chain(RELEASE_KEYS));
        let meant = match likely {
            Some(key) if RELEASE_KEYS.contains(&key) => {
                format!("did you mean `[{RELEASE}.{key}]`?")
            }
            Some(key) => format!("did you mean `{key}`?"),
            None => format!("there are: {}", known().collect::<Vec<_>>().join(", ")),
        };
        let why = format!(
            "`{}` is no key of the core and the section of no workflow of this program; {meant}",
            name.escape_debug()
        );
        Err(self.invalid(at.start, why))
    }

    /// Whether a section is there. That of `release` also is in the older layout.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn has(&self, section: &str) -> Result<bool, ConfigError> {
        Ok(self.parts()?.sections.contains_key(section))
    }

    /// The file, as it was named.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What does not belong to one workflow. Of the environments only how they are reached is read, where that is all that
    /// is said of one; more is judged as `release` would.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], with line and column.
    pub fn core(&self) -> Result<Core, ConfigError> {
        let core: Core = self.parse(table(self.parts()?.core))?;
        if core.env.values().any(HostAt::says_more) {
            let mut parts = self.parts()?;
            let environments = parts.core.remove("env");
            let _: Option<BTreeMap<String, Environment>> =
                environments.map(|env| self.parse(env)).transpose()?;
        }
        let dir = Path::new(&self.file).parent();
        Ok(Core {
            dir: dir.map(Path::to_owned).unwrap_or_default(),
            ..core
        })
    }

    /// Everything that `release` is told, as one table: the core, and its own section. A `T` that knows only some of the keys
    /// reads those.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], with line and column.
    pub fn release<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let Parts {
            mut core,
            mut sections,
        } = self.parts()?;
        let Some((at, section)) = sections.remove(RELEASE) else {
            return self.section(RELEASE);
        };
        let DeValue::Table(section) = section.into_inner() else {
            return Err(self.invalid(at.start, format!("`{RELEASE}` must be a section")));
        };
        for (key, value) in section {
            let name: &str = key.get_ref();
            if CORE.contains(&name) {
                let why = format!(
                    "`{name}` belongs to no workflow: write it on the top level, not in [{RELEASE}]"
                );
                return Err(self.invalid(key.span().start, why));
            }
            core.insert(key, value);
        }
        self.parse(table(core))
    }

    /// A workflow's own section. One that is not there is read as if it were empty.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`], with line and column of what is wrong, or naming the section that lacks something.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T, ConfigError> {
        match self.parts()?.sections.remove(name) {
            Some((_, section)) => self.parse(section),
            None => T::deserialize(ValueDeserializer::from(table(DeTable::new()))).map_err(|e| {
                ConfigError::Invalid {
                    path: self.file.clone(),
                    place: String::new(),
                    why: format!("there is no section [{name}]: {}", e.message()),
                }
            }),
        }
    }

    fn parse<T: DeserializeOwned>(&self, value: Spanned<DeValue<'_>>) -> Result<T, ConfigError> {
        T::deserialize(ValueDeserializer::from(value))
            .map_err(|e| invalid_at(&self.text, &self.file, &e))
    }

    fn parts(&self) -> Result<Parts<'_>, ConfigError> {
        let whole = DeTable::parse(&self.text);
        let whole = whole.map_err(|e| invalid_at(&self.text, &self.file, &e))?;
        let mut core = DeTable::new();
        let mut older = DeTable::new();
        let mut sections = BTreeMap::new();
        for (key, value) in whole.into_inner() {
            let name: &str = key.get_ref();
            if CORE.contains(&name) {
                core.insert(key, value);
            } else if RELEASE_KEYS.contains(&name) {
                older.insert(key, value);
            } else {
                sections.insert(name.to_owned(), (key.span(), value));
            }
        }
        let Some((key, value)) = older.iter().next() else {
            return Ok(Parts { core, sections });
        };
        if sections.contains_key(RELEASE) {
            return Err(self.both(key, value));
        }
        let at = key.span();
        let older = Spanned::new(at.clone(), DeValue::Table(older));
        sections.insert(RELEASE.to_owned(), (at, older));
        Ok(Parts { core, sections })
    }

    /// Two layouts: which of them counts cannot be known.
    fn both(&self, key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) -> ConfigError {
        let name: &str = key.get_ref();
        let why = if matches!(value.get_ref(), DeValue::Table(_)) {
            format!(
                "[{name}] stands on the top level, and there is a [{RELEASE}]: write [{RELEASE}.{name}]"
            )
        } else {
            format!(
                "`{name}` stands on the top level, and there is a [{RELEASE}]: write it in [{RELEASE}]"
            )
        };
        self.invalid(key.span().start, why)
    }

    fn invalid(&self, at: usize, why: String) -> ConfigError {
        ConfigError::Invalid {
            path: self.file.clone(),
            place: place(&self.text, at),
            why,
        }
    }
}

fn table(entries: DeTable<'_>) -> Spanned<DeValue<'_>> {
    Spanned::new(0..0, DeValue::Table(entries))
}

/// The name that may be meant by a misspelt one.
pub fn closest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let likeness = |known: &str| strsim::jaro(name, known);
    known
        .map(|known| (likeness(known), known))
        .filter(|(likeness, _)| *likeness > LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests;
