//! One question over HTTP, from here or from a host. Both sides bound time and size, and follow a redirect only within
//! the same host: another host's 200 says nothing about this application.

use std::time::{Duration, Instant};

use super::Check;
use crate::host::{Command, HostExt as _, Hosts};

/// The most of a body that is read; a health answer has a few hundred bytes.
const BODY_MAX: usize = 256 * 1024;
const REDIRECTS_MAX: usize = 5;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body as text, at most 256 KiB.
    pub body: String,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

pub(super) async fn ask(check: &Check, hosts: &Hosts) -> Result<Answer, String> {
    let url = reqwest::Url::parse(&check.url).map_err(|e| format!("`{}`: {e}", check.url))?;
    if !matches!(url.scheme(), "http" | "https")
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err("the address must be http or https, without a user name or password".into());
    }
    let begun = Instant::now();
    let (status, body) = match &check.via_host {
        None => from_here(check, url).await?,
        Some(host) => from_host(check, hosts, host, &url).await?,
    };
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Answer {
        status,
        body,
        millis,
    })
}

async fn from_here(check: &Check, url: reqwest::Url) -> Result<(u16, String), String> {
    let limit = Duration::from_secs(check.timeout_seconds.max(1));
    let same_host = reqwest::redirect::Policy::custom(|attempt| {
        let first = attempt.previous().first();
        let same = first.is_some_and(|f| f.host_str() == attempt.url().host_str());
        if same && attempt.previous().len() <= REDIRECTS_MAX {
            attempt.follow()
        } else {
            attempt.stop()
        }
    });
    let mut client = reqwest::Client::builder()
        .timeout(limit)
        .connect_timeout(limit)
        .redirect(same_host)
        .no_proxy()
        .user_agent("flow");
    if let Some(file) = &check.ca_file {
        let pem = tokio::fs::read(file)
            .await
            .map_err(|e| format!("{file}: {e}"))?;
        let roots =
            reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| format!("{file}: {e}"))?;
        for root in roots {
            client = client.add_root_certificate(root);
        }
    }
    let client = client.build().map_err(|e| in_words(&e))?;
    let mut response = client.get(url).send().await.map_err(|e| in_words(&e))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| in_words(&e))? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_MAX {
            return Err(format!(
                "status {status} with a body of more than {BODY_MAX} bytes"
            ));
        }
    }
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// The error and what is beneath it: reqwest alone says only that something failed.
fn in_words(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(e) = next {
        text.push_str(": ");
        text.push_str(&e.to_string());
        next = e.source();
    }
    text.chars().take(400).collect()
}

async fn from_host(
    check: &Check,
    hosts: &Hosts,
    host: &str,
    url: &reqwest::Url,
) -> Result<(u16, String), String> {
    let host = hosts.get(host).map_err(|e| e.to_string())?;
    let seconds = check.timeout_seconds.max(1);
    let mut command = Command::new("curl")
        .args(["--silent", "--show-error", "--globoff", "--noproxy", "*"])
        .args(["--max-time", &seconds.to_string()])
        .args(["--max-filesize", &BODY_MAX.to_string()])
        .args(["--proto", "=http,https", "--user-agent", "flow"])
        .args(["--write-out", "\n%{http_code}"])
        .deadline(Duration::from_secs(seconds + 15));
    if let Some(file) = &check.ca_file {
        command = command.args(["--cacert", file]);
    }
    // No `--location`: curl cannot be told to stay on one host.
    let output = host
        .output(&command.args(["--", url.as_str()]))
        .await
        .map_err(|e| e.to_string())?;
    if !output.exit.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.trim().chars().take(400).collect());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let (body, status) = text.rsplit_once('\n').ok_or("curl gave no status")?;
    let status = status.trim().parse().map_err(|_| "curl gave no status")?;
    Ok((status, body.to_owned()))
}
