//! Mail to the team. A notice, never the gate: nothing waits for it, and what could not be delivered is recorded.
//!
//! `flow` speaks SMTP submission (RFC 6409) with a mail server; the connection is encrypted (RFC 3207 or 8314) except to
//! this very machine, and a password goes over an encrypted connection only.

mod answer;
mod notify;
mod reached;
mod render;
mod settings;
mod smtp;
mod team;

pub use notify::{Notify, Told};
pub use reached::holders;
pub use render::{Mail, render};

pub use settings::{MailSettings, SettingsError, Tls};
pub use smtp::Mailer;
pub use team::TeamMail;

#[cfg(test)]
mod exim;
#[cfg(test)]
mod tests;
