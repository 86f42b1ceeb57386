//! Secrets by name. Only the name is ever stored; the value is looked up when it is used.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use crate::host::Secret;

/// Finds the value of a named secret.
pub trait Secrets: Send + Sync + 'static {
    /// The value. Looked up anew each time, so that a changed file counts.
    ///
    /// # Errors
    /// [`SecretError`], which never holds the value.
    fn resolve(&self, name: &str) -> Result<Secret, SecretError>;
}

/// Why a secret has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// A name that says neither.
    #[error("a secret is named `env:NAME` or `file:/path`, not with its value")]
    Name,
    /// No such variable.
    #[error("the environment has no variable `{0}`")]
    NoVariable(String),
    /// No such file, or not readable.
    #[error("the secret file {path} cannot be read: {why}")]
    File {
        /// The file that was to hold the secret.
        path: String,
        /// Why it could not be read, in the system's words.
        why: String,
    },
    /// A file others may read.
    #[error("the secret file {path} may be read by others (mode {mode:03o}); `chmod 600 {path}`")]
    Open {
        /// The file that was to hold the secret.
        path: String,
        /// Its permissions, as `chmod` takes them; others may read it.
        mode: u32,
    },
    /// Nothing, or a key file by mistake.
    #[error("the secret `{0}` is empty, longer than 1024 bytes, or not one line of text")]
    Shape(String),
}

/// Secrets in environment variables (`env:NAME`) and in files that only their owner may read (`file:/path`).
#[derive(Debug, Clone, Copy, Default)]
pub struct EnvOrFile;

const LONGEST: usize = 1024;

/// Whether a text names a secret rather than being a value.
pub fn is_name(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

impl Secrets for EnvOrFile {
    fn resolve(&self, name: &str) -> Result<Secret, SecretError> {
        let value = match name.split_once(':') {
            Some(("env", variable)) => {
                std::env::var(variable).map_err(|_| SecretError::NoVariable(variable.to_owned()))?
            }
            Some(("file", path)) => read(path)?,
            _ => return Err(SecretError::Name),
        };
        let value = value.trim_end_matches(['\r', '\n']);
        if value.is_empty() || value.len() > LONGEST || value.contains(char::is_control) {
            return Err(SecretError::Shape(name.to_owned()));
        }
        Ok(Secret(value.to_owned()))
    }
}

fn read(path: &str) -> Result<String, SecretError> {
    let refused = |e: std::io::Error| SecretError::File {
        path: path.to_owned(),
        why: e.to_string(),
    };
    let file = std::fs::File::open(path).map_err(refused)?;
    let mode = file.metadata().map_err(refused)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = String::new();
    let bound = LONGEST as u64 + 2;
    file.take(bound)
        .read_to_string(&mut text)
        .map_err(refused)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_file_counts_only_when_nobody_else_may_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        std::fs::write(&path, "hunter2\n").expect("written");
        let mode = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        };
        let name = format!("file:{}", path.display());
        mode(0o640);
        assert!(matches!(
            EnvOrFile.resolve(&name),
            Err(SecretError::Open { mode: 0o640, .. })
        ));
        mode(0o600);
        let secret = EnvOrFile.resolve(&name).expect("resolves");
        assert_eq!(secret.0, "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn a_value_given_as_a_name_is_refused_without_repeating_it() {
        let error = EnvOrFile
            .resolve("hunter2")
            .expect_err("refused")
            .to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(matches!(
            EnvOrFile.resolve("env:FLOW_NO_SUCH_VARIABLE"),
            Err(SecretError::NoVariable(_))
        ));
        assert!(matches!(
            EnvOrFile.resolve("file:/nonexistent"),
            Err(SecretError::File { .. })
        ));
    }
}
