//! Asking an application whether it is well: a page, a port, a command.

use serde::{Deserialize, Serialize};

use crate::means::host::Hosts;
use ask::Answer;
use unwell::Unwell;

pub mod ask;
pub mod checks;
pub mod probe;
pub mod unwell;

/// A question to an application, and the answer that means it is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// An `http` or `https` address without a user name or password in it.
    pub url: String,
    /// The status that is wanted, usually 200.
    pub status: u16,
    /// What the body must say.
    pub body: Body,
    /// A PEM file of further certificate authorities, on the machine that asks.
    pub ca_file: Option<String>,
    /// Ask from this host, with its `curl`, instead of from here: for an address that only it can reach.
    pub via_host: Option<String>,
    /// The application's own host: asked, with its `curl`, before an address that does not answer here is believed to be
    /// down. Without it such an address is only out of reach.
    #[serde(default)]
    pub own_host: Option<String>,
    /// How long one answer may take, in seconds.
    pub timeout_seconds: u64,
}

/// What the body of an answer must say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// Any body is healthy; only the status is looked at.
    Any,
    /// This text, anywhere in it.
    Text(String),
    /// JSON with this value in this place.
    Json {
        /// A JSON pointer (RFC 6901), such as `/status`.
        pointer: String,
        /// The value that means healthy.
        value: serde_json::Value,
    },
}

impl Check {
    /// A status of 200 from this address, within ten seconds, whatever the body says.
    pub fn ok(url: impl Into<String>) -> Self {
        Check {
            url: url.into(),
            status: 200,
            body: Body::Any,
            ca_file: None,
            via_host: None,
            own_host: None,
            timeout_seconds: 10,
        }
    }

    /// Asks once.
    ///
    /// # Errors
    /// [`Unwell`], in one line what came instead of a healthy answer.
    pub async fn ask(&self, hosts: &Hosts) -> Result<Answer, Unwell> {
        let answer = ask::ask(self, hosts).await?;
        self.judge(&answer).map_err(Unwell::Sick)?;
        Ok(answer)
    }

    /// Whether an answer means healthy.
    fn judge(&self, answer: &Answer) -> Result<(), String> {
        let said = || answer.body.chars().take(200).collect::<String>();
        if answer.status != self.status {
            return Err(format!(
                "status {} instead of {}: {}",
                answer.status,
                self.status,
                said()
            ));
        }
        match &self.body {
            Body::Any => Ok(()),
            Body::Text(text) if answer.body.contains(text) => Ok(()),
            Body::Text(text) => Err(format!(
                "status {}, but no `{text}` in: {}",
                answer.status,
                said()
            )),
            Body::Json { pointer, value } => {
                let json: serde_json::Value = serde_json::from_str(&answer.body).map_err(|e| {
                    format!("status {}, but no JSON ({e}): {}", answer.status, said())
                })?;
                match json.pointer(pointer) {
                    Some(found) if found == value => Ok(()),
                    Some(found) => Err(format!("`{pointer}` is {found}, not {value}")),
                    None => Err(format!("no `{pointer}` in: {}", said())),
                }
            }
        }
    }
}

/// The answer that counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthy {
    /// The HTTP status of the answer; of several, of the first page. Nothing where no page was asked for.
    pub status: Option<u16>,
    /// The beginning of its body, at most 500 characters.
    pub body: String,
    /// How long the last answer took, in milliseconds; of several, the slowest.
    pub millis: u64,
    /// How often it was asked.
    pub questions: u32,
    /// When it became healthy, in seconds after the first question.
    pub after_seconds: u64,
    /// What was asked, in words, where it was more than one thing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<String>,
}
