//! One question over HTTP, from here or from a host. Both sides bound time and size, and follow a redirect only within
//! the same host: another host's 200 says nothing about this application.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::means::host::{Command, Exit, HostExt as _, Hosts, Stdin};
use crate::means::probes::Check;
use crate::means::probes::unwell::Unwell;
use crate::means::reach;

/// The most of a body that is read; a health answer has a few hundred bytes.
const BODY_MAX: usize = 256 * 1024;
const REDIRECTS_MAX: usize = 5;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The body as text, at most 256 KiB.
    pub body: String,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// What of curl's ends says that nothing answers, rather than that curl could not ask: refused, no answer in time, an
/// empty or broken answer, no or another certificate.
const CURL_EVIDENCE: [i32; 8] = [7, 28, 35, 51, 52, 56, 60, 63];

/// An address that can be asked.
///
/// # Errors
/// Why it cannot: no URL, another scheme, or a user name or password in it, which would stand in plans and logs.
pub fn address(text: &str) -> Result<reqwest::Url, String> {
    let odd = |c: char| c.is_control() || c.is_whitespace();
    let url = reqwest::Url::parse(text).map_err(|e| e.to_string())?;
    let named = url.username().is_empty() && url.password().is_none();
    if matches!(url.scheme(), "http" | "https") && named && !text.contains(odd) {
        Ok(url)
    } else {
        Err("the address must be http or https, without a user name or password".into())
    }
}

pub(super) async fn ask(check: &Check, hosts: &Hosts) -> Result<Answer, Unwell> {
    let wrong = |why: String| Unwell::Unreached(format!("`{}` cannot be asked: {why}", check.url));
    let url = address(&check.url).map_err(wrong)?;
    let begun = Instant::now();
    let asked = match &check.via_host {
        None => from_here(check, url.clone()).await,
        Some(host) => from_host(check, hosts, host, &url, false).await,
    };
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    match (asked, &check.own_host) {
        (Ok((status, body)), _) => Ok(Answer {
            status,
            body,
            millis,
        }),
        (Err(Unwell::Unreached(here)), Some(own)) if check.via_host.is_none() => {
            Err(second_opinion(check, hosts, own, &url, &here).await)
        }
        (Err(why), _) => Err(why),
    }
}

/// What the application's own host says of an address that does not answer here: by its name, and on its loopback,
/// where a way out through the firewall and back in again is not needed.
async fn second_opinion(
    check: &Check,
    hosts: &Hosts,
    own: &str,
    url: &reqwest::Url,
    here: &str,
) -> Unwell {
    let mut sick = None;
    for loopback in [false, true] {
        let why = match from_host(check, hosts, own, url, loopback).await {
            Ok((status, body)) => {
                let answer = Answer {
                    status,
                    body,
                    millis: 0,
                };
                match check.judge(&answer) {
                    Ok(()) => {
                        return Unwell::Unreached(format!(
                            "healthy when asked on `{own}` itself, out of reach from here: {here}"
                        ));
                    }
                    // Something else may listen on the loopback; by its name it is the application.
                    Err(why) if !loopback => return Unwell::Sick(format!("on `{own}`: {why}")),
                    Err(why) => why,
                }
            }
            Err(Unwell::Sick(why)) => why,
            Err(Unwell::Unreached(why)) => {
                if loopback && sick.is_some() {
                    break;
                }
                return Unwell::Unreached(format!("{here}; and `{own}` could not be asked: {why}"));
            }
        };
        sick.get_or_insert(why);
    }
    let why = sick.unwrap_or_default();
    Unwell::Sick(format!("nothing well answers on `{own}` itself: {why}"))
}

/// The status and the body. What comes instead of an answer says little: it may be this side's network.
async fn from_here(check: &Check, url: reqwest::Url) -> Result<(u16, String), Unwell> {
    let none = |e: &reqwest::Error| Unwell::Unreached(in_words(e));
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
            .map_err(|e| Unwell::Unreached(format!("{file}: {e}")))?;
        let roots = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|e| Unwell::Unreached(format!("{file}: {e}")))?;
        for root in roots {
            client = client.add_root_certificate(root);
        }
    }
    let client = client.build().map_err(|e| none(&e))?;
    let mut response = client.get(url).send().await.map_err(|e| none(&e))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| none(&e))? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_MAX {
            return Err(Unwell::Sick(format!(
                "status {status} with a body of more than {BODY_MAX} bytes"
            )));
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

/// As [`from_here`], asked on a host; on its loopback whatever the name leads to. That nothing answers there is evidence.
async fn from_host(
    check: &Check,
    hosts: &Hosts,
    host: &str,
    url: &reqwest::Url,
    loopback: bool,
) -> Result<(u16, String), Unwell> {
    let silent = |why: String| Unwell::Unreached(why);
    let host = hosts.get(host).map_err(|e| silent(e.to_string()))?;
    let seconds = check.timeout_seconds.max(1);
    let mut args: Vec<String> = [
        "curl",
        "--silent",
        "--show-error",
        "--globoff",
        "--noproxy",
        "*",
        "--proto",
        "=http,https",
        "--user-agent",
        "flow",
        "--write-out",
        "\n%{http_code}",
    ]
    .map(String::from)
    .into();
    args.extend(["--max-time".into(), seconds.to_string()]);
    args.extend(["--max-filesize".into(), BODY_MAX.to_string()]);
    if loopback {
        args.extend(["--connect-to".into(), "::127.0.0.1:".into()]);
    }
    let command = with_authorities(check, args).await.map_err(silent)?;
    // No `--location`: curl cannot be told to stay on one host.
    let command = command
        .args(["--", url.as_str()])
        .deadline(Duration::from_secs(seconds + 15));
    let output = host
        .output(&command)
        .await
        .map_err(|e| silent(e.to_string()))?;
    if !output.exit.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said.trim().chars().take(400).collect();
        return Err(match output.exit {
            Exit::Code(code) if CURL_EVIDENCE.contains(&code) => Unwell::Sick(said),
            _ => silent(format!("curl on `{}`: {said}", host.name())),
        });
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let status = text.rsplit_once('\n').and_then(|(body, status)| {
        let status = status.trim().parse().ok()?;
        Some((status, body.to_owned()))
    });
    status.ok_or_else(|| silent("curl gave no status".into()))
}

/// curl with the certificate authorities of this machine, which the host need not have.
async fn with_authorities(check: &Check, args: Vec<String>) -> Result<Command, String> {
    let Some(file) = check.ca_file.as_ref() else {
        return reach::command(&args, &[]).map_err(|e| e.to_string());
    };
    if check.via_host.is_some() {
        // Configured as a file of the host that asks.
        let command = reach::command(&args, &["--cacert", file]);
        return command.map_err(|e| e.to_string());
    }
    let pem = tokio::fs::read(file)
        .await
        .map_err(|e| format!("{file}: {e}"))?;
    let script = r#"
set -u
umask 077
ca=$(mktemp) || exit 2
trap 'rm -f -- "$ca"' EXIT
cat > "$ca"
c=$1; shift
"$c" --cacert "$ca" "$@""#;
    Ok(Command::script(script)
        .arg("sh")
        .args(args)
        .stdin(Stdin::Bytes(Bytes::from(pem))))
}
