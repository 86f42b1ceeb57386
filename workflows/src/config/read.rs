//! Reading TOML files, with line and column of what is wrong.

use std::path::Path;

/// Why a configuration file cannot be used. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such file up to the root.
    #[error("there is no {name} in {from} or any folder above it")]
    Missing {
        /// The file's name.
        name: String,
        /// Where the search began.
        from: String,
    },
    /// A file that cannot be read, or is too large.
    #[error("{path} cannot be read: {why}")]
    Unreadable {
        /// The file, as it was named.
        path: String,
        /// The operating system's words.
        why: String,
    },
    /// Not TOML, or a key that is unknown or of another type.
    #[error("{path}{place}: {why}")]
    Invalid {
        /// The file, as it was named.
        path: String,
        /// `:line:column`, when known.
        place: String,
        /// What is wrong, naming the key.
        why: String,
    },
}

/// The largest configuration file, in bytes.
const SIZE_MAX: u64 = 1 << 20;

/// Reads a TOML file into `T`, naming line and column of what is wrong.
///
/// # Errors
/// [`ConfigError`].
pub fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    parse_toml(&read_text(path)?, &path.display().to_string())
}

/// Reads a file of at most [`SIZE_MAX`] bytes.
///
/// # Errors
/// [`ConfigError::Unreadable`].
pub(super) fn read_text(path: &Path) -> Result<String, ConfigError> {
    let shown = path.display().to_string();
    let unreadable = |why: String| ConfigError::Unreadable {
        path: shown.clone(),
        why,
    };
    let size = std::fs::metadata(path)
        .map_err(|e| unreadable(e.to_string()))?
        .len();
    if size > SIZE_MAX {
        return Err(unreadable(format!(
            "it has {size} bytes, more than {SIZE_MAX}"
        )));
    }
    std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))
}

/// Reads TOML text that stands in `shown`.
///
/// # Errors
/// [`ConfigError::Invalid`], with line and column.
pub(crate) fn parse_toml<T: serde::de::DeserializeOwned>(
    text: &str,
    shown: &str,
) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|e| invalid_at(text, shown, &e))
}

/// What is wrong with TOML text, and where.
pub(super) fn invalid_at(text: &str, shown: &str, error: &toml::de::Error) -> ConfigError {
    let span = error.span().filter(|span| *span != (0..0));
    ConfigError::Invalid {
        path: shown.to_owned(),
        place: span.map(|span| place(text, span.start)).unwrap_or_default(),
        why: error.message().replace('\n', " "),
    }
}

/// `:line:column` of a byte of the text, both counted from 1.
pub(super) fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!(":{line}:{column}")
}
