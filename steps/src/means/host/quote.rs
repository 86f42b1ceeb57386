//! One line of POSIX shell for a [`Command`]: ssh's exec request takes a line, not a list of arguments.
//!
//! The line is read by the login shell of the remote user, which may be `dash` or `bash`. Everything is in single
//! quotes, in which a POSIX shell leaves every byte but NUL as it is, line breaks included.

use super::Command;

/// The longest line that is sent. An SSH packet holds about 35,000 bytes and Linux allows 131,072 in one argument;
/// what is longer belongs on standard input.
pub const LINE_MAX: usize = 32_000;

/// Why a command cannot be written as a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// No shell can pass a NUL byte on.
    #[error("{0} contains a NUL byte")]
    Nul(&'static str),
    /// The shell or `env` would read it as something other than a program.
    #[error("`{0}` is not a program name: it is empty, starts with `-` or contains `=`")]
    Program(String),
    /// Not a name a shell can export.
    #[error("`{0}` is not a variable name")]
    Name(String),
    /// Secret variables travel as lines.
    #[error("the secret value of `{0}` contains a line break")]
    SecretBreak(String),
    /// Longer than [`LINE_MAX`] bytes once it is quoted.
    #[error(
        "the command line has {0} bytes, more than {LINE_MAX}; send the long part on standard input"
    )]
    TooLong(usize),
}

/// A command as the remote login shell gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The text of the exec request. Holds no secret.
    pub text: String,
    /// What goes to standard input before anything else: one line for each secret variable.
    pub prelude: Vec<u8>,
}

/// Quotes one word so that a POSIX shell takes it as it is.
///
/// Fails on a NUL byte.
pub fn word(text: &str) -> Result<String, QuoteError> {
    if text.contains('\0') {
        return Err(QuoteError::Nul("an argument"));
    }
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

/// The whole command as one line, and what must precede its standard input.
///
/// Secret variables are read by a small `sh` with `read -r`, which takes single bytes from a pipe and so leaves the
/// rest of standard input to the program that replaces it.
pub fn line(command: &Command) -> Result<Line, QuoteError> {
    check(command)?;
    let mut text = String::new();
    if let Some(dir) = &command.cwd {
        let dir = if dir.starts_with('-') {
            format!("./{dir}")
        } else {
            dir.clone()
        };
        // `CDPATH` of the remote user would send a relative folder elsewhere and print it.
        text = format!("CDPATH= cd -- {} && ", word(&dir)?);
    }
    text.push_str("exec ");
    let mut prelude = Vec::new();
    if !command.secret_env.is_empty() {
        let mut read = String::new();
        for (name, value) in &command.secret_env {
            read.push_str(&["IFS= read -r ", name, " && export ", name, " && "].concat());
            prelude.extend_from_slice(value.0.as_bytes());
            prelude.push(b'\n');
        }
        read.push_str("exec \"$@\"");
        text.push_str(&["sh -c ", &word(&read)?, " sh "].concat());
    }
    if !command.env.is_empty() {
        text.push_str("env ");
        for (name, value) in &command.env {
            text.push_str(&word(&format!("{name}={value}"))?);
            text.push(' ');
        }
    }
    text.push_str(&word(&command.program)?);
    for arg in &command.args {
        text.push(' ');
        text.push_str(&word(arg)?);
    }
    if text.len() > LINE_MAX {
        return Err(QuoteError::TooLong(text.len()));
    }
    Ok(Line { text, prelude })
}

/// The rules that hold on every transport, so that what works locally works over ssh.
pub(crate) fn check(command: &Command) -> Result<(), QuoteError> {
    let program = &command.program;
    if program.is_empty() || program.starts_with('-') || program.contains(['=', '\0']) {
        return Err(QuoteError::Program(program.replace('\0', "?")));
    }
    if command.args.iter().any(|arg| arg.contains('\0')) {
        return Err(QuoteError::Nul("an argument"));
    }
    if command.cwd.as_ref().is_some_and(|dir| dir.contains('\0')) {
        return Err(QuoteError::Nul("the folder"));
    }
    let secrets = command
        .secret_env
        .iter()
        .map(|(name, value)| (name, &value.0));
    for (name, value) in command
        .env
        .iter()
        .map(|(name, value)| (name, value))
        .chain(secrets)
    {
        if !is_name(name) {
            return Err(QuoteError::Name(name.clone()));
        }
        if value.contains('\0') {
            return Err(QuoteError::Nul("the value of a variable"));
        }
    }
    match command
        .secret_env
        .iter()
        .find(|(_, value)| value.0.contains(['\n', '\r']))
    {
        Some((name, _)) => Err(QuoteError::SecretBreak(name.clone())),
        None => Ok(()),
    }
}

fn is_name(name: &str) -> bool {
    name.bytes()
        .enumerate()
        .all(|(i, b)| b == b'_' || b.is_ascii_alphabetic() || (i > 0 && b.is_ascii_digit()))
        && !name.is_empty()
}

#[cfg(test)]
mod tests;
