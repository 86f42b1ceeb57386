//! Secrets by name. Only the name is ever stored; the value is looked up when it is used.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use crate::means::host::Secret;

mod command;

pub use command::SecretCommand;

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
    /// A name that says none of them.
    #[error(
        "a secret is named `env:NAME`, `file:/path` or `command:PROGRAM ARGUMENTS`, not with its value"
    )]
    Name,
    /// Words that are no program with its arguments.
    #[error(
        "what stands behind `command:` {0}; write `command:PROGRAM ARGUMENTS`, or a list: `command:[\"op\", \"read\", \"op://a b/c\"]`"
    )]
    Words(String),
    /// A program that gave no secret.
    #[error("`{program}` gave no secret: {why}")]
    Command {
        /// The program, without its arguments.
        program: String,
        /// Why it gave none, in words that hold nothing the program said.
        why: String,
    },
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

/// Secrets in environment variables (`env:NAME`), in files that only their owner may read (`file:/path`), and those that a
/// program prints (`command:op read op://vault/item`).
#[derive(Debug, Clone, Copy, Default)]
pub struct ByName;

/// The longest secret, in bytes.
const LONGEST: usize = 1024;

/// Whether a text names a secret rather than being a value.
pub fn is_name(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:") || is_command(text)
}

/// Whether a text names a secret that a program prints. It may be another each time.
pub fn is_command(text: &str) -> bool {
    text.starts_with("command:")
}

/// A secret's name as people read it: of a program, its arguments are left out.
pub fn shown(name: &str) -> String {
    let command = name.strip_prefix("command:").map(SecretCommand::parse);
    match command {
        Some(Ok(command)) => format!("command:{} …", command.program()),
        _ => name.to_owned(),
    }
}

/// The value of a named secret, for a step: a program that prints it keeps no other step waiting.
///
/// # Errors
/// [`SecretError`].
pub async fn resolve(name: &str) -> Result<Secret, SecretError> {
    if !is_command(name) {
        return ByName.resolve(name);
    }
    let owned = name.to_owned();
    let value = tokio::task::spawn_blocking(move || ByName.resolve(&owned)).await;
    value.unwrap_or_else(|e| {
        Err(SecretError::Command {
            program: shown(name),
            why: e.to_string(),
        })
    })
}

impl Secrets for ByName {
    fn resolve(&self, name: &str) -> Result<Secret, SecretError> {
        let shape = || SecretError::Shape(shown(name));
        let value = match name.split_once(':') {
            Some(("env", variable)) => {
                std::env::var(variable).map_err(|_| SecretError::NoVariable(variable.to_owned()))?
            }
            Some(("file", path)) => read(path)?,
            Some(("command", words)) => {
                let printed = SecretCommand::parse(words)?.output(command::PATIENCE)?;
                String::from_utf8(printed).map_err(|_| shape())?
            }
            _ => return Err(SecretError::Name),
        };
        let value = value.trim_end_matches(['\r', '\n']);
        if value.is_empty() || value.len() > LONGEST || value.contains(char::is_control) {
            return Err(shape());
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
            ByName.resolve(&name),
            Err(SecretError::Open { mode: 0o640, .. })
        ));
        mode(0o600);
        let secret = ByName.resolve(&name).expect("resolves");
        assert_eq!(secret.0, "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn a_value_given_as_a_name_is_refused_without_repeating_it() {
        let error = ByName.resolve("hunter2").expect_err("refused").to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(matches!(
            ByName.resolve("env:FLOW_NO_SUCH_VARIABLE"),
            Err(SecretError::NoVariable(_))
        ));
        assert!(matches!(
            ByName.resolve("file:/nonexistent"),
            Err(SecretError::File { .. })
        ));
    }
}
