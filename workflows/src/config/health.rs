//! What the page of a healthy application says, and who asks for it.

use std::net::IpAddr;

use flow_steps::means::probes::Body;
use serde::Deserialize;

/// What the answer of a healthy application is. Without `text`, `pointer` or `value`: JSON with `{"status": "ok"}`. A status of
/// 200 alone proves little: many proxies answer so for a dead application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Healthy {
    /// The status of the answer; 200 by default.
    pub status: Option<u16>,
    /// Where to look in JSON: a pointer (RFC 6901), `/status` by default.
    pub pointer: Option<String>,
    /// What must stand there, of whatever type; `"ok"` by default.
    pub value: Option<serde_json::Value>,
    /// A text that must be in the body, for answers that are no JSON.
    pub text: Option<String>,
}

/// Who asks for the health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AskedFrom {
    /// The machine where flow runs. One that gets no answer has the application's host ask as well.
    #[default]
    Here,
    /// The application's own host, with its `curl`: for an address that leads to it only there, such as `127.0.0.1`.
    Host,
}

/// The longest text that is searched for, in bytes.
const TEXT_MAX: usize = 200;

impl Healthy {
    pub(super) fn body(&self) -> Body {
        if let Some(text) = &self.text {
            return Body::Text(text.clone());
        }
        Body::Json {
            pointer: self.pointer.clone().unwrap_or_else(|| "/status".into()),
            value: self.value.clone().unwrap_or_else(|| "ok".into()),
        }
    }

    /// The first thing about it that is well-formed but cannot be meant.
    pub(super) fn problem(&self) -> Option<String> {
        if self
            .status
            .is_some_and(|status| !(100..600).contains(&status))
        {
            return Some("`status` must be the status of an answer, such as 200".into());
        }
        if self.text.is_some() && (self.pointer.is_some() || self.value.is_some()) {
            return Some("either `text` or `pointer` and `value`, not both".into());
        }
        if self
            .text
            .as_ref()
            .is_some_and(|text| text.trim().is_empty() || text.len() > TEXT_MAX)
        {
            return Some(format!(
                "`text` must have 1 to {TEXT_MAX} bytes: every answer holds an empty one"
            ));
        }
        let pointer = self.pointer.as_deref().unwrap_or_default();
        (!pointer.is_empty() && !pointer.starts_with('/')).then(|| {
            format!(
                "`pointer` must begin with `/`, not `{}`",
                pointer.escape_debug()
            )
        })
    }
}

/// Whether an address leads to the very machine that asks.
pub(crate) fn is_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        // One colon stands before a port; an address of IPv6 has more.
        None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or_default(),
        None => host,
    };
    if let Ok(address) = bare.parse::<IpAddr>() {
        let address = address.to_canonical();
        return address.is_loopback() || address.is_unspecified();
    }
    let name = bare.trim_end_matches('.').to_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn an_address_of_the_asking_machine_is_known_in_every_spelling_and_no_other_is_taken_for_one() {
        for here in [
            "http://127.0.0.1:3000/health",
            "https://LOCALHOST/health",
            "http://localhost.:80",
            "http://app.localhost:3000",
            "http://[::1]:3000/",
            "http://[::ffff:127.0.0.1]/",
            "http://0.0.0.0:3000",
            "127.79.83.11",
            "::1",
        ] {
            assert!(is_loopback(here), "{here}");
        }
        for there in [
            "http://localhost.example.org/health",
            "http://localhosts:80",
            "http://127.example.org/",
            "http://10.0.0.1:3000",
            "https://[2001:db8::1]/",
            "backend-1",
        ] {
            assert!(!is_loopback(there), "{there}");
        }
    }
}
