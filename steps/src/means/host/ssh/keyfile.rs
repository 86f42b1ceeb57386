//! What can be told about a private key file without its secret.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_encoding::Decode as _;

use super::certificate::{self, Certificate};

/// Files larger than this are no keys; the largest RSA keys in use take 12 KiB.
const MOST: u64 = 64 * 1024;

/// A private key file that exists.
#[derive(Debug)]
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    /// The public half, to find the same key in the agent; `None` for a PEM key without its `.pub` file.
    pub(super) public: Option<Vec<u8>>,
    /// Needs a passphrase, which is the agent's business.
    pub(super) encrypted: bool,
    /// Whether the private half is here at all: `IdentityFile` may name a `.pub` to choose a key of the agent.
    pub(super) private: bool,
}

/// Reads a key file; `None` when there is none.
pub(super) fn read(path: &Path) -> Option<KeyFile> {
    let text = small(path);
    let beside = small(&beside(path, ".pub"));
    if text.is_none() && beside.is_none() {
        return None;
    }
    let text = text.unwrap_or_default();
    let inside = openssh(&text);
    let private = text.contains("PRIVATE KEY-----");
    let listed = beside
        .as_deref()
        .and_then(public_line)
        .or_else(|| public_line(&text));
    let encrypted = inside.as_ref().is_some_and(|(encrypted, _)| *encrypted)
        || text.contains("BEGIN ENCRYPTED PRIVATE KEY")
        || text.contains("Proc-Type: 4,ENCRYPTED");
    Some(KeyFile {
        path: path.to_owned(),
        public: inside.map(|(_, public)| public).or(listed),
        encrypted,
        private,
    })
}

/// A user's certificate that exists.
#[derive(Debug, Clone)]
pub(super) struct CertificateFile {
    pub(super) path: PathBuf,
    /// As it travels.
    pub(super) blob: Vec<u8>,
    pub(super) certificate: Certificate,
}

/// Reads a certificate; `None` when there is none.
pub(super) fn certificate(path: &Path) -> Option<CertificateFile> {
    let blob = public_line(&small(path)?)?;
    Some(CertificateFile {
        path: path.to_owned(),
        certificate: certificate::parse(&blob)?,
        blob,
    })
}

/// The certificate that ssh looks for beside a key file: `id` has `id-cert.pub`.
pub(super) fn certificate_beside(key: &Path) -> Option<CertificateFile> {
    certificate(&beside(key, "-cert.pub"))
}

/// A file beside another one, which has this at the end of its name.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// The kind a public key says it is of, such as `ssh-ed25519`.
pub(super) fn kind(public: &[u8]) -> Option<String> {
    String::decode(&mut &public[..]).ok()
}

fn small(path: &Path) -> Option<String> {
    let meta = std::fs::metadata(path).ok()?;
    (meta.is_file() && meta.len() <= MOST).then(|| std::fs::read_to_string(path).ok())?
}

fn public_line(text: &str) -> Option<Vec<u8>> {
    let mut fields = text
        .lines()
        .find(|line| !line.starts_with('#'))?
        .split_ascii_whitespace();
    fields.next().filter(|kind| {
        kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-")
    })?;
    STANDARD.decode(fields.next()?).ok()
}

/// OpenSSH's own format holds the public half in clear: whether the private half is encrypted, and the public half.
/// `None` if it is no such file, or one that `ssh-key` does not know.
fn openssh(text: &str) -> Option<(bool, Vec<u8>)> {
    let body = text
        .split_once("-----BEGIN OPENSSH PRIVATE KEY-----")?
        .1
        .split_once("-----END")?
        .0;
    let body: String = body.split_ascii_whitespace().collect();
    let key = ssh_key::PrivateKey::from_bytes(&STANDARD.decode(body).ok()?).ok()?;
    let public = key.public_key().to_bytes().ok()?;
    Some((key.is_encrypted(), public))
}
