//! The questions that say whether an application is well, as `health` lists them: pages, ports, commands.

use std::fmt;
use std::path::{Path, PathBuf};

use flow_steps::means::probes::Check;
use flow_steps::means::probes::ask;
use flow_steps::means::probes::probe::{Port, Probe, Run};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::health::{AskedFrom, Healthy, is_loopback};

/// How long one answer may take where nothing is said, in seconds; as for a single page.
const TIMEOUT_SECONDS: u64 = 10;
/// The longest one answer may take, in seconds.
const TIMEOUT_MAX: u64 = 300;
/// The most questions of one list.
const MOST: usize = 20;

/// What says that an application is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// One page: `health = "https://…"`, with `health_from`, `healthy` and `health_ca` beside it.
    Page(String),
    /// Everything that must be well at the same time: `health = [{ url = "…" }, { port = 5432, … }, { command = […] }]`.
    List(Vec<Question>),
}

/// One question; exactly one of `url`, `port` and `command` is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Question {
    /// A page, by its address.
    pub url: Option<String>,
    /// A TCP port that must take connections, from 1 to 65535.
    pub port: Option<u16>,
    /// A program with its arguments that must end with 0. No shell reads them.
    pub command: Option<Vec<String>>,
    /// Who asks: this machine, or the application's host.
    pub from: AskedFrom,
    /// Where the port is: a name or an address. `127.0.0.1` where the host asks itself.
    pub address: Option<String>,
    /// The status of the page; 200 by default.
    pub status: Option<u16>,
    /// Where to look in the page's JSON, as in [`Healthy`].
    pub pointer: Option<String>,
    /// What must stand there, of whatever type, as in [`Healthy`].
    pub value: Option<serde_json::Value>,
    /// A text that must be in the page, for one that is no JSON.
    pub text: Option<String>,
    /// A certificate authority file for the page, when it is not a public one.
    pub ca: Option<PathBuf>,
    /// What the command must print; without it any output is well.
    pub says: Option<String>,
    /// How long one answer may take, from 1 to 300 seconds; 10 by default.
    pub timeout_seconds: Option<u64>,
}

impl<'de> Deserialize<'de> for Health {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Health, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Health;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the URL of a page, or a list of questions such as { url = \"…\" }")
            }

            fn visit_str<E: Error>(self, url: &str) -> Result<Health, E> {
                Ok(Health::Page(url.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Health, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Health::List)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Health {
    /// The first thing about it that is well-formed but cannot be meant.
    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Health::Page(url) => {
                let why = ask::address(url).err()?;
                // One with a password is not shown.
                Some(format!("must be the URL of a page: {why}"))
            }
            Health::List(all) if all.is_empty() => {
                Some("asks nothing; name at least one page, port or command".into())
            }
            Health::List(all) if all.len() > MOST => {
                Some(format!("asks more than {MOST} questions"))
            }
            Health::List(all) => {
                let mut all = all.iter().enumerate();
                all.find_map(|(n, asked)| Some(format!("entry {}: {}", n + 1, asked.problem()?)))
            }
        }
    }

    /// Why it would be answered by the machine where flow runs, not by the host it is about.
    pub(super) fn answered_here(&self, from: AskedFrom) -> Option<String> {
        let is_here = |url: &str, from| from == AskedFrom::Here && is_loopback(url);
        match self {
            Health::Page(url) => is_here(url, from).then(|| {
                "`health` leads to the machine where flow runs: write health_from = \"host\", or an address of the host".into()
            }),
            Health::List(all) => {
                let here = |asked: &Question| match (&asked.url, &asked.address) {
                    (Some(url), _) => is_here(url, asked.from),
                    (None, Some(address)) => is_here(address, asked.from),
                    (None, None) => asked.command.is_some() && asked.from == AskedFrom::Here,
                };
                let at = all.iter().position(here)?;
                Some(format!(
                    "`health`, entry {}, is answered by the machine where flow runs: write from = \"host\", or an address of the host",
                    at + 1
                ))
            }
        }
    }
}

impl Question {
    /// What may stand beside each kind; the rest of the keys belongs to another.
    fn problem(&self) -> Option<String> {
        let pages = [
            ("status", self.status.is_some()),
            ("pointer", self.pointer.is_some()),
            ("value", self.value.is_some()),
            ("text", self.text.is_some()),
            ("ca", self.ca.is_some()),
        ];
        let (address, says) = (
            ("address", self.address.is_some()),
            ("says", self.says.is_some()),
        );
        let kinds = (&self.url, self.port, &self.command);
        let (kind, others) = match kinds {
            (Some(_), None, None) => ("url", vec![address, says]),
            (None, Some(_), None) => ("port", pages.into_iter().chain([says]).collect()),
            (None, None, Some(_)) => ("command", pages.into_iter().chain([address]).collect()),
            _ => return Some("exactly one of `url`, `port` and `command`, please".into()),
        };
        if let Some((key, _)) = others.iter().find(|(_, given)| *given) {
            return Some(format!("`{key}` says nothing of a `{kind}`"));
        }
        let limit = self.timeout_seconds.unwrap_or(TIMEOUT_SECONDS);
        if !(1..=TIMEOUT_MAX).contains(&limit) {
            return Some(format!(
                "`timeout_seconds` must be between 1 and {TIMEOUT_MAX}, not {limit}"
            ));
        }
        match kinds {
            (Some(url), ..) => match ask::address(url) {
                Err(why) => Some(format!("`url` must be the URL of a page: {why}")),
                Ok(_) => self.healthy().problem(),
            },
            (_, Some(0), _) => Some("`port` must be between 1 and 65535".into()),
            (_, Some(_), _) => self.address_problem(),
            (.., Some(command)) => {
                let empty = command.first().is_none_or(String::is_empty);
                let odd = |word: &String| word.chars().any(char::is_control);
                if empty || command.iter().any(odd) {
                    return Some("`command` must be a program and its words".into());
                }
                let nothing = self
                    .says
                    .as_ref()
                    .is_some_and(|says| says.trim().is_empty());
                nothing.then(|| "`says` must be a text: every output holds an empty one".into())
            }
            _ => None,
        }
    }

    fn address_problem(&self) -> Option<String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".:-_".contains(c);
        match &self.address {
            None if self.from == AskedFrom::Here => {
                Some("`address` must say where the port is, or from = \"host\"".into())
            }
            Some(name) if name.is_empty() || name.starts_with('-') || !name.chars().all(fits) => {
                Some(format!(
                    "`address` must be a name or an address, not `{}`",
                    name.escape_debug()
                ))
            }
            _ => None,
        }
    }

    /// What the page must say, as where it is the only one.
    fn healthy(&self) -> Healthy {
        Healthy {
            status: self.status,
            pointer: self.pointer.clone(),
            value: self.value.clone(),
            text: self.text.clone(),
        }
    }

    /// As the steps ask it, of the host of this name; `dir` is the folder of the configuration.
    pub(super) fn probe(&self, dir: &Path, host: &str) -> Probe {
        let via_host = (self.from == AskedFrom::Host).then(|| host.to_owned());
        let timeout_seconds = self.timeout_seconds.unwrap_or(TIMEOUT_SECONDS);
        if let Some(port) = self.port {
            let address = self.address.clone();
            return Probe::Port(Port {
                address: address.unwrap_or_else(|| "127.0.0.1".into()),
                port,
                via_host,
                own_host: Some(host.to_owned()),
                timeout_seconds,
            });
        }
        if let Some(command) = &self.command {
            return Probe::Command(Run {
                command: command.clone(),
                via_host,
                says: self.says.clone(),
                timeout_seconds,
            });
        }
        let healthy = self.healthy();
        let ok = Check::ok(self.url.clone().unwrap_or_default());
        let ca = self.ca.as_ref();
        Probe::Http(Check {
            status: healthy.status.unwrap_or(ok.status),
            body: healthy.body(),
            ca_file: ca.map(|path| dir.join(path).display().to_string()),
            via_host,
            own_host: Some(host.to_owned()),
            timeout_seconds,
            ..ok
        })
    }
}
