//! What can be told about a private key file without its secret.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::certificate::{self, Certificate};

/// Files larger than this are no keys; the largest RSA keys in use take 12 KiB.
const MOST: u64 = 64 * 1024;
const MAGIC: &[u8] = b"openssh-key-v1\0";

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
        public: inside.and_then(|(_, public)| public).or(listed),
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
    let mut rest = public;
    String::from_utf8(field(&mut rest)?.to_vec()).ok()
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

/// OpenSSH's own format holds the public half in clear: magic, cipher, kdf, kdf options, number of keys, public key
/// (OpenSSH's PROTOCOL.key).
fn openssh(text: &str) -> Option<(bool, Option<Vec<u8>>)> {
    let body = text
        .split_once("-----BEGIN OPENSSH PRIVATE KEY-----")?
        .1
        .split_once("-----END")?
        .0;
    let body: String = body.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(body).ok()?;
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let cipher = field(&mut rest)?.to_vec();
    field(&mut rest)?;
    field(&mut rest)?;
    rest = rest.get(4..)?;
    Some((cipher != b"none", field(&mut rest).map(<[u8]>::to_vec)))
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (field, tail) = tail.split_at_checked(length)?;
    *rest = tail;
    Some(field)
}
