//! Strict checking of host keys against the known-hosts files.
//!
//! The lines are found by `ssh-keygen -F`, which knows hashed names, patterns and ports; libssh2 does not know patterns
//! and ignores `@revoked`. Certificate authorities are not supported: their lines are skipped, which can only refuse.
//! Nothing is ever added to a file, whatever `StrictHostKeyChecking` says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::host::HostError;

/// The keys on record for one name.
#[derive(Debug, Default)]
pub(super) struct Record {
    name: String,
    /// The files that were asked and exist.
    files: Vec<PathBuf>,
    keys: Vec<Key>,
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    kind: String,
    blob: Vec<u8>,
    revoked: bool,
    file: PathBuf,
}

/// Looks a name up in all files.
pub(super) fn look_up(host: &str, name: &str, files: &[PathBuf]) -> Result<Record, HostError> {
    let mut record = Record {
        name: name.to_owned(),
        ..Record::default()
    };
    for file in files.iter().filter(|file| file.is_file()) {
        let output = Command::new("ssh-keygen")
            .args(["-F", name, "-f"])
            .arg(file)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| HostError::Config {
                host: host.to_owned(),
                why: format!("`ssh-keygen` could not be run ({e}); install the OpenSSH client"),
            })?;
        // Status 1 means "none found"; it is also all there is for an unreadable file, which then refuses below.
        record
            .keys
            .extend(parse(&String::from_utf8_lossy(&output.stdout), file));
        record.files.push(file.clone());
    }
    Ok(record)
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
            let revoked = match marker {
                None => false,
                Some("@revoked") => true,
                Some(_) => return None,
            };
            let (kind, blob) = (fields.get(1)?, fields.get(2)?);
            let blob = STANDARD.decode(blob).ok()?;
            Some(Key {
                kind: (*kind).to_owned(),
                blob,
                revoked,
                file: file.to_owned(),
            })
        })
        .collect()
}

impl Record {
    /// What to ask the machine for, so that it shows a key that can be compared: with only its RSA key on record,
    /// libssh2 would otherwise be shown another and call it a mismatch. `None` when nothing usable is on record.
    pub(super) fn preference(&self) -> Option<String> {
        let mut methods = Vec::new();
        for key in self.keys.iter().filter(|key| !key.revoked) {
            let more: &[&str] = match key.kind.as_str() {
                "ssh-rsa" => &["rsa-sha2-512", "rsa-sha2-256"],
                "ssh-ed25519" => &["ssh-ed25519"],
                "ecdsa-sha2-nistp256" => &["ecdsa-sha2-nistp256"],
                "ecdsa-sha2-nistp384" => &["ecdsa-sha2-nistp384"],
                "ecdsa-sha2-nistp521" => &["ecdsa-sha2-nistp521"],
                _ => &[],
            };
            methods.extend(
                more.iter()
                    .filter(|method| !methods.contains(*method))
                    .copied()
                    .collect::<Vec<_>>(),
            );
        }
        (!methods.is_empty()).then(|| methods.join(","))
    }

    /// Compares the key the machine showed with those on record.
    ///
    /// [`HostError::HostKey`] unless it is there and not revoked.
    pub(super) fn check(&self, host: &str, blob: &[u8]) -> Result<(), HostError> {
        let print = fingerprint(blob);
        let name = &self.name;
        if let Some(key) = self.keys.iter().find(|key| key.revoked && key.blob == blob) {
            return Err(self.refuse(host, &key.file, format!(
                "the key it showed ({print}) is marked @revoked there; do not connect until its owner has replaced it"
            )));
        }
        if self.keys.iter().any(|key| !key.revoked && key.blob == blob) {
            return Ok(());
        }
        let file = self
            .files
            .first()
            .cloned()
            .unwrap_or_else(|| PathBuf::from("(no known_hosts file)"));
        let Some(key) = self.keys.iter().find(|key| !key.revoked) else {
            return Err(self.refuse(host, &file, format!(
                "no key is on record for {name}; it showed {print}. Compare that with the machine's console, then add \
                 the line `ssh-keyscan` prints for it; nothing is added automatically"
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

/// As `ssh-keygen -l` prints it.
pub(super) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}
