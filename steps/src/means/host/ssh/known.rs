//! Strict checking of host keys against the known-hosts files.
//!
//! The lines are found by `ssh-keygen -F`, which knows hashed names, patterns and ports; libssh2 does not know patterns
//! and ignores `@revoked`. A certificate counts when an authority that is on record (`@cert-authority`) for the machine
//! signed it, for this name and this moment. Nothing is ever added to a file, whatever `StrictHostKeyChecking` says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::certificate::{self, Certificate, fingerprint};
use super::config::Resolved;
use super::revoked;
use super::tokens::listed;
use crate::means::host::HostError;

/// The keys on record for one machine.
#[derive(Debug, Default)]
pub(super) struct Record {
    name: String,
    /// The name its certificates must have.
    principal: String,
    /// The files that were asked and exist.
    files: Vec<PathBuf>,
    keys: Vec<Key>,
    /// What `RevokedHostKeys` names.
    revoked: Option<PathBuf>,
    /// The algorithms that host keys may have, and that authorities may sign with.
    algorithms: (String, String),
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    kind: String,
    blob: Vec<u8>,
    mark: Mark,
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// The machine's own key.
    Own,
    /// Never to be believed.
    Revoked,
    /// Signs the keys of machines.
    Authority,
}

/// Looks a machine up in all files.
///
/// An authority is on record for a name with its port or without, as in ssh: its certificates carry no port.
pub(super) fn look_up(host: &str, to: &Resolved) -> Result<Record, HostError> {
    let mut record = Record {
        name: to.record_name(),
        principal: to.principal(),
        revoked: to.revoked.clone(),
        algorithms: (
            to.algorithms.host_key.clone(),
            to.algorithms.authority.clone(),
        ),
        ..Record::default()
    };
    for file in to.known_hosts.iter().filter(|file| file.is_file()) {
        record.keys.extend(find(host, &record.name, file)?);
        if record.name != record.principal {
            let portless = find(host, &record.principal, file)?;
            let marked = portless.into_iter().filter(|key| key.mark != Mark::Own);
            record.keys.extend(marked);
        }
        record.files.push(file.clone());
    }
    Ok(record)
}

/// Status 1 means "none found"; it is also all there is for an unreadable file, which then refuses later.
fn find(host: &str, name: &str, file: &Path) -> Result<Vec<Key>, HostError> {
    let output = Command::new("ssh-keygen")
        .args(["-F", name, "-f"])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| HostError::Config {
            host: host.to_owned(),
            why: format!("`ssh-keygen` could not be run ({e}); install the OpenSSH client"),
        })?;
    Ok(parse(&String::from_utf8_lossy(&output.stdout), file))
}

fn parse(text: &str, file: &Path) -> Vec<Key> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let marker = fields
                .first()
                .filter(|field| field.starts_with('@'))
                .copied();
            if marker.is_some() {
                fields.remove(0);
            }
            let mark = match marker {
                None => Mark::Own,
                Some("@revoked") => Mark::Revoked,
                Some("@cert-authority") => Mark::Authority,
                Some(_) => return None,
            };
            let (kind, blob) = (fields.get(1)?, fields.get(2)?);
            let blob = STANDARD.decode(blob).ok()?;
            Some(Key {
                kind: (*kind).to_owned(),
                blob,
                mark,
                file: file.to_owned(),
            })
        })
        .collect()
}

/// The certificates that libssh2 can take from a machine, as they are agreed on.
const CERTIFIED: [&str; 6] = [
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
];

impl Record {
    /// What to ask the machine for, so that it shows a key that can be compared: with only its RSA key on record,
    /// libssh2 would otherwise be shown another and call it a mismatch. A certificate comes first where an authority is on
    /// record. `None` when nothing usable is on record.
    ///
    /// [`HostError::Config`] when the configuration allows none of the kinds that are on record.
    pub(super) fn preference(&self, host: &str) -> Result<Option<String>, HostError> {
        let mut methods: Vec<&str> = Vec::new();
        if self.keys.iter().any(|key| key.mark == Mark::Authority) {
            methods.extend(CERTIFIED);
        }
        for key in self.keys.iter().filter(|key| key.mark == Mark::Own) {
            let more: &[&str] = match key.kind.as_str() {
                "ssh-rsa" => &["rsa-sha2-512", "rsa-sha2-256"],
                "ssh-ed25519" => &["ssh-ed25519"],
                "ecdsa-sha2-nistp256" => &["ecdsa-sha2-nistp256"],
                "ecdsa-sha2-nistp384" => &["ecdsa-sha2-nistp384"],
                "ecdsa-sha2-nistp521" => &["ecdsa-sha2-nistp521"],
                _ => &[],
            };
            for method in more {
                if !methods.contains(method) {
                    methods.push(method);
                }
            }
        }
        if methods.is_empty() {
            return Ok(None);
        }
        methods.retain(|method| listed(&self.algorithms.0, method));
        if methods.is_empty() {
            return Err(HostError::Config {
                host: host.to_owned(),
                why: format!(
                    "its HostKeyAlgorithms allow none of the keys that are on record for {}",
                    self.name
                ),
            });
        }
        Ok(Some(methods.join(",")))
    }

    fn marked(&self, mark: Mark, blob: &[u8]) -> Option<&Key> {
        let mut keys = self.keys.iter();
        keys.find(|key| key.mark == mark && key.blob == blob)
    }

    /// Compares the key or certificate the machine showed, and proved to have, with those on record.
    ///
    /// [`HostError::HostKey`] unless it is there, or certified by an authority that is, and not revoked.
    pub(super) fn check(&self, host: &str, blob: &[u8]) -> Result<(), HostError> {
        let certificate = certificate::parse(blob);
        let plain = certificate.as_ref().map_or(blob, |shown| &shown.plain);
        let authority = certificate.as_ref().map(|shown| shown.authority.as_slice());
        self.not_revoked(host, plain, authority)?;
        let known = certificate.as_ref().and_then(|shown| {
            let authority = self.marked(Mark::Authority, &shown.authority)?;
            Some((shown, authority))
        });
        match known {
            Some((shown, authority)) => self.certified(host, blob, shown, authority),
            None => self.own(host, plain, authority),
        }
    }

    fn not_revoked(
        &self,
        host: &str,
        plain: &[u8],
        authority: Option<&[u8]>,
    ) -> Result<(), HostError> {
        let print = fingerprint(plain);
        for (blob, whose) in [
            (Some(plain), "the key it showed"),
            (authority, "the authority of its certificate"),
        ] {
            let Some(blob) = blob else { continue };
            if let Some(key) = self.marked(Mark::Revoked, blob) {
                return Err(self.refuse(host, &key.file, format!(
                    "{whose} ({}) is marked @revoked there; do not connect until its owner has replaced it",
                    fingerprint(blob)
                )));
            }
            if let Some(file) = &self.revoked {
                match revoked::lists(file, blob) {
                    Ok(false) => {}
                    Ok(true) => {
                        return Err(self.refuse(host, file, format!(
                            "{whose} ({}) is revoked there (RevokedHostKeys); do not connect until its owner has replaced it",
                            fingerprint(blob)
                        )));
                    }
                    Err(why) => {
                        return Err(self.refuse(
                            host,
                            file,
                            format!(
                                "whether {print} is revoked cannot be told (RevokedHostKeys): {why}"
                            ),
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn certified(
        &self,
        host: &str,
        blob: &[u8],
        shown: &Certificate,
        authority: &Key,
    ) -> Result<(), HostError> {
        let good = shown
            .speaks_for(&self.principal, &self.algorithms.1)
            .and_then(|()| certificate::signed(&shown.kind, blob));
        good.map_err(|why| {
            self.refuse(
                host,
                &authority.file,
                format!(
                    "the certificate it showed, {}, does not count: {why}",
                    shown.in_words()
                ),
            )
        })
    }

    /// A key without a certificate, or with one of an authority that is not on record.
    fn own(&self, host: &str, plain: &[u8], authority: Option<&[u8]>) -> Result<(), HostError> {
        if self.marked(Mark::Own, plain).is_some() {
            return Ok(());
        }
        let print = fingerprint(plain);
        let name = &self.name;
        let file = self
            .files
            .first()
            .cloned()
            .unwrap_or_else(|| PathBuf::from("(no known_hosts file)"));
        let Some(key) = self.keys.iter().find(|key| key.mark == Mark::Own) else {
            let certified = authority.map_or_else(String::new, |key| {
                format!(
                    ", certified by {}, an authority that is not on record either",
                    fingerprint(key)
                )
            });
            return Err(self.refuse(host, &file, format!(
                "no key is on record for {name}; it showed {print}{certified}. Compare that with the machine's console, \
                 then add the line `ssh-keyscan` prints for it; nothing is added automatically"
            )));
        };
        Err(self.refuse(host, &key.file, format!(
            "the key for {name} has CHANGED: it showed {print}, on record is {}. If its owner confirms the change, \
             remove the old one with `ssh-keygen -R '{name}' -f {}` and add the new one",
            fingerprint(&key.blob),
            key.file.display()
        )))
    }

    fn refuse(&self, host: &str, file: &Path, why: String) -> HostError {
        let files: Vec<String> = match self.files.len() {
            0 | 1 => vec![file.display().to_string()],
            _ if why.starts_with("no key") => self
                .files
                .iter()
                .map(|file| file.display().to_string())
                .collect(),
            _ => vec![file.display().to_string()],
        };
        HostError::HostKey {
            host: host.to_owned(),
            file: files.join(", "),
            why,
        }
    }
}
