//! How the team is told, and what.

use std::path::PathBuf;

use serde::Deserialize;

/// Mail to the team.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The mail server.
    pub host: String,
    /// Its port; 587 by default.
    #[serde(default = "submission")]
    pub port: u16,
    /// `starttls`, `implicit`, or `none` (loopback only).
    #[serde(default = "starttls")]
    pub tls: String,
    /// The name to log in with; nothing for a server that wants none.
    #[serde(default)]
    pub user: Option<String>,
    /// Where the password is: `env:NAME`, `file:path` or `command:PROGRAM ARGUMENTS`.
    #[serde(default)]
    pub password: Option<String>,
    /// The address that mails come from.
    pub from: String,
    /// The addresses of the team; each is delivered to on its own.
    pub to: Vec<String>,
    /// A certificate authority file, when the server's is not a public one.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

fn submission() -> u16 {
    587
}

fn starttls() -> String {
    "starttls".into()
}

/// What the team is told about the deployment window.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Window {
    /// When, in words.
    pub when: String,
    /// How long the application is read-only, in words.
    pub downtime: String,
    /// Who decides about a rollback.
    pub contact: String,
    /// How long production may stay read-only while nobody drives the release, in seconds: then a timer on its host lets
    /// writers in again. 10 minutes by default; 5 seconds to a day.
    pub unattended_seconds: u64,
}

impl Default for Window {
    fn default() -> Self {
        Window {
            when: String::new(),
            downtime: String::new(),
            contact: String::new(),
            unattended_seconds: 600,
        }
    }
}

impl Window {
    /// The first thing about it that is well-formed but cannot be meant.
    pub(super) fn problem(&self) -> Option<String> {
        let meant = (5..=86_400).contains(&self.unattended_seconds);
        (!meant).then(|| {
            format!(
                "`window.unattended_seconds` must be between 5 and 86400, not {}",
                self.unattended_seconds
            )
        })
    }
}
