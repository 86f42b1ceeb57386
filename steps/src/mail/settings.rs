//! Where mail goes, and how: `[mail]` in the configuration.

use std::net::IpAddr;
use std::path::PathBuf;

use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

/// A team, not a mailing list.
pub(super) const TO_MAX: usize = 50;

/// Where mail goes, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    /// The mail server. Its certificate must be for this name.
    pub host: String,
    /// The server's port, such as 587.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// The name to log in with; nothing for a server that wants none.
    pub user: Option<String>,
    /// The name of the secret that is the password.
    pub password: Option<String>,
    /// The sender: `name@host` or `Name <name@host>`.
    pub from: String,
    /// The addresses of the team; each is delivered to on its own.
    pub to: Vec<String>,
    /// The certificate authority (PEM) of a server whose own is not a public one.
    pub ca_file: Option<PathBuf>,
}

/// How the connection to the mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// Plain until STARTTLS, which must succeed; usually port 587.
    Starttls,
    /// From the first byte; usually port 465.
    Implicit,
    /// Not at all. Only to this machine, and without a password.
    None,
}

/// What is wrong with the settings. Correct `[mail]` in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Something that is no plain mail address.
    #[error("`{0}` is no mail address")]
    Address(String),
    /// Nobody, or too many.
    #[error("mail goes to nobody, or to more than {TO_MAX} addresses")]
    Recipients,
    /// Plain text over a network.
    #[error("mail without encryption is only for a server on this machine, and {0} is not")]
    NotLoopback(String),
    /// A password in plain text.
    #[error(
        "a password goes over an encrypted connection only; set tls to `starttls` or `implicit`"
    )]
    PlainPassword,
    /// Half a login.
    #[error("user and password are given together or not at all")]
    HalfALogin,
    /// The certificate authority.
    #[error("the certificate file {path} cannot be used: {why}")]
    Ca {
        /// The certificate authority file.
        path: String,
        /// Why it cannot be used.
        why: String,
    },
}

/// An address that can neither hold a line break nor anything else but an address.
pub(super) fn address(text: &str) -> Result<Mailbox, SettingsError> {
    let shown = || text.chars().filter(|c| !c.is_control()).take(80).collect();
    let plain = !text.contains(char::is_control) && text.len() <= 320;
    let parsed = text
        .parse::<Mailbox>()
        .ok()
        .filter(|m| plain && m.email.to_string().is_ascii());
    parsed.ok_or_else(|| SettingsError::Address(shown()))
}

pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
