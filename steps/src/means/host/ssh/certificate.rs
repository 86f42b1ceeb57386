//! OpenSSH certificates (PROTOCOL.certkeys): read here, their authority's signature judged by `ssh-keygen -L`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use flow_engine::clock::{Clock as _, SystemClock};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::tokens::listed;

const SUFFIX: &str = "-cert-v01@openssh.com";
/// The type of a certificate that speaks for a machine; 1 speaks for a user.
const OF_A_HOST: u32 = 2;

/// What a certificate says. Nothing of it is proved by reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Such as `ssh-ed25519-cert-v01@openssh.com`.
    pub(super) kind: String,
    /// The certified key, as it would be without a certificate.
    pub(super) plain: Vec<u8>,
    /// The key of the authority that signed it.
    pub(super) authority: Vec<u8>,
    role: u32,
    /// What the authority calls it.
    id: String,
    principals: Vec<String>,
    /// Seconds since 1970: from, and the first moment after.
    valid: (u64, u64),
    /// Whether it has options that nobody who does not know them may pass over.
    critical: bool,
    /// How the authority signed.
    algorithm: String,
}

/// Reads a key as it travels; `None` unless it is a certificate, whole and of a known kind.
pub(super) fn parse(blob: &[u8]) -> Option<Certificate> {
    let mut rest = blob;
    let kind = text(&mut rest)?;
    let base = kind.strip_suffix(SUFFIX)?;
    let fields = match base {
        "ssh-ed25519" => 1,
        "ssh-rsa"
        | "sk-ssh-ed25519"
        | "ecdsa-sha2-nistp256"
        | "ecdsa-sha2-nistp384"
        | "ecdsa-sha2-nistp521" => 2,
        "sk-ecdsa-sha2-nistp256" => 3,
        _ => return None,
    };
    field(&mut rest)?;
    let mut plain = Vec::new();
    let base = match base.strip_prefix("sk-") {
        Some(_) => format!("{base}@openssh.com"),
        None => base.to_owned(),
    };
    put(&mut plain, base.as_bytes());
    for _ in 0..fields {
        put(&mut plain, field(&mut rest)?);
    }
    number::<8>(&mut rest)?;
    let role = u32::try_from(number::<4>(&mut rest)?).ok()?;
    let id = text(&mut rest)?;
    let mut names = field(&mut rest)?;
    let mut principals = Vec::new();
    while !names.is_empty() {
        principals.push(text(&mut names)?);
    }
    let valid = (number::<8>(&mut rest)?, number::<8>(&mut rest)?);
    let critical = !field(&mut rest)?.is_empty();
    field(&mut rest)?;
    field(&mut rest)?;
    let authority = field(&mut rest)?.to_vec();
    let mut signature = field(&mut rest)?;
    rest.is_empty().then_some(Certificate {
        kind,
        plain,
        authority,
        role,
        id,
        principals,
        valid,
        critical,
        algorithm: text(&mut signature)?,
    })
}

fn put(out: &mut Vec<u8>, field: &[u8]) {
    // A field came out of a blob whose own length fits into 32 bits.
    let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(field);
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number::<4>(rest)?).ok()?;
    let (field, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(field)
}

fn text(rest: &mut &[u8]) -> Option<String> {
    String::from_utf8(field(rest)?.to_vec()).ok()
}

fn number<const N: usize>(rest: &mut &[u8]) -> Option<u64> {
    let (bytes, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    )
}

impl Certificate {
    /// Whether it speaks for the machine of this name, now, as far as can be told without its signature.
    ///
    /// Stricter than ssh in one thing: a certificate without names would speak for every machine, and is refused.
    ///
    /// The error says why not, and what its owner does about it.
    pub(super) fn speaks_for(&self, name: &str, algorithms: &str) -> Result<(), String> {
        let (from, until) = self.valid;
        let now = now();
        if self.role != OF_A_HOST {
            return Err("it is a user's certificate, not a machine's".to_owned());
        }
        if !self.principals.iter().any(|principal| principal == name) {
            let names = match self.principals.as_slice() {
                [] => "no name, which would be every machine".to_owned(),
                names => names.join(", "),
            };
            return Err(format!(
                "it is for {names}, not for {name}; its owner signs the key again with `-n {name}`"
            ));
        }
        if now < from {
            return Err(format!(
                "it is valid from {} on only; look at the clocks",
                day(from)
            ));
        }
        if now >= until {
            return Err(format!(
                "it expired {}; its owner signs the key again",
                day(until)
            ));
        }
        if self.critical {
            return Err("it has critical options, which no machine's certificate may have".into());
        }
        if !listed(algorithms, &self.algorithm) {
            return Err(format!(
                "its authority signed with {}, which CASignatureAlgorithms does not allow",
                self.algorithm
            ));
        }
        Ok(())
    }

    /// Its name, its authority, and that it is over, if it is: for a story of what was tried.
    pub(super) fn in_words(&self) -> String {
        let over = if now() >= self.valid.1 {
            format!(", expired {}", day(self.valid.1))
        } else {
            String::new()
        };
        format!(
            "`{}` by authority {}{over}",
            self.id,
            fingerprint(&self.authority)
        )
    }
}

/// Whether the authority it names has signed it: `ssh-keygen` reads no certificate whose signature is wrong.
///
/// The error says what `ssh-keygen` said.
pub(super) fn signed(kind: &str, blob: &[u8]) -> Result<(), String> {
    let broken = |e: std::io::Error| format!("`ssh-keygen` could not be run: {e}");
    let mut child = Command::new("ssh-keygen")
        .args(["-L", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(broken)?;
    let line = format!("{kind} {}\n", STANDARD.encode(blob));
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(line.as_bytes()).map_err(broken)?;
    }
    let output = child.wait_with_output().map_err(broken)?;
    let said = String::from_utf8_lossy(&output.stdout);
    // A later `ssh-keygen` might print what it cannot read and end well: what it read must be there.
    if output.status.success() && said.contains("host certificate") {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("its signature is wrong: {}", why.trim()))
}

fn now() -> u64 {
    u64::try_from(SystemClock.now().0 / 1000).unwrap_or(0)
}

fn day(seconds: u64) -> String {
    let at = i64::try_from(seconds).map(Timestamp::from_second);
    at.ok()
        .and_then(Result::ok)
        .map_or_else(|| "never".to_owned(), |at| at.to_string())
}

/// As `ssh-keygen -l` prints it.
pub(super) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}
