//! Signatures by `ssh-keygen -Y`: keys stay where they are, in a file, an agent or a security key.

use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flow_engine::clock::Timestamp;
use flow_engine::id::Digest;
use ssh_encoding::{Decode as _, Reader as _};
use ssh_key::SshSig;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::means::signature::key;
use crate::means::signature::roster::NAMESPACE;

/// The longest a person may take to touch a security key or type a passphrase.
pub const SIGN_LIMIT: Duration = Duration::from_mins(2);
/// Checking a signature is arithmetic; this is long for a machine under load.
const VERIFY_LIMIT: Duration = Duration::from_secs(20);
const ARMOUR_MAX: usize = 8192;
/// Where the key begins in a signature, in bytes: behind six of the preamble, four of the version and four of its length.
const KEY_AT: usize = 14;

/// Why there is no signature, or none that could be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SshSigError {
    /// No such program.
    #[error("`ssh-keygen` cannot be started ({0}); install the OpenSSH client")]
    NoTool(String),
    /// It did not end within so many seconds, and was ended.
    #[error(
        "`ssh-keygen` did not end within {0} s; was the key to be touched, or a passphrase to be typed?"
    )]
    Late(u64),
    /// The agent does not have the key, or said no.
    #[error(
        "the agent did not sign with this key: {0}; see `ssh-add -l`, or name the private key file with --key"
    )]
    Agent(String),
    /// No such key file, or it cannot be read.
    #[error("the key cannot be used: {0}")]
    Key(String),
    /// The bytes are no SSH signature.
    #[error("this is no SSH signature (`-----BEGIN SSH SIGNATURE-----` …)")]
    NoSignature,
    /// The signature does not fit the text, the key or the namespace.
    #[error("the signature does not fit: {0}")]
    Invalid(String),
    /// A temporary file.
    #[error("a temporary file for ssh-keygen cannot be written: {0}")]
    Files(String),
}

/// Signs `text` with the key in a file, or with the agent when the file is the public half: the agent at the given
/// socket, else the one the environment names. Each call is a new signature; nothing is kept.
///
/// # Errors
/// [`SshSigError`]; nothing was signed.
pub async fn sign(text: &[u8], key: &Path, agent: Option<&Path>) -> Result<String, SshSigError> {
    let file = std::path::absolute(key).map_err(|e| SshSigError::Key(e.to_string()))?;
    if !file.is_file() {
        return Err(SshSigError::Key(format!("{} is no file", file.display())));
    }
    let args: Vec<OsString> = vec![
        "-Y".into(),
        "sign".into(),
        "-n".into(),
        NAMESPACE.into(),
        "-f".into(),
        file.into(),
    ];
    let (ok, stdout, stderr) = run(args, text, SIGN_LIMIT, agent).await?;
    if !ok {
        let why = words(&stderr);
        let agent = ["agent", "No private key found"];
        return Err(if agent.iter().any(|a| why.contains(a)) {
            SshSigError::Agent(why)
        } else {
            SshSigError::Key(why)
        });
    }
    let signature = String::from_utf8(stdout).map_err(|_| SshSigError::NoSignature)?;
    Envelope::parse(&signature).map(|_| signature)
}

/// The armour as `ssh-keygen` reads it: lines that end with a line feed, and nothing before the first or after the last. A
/// mail program or another system may have changed that, and none of it is signed.
pub fn armour(signature: &str) -> String {
    let lines = signature.trim_start_matches('\u{feff}').trim().lines();
    lines
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// Checks that `principal` of the given allowed signers made `signature` over `text`, as of `at`.
///
/// # Errors
/// [`SshSigError::Invalid`] or [`SshSigError::NoSignature`] when the signature is wrong; anything else means that it
/// could not be checked.
pub async fn verify(
    text: &[u8],
    signature: &str,
    allowed_signers: &str,
    principal: &str,
    at: Timestamp,
) -> Result<(), SshSigError> {
    Envelope::parse(signature)?;
    let signature = &armour(signature);
    let folder = Folder::new().map_err(|e| SshSigError::Files(e.to_string()))?;
    let put = |name: &str, bytes: &str| {
        folder
            .put(name, bytes.as_bytes())
            .map_err(|e| SshSigError::Files(e.to_string()))
    };
    let allowed = put("allowed_signers", allowed_signers)?;
    let sig = put("signature", signature)?;
    let mut args: Vec<OsString> = vec!["-Y".into(), "verify".into(), "-f".into(), allowed.into()];
    args.extend(["-I", principal, "-n", NAMESPACE, "-s"].map(OsString::from));
    args.push(sig.into());
    args.push(format!("-Overify-time={}", compact(at)).into());
    let (ok, stdout, stderr) = run(args, text, VERIFY_LIMIT, None).await?;
    if ok {
        return Ok(());
    }
    let why = format!("{} {}", words(&stdout), words(&stderr));
    Err(SshSigError::Invalid(why.trim().to_owned()))
}

/// `20261122185304`, read by ssh-keygen in the zone it runs in, which is set to UTC: the `Z` suffix is newer than
/// many installed versions.
fn compact(at: Timestamp) -> String {
    let digits = |c: &char| c.is_ascii_digit();
    at.to_string().chars().filter(digits).take(14).collect()
}

type Ended = (bool, Vec<u8>, Vec<u8>);

async fn run(
    args: Vec<OsString>,
    stdin: &[u8],
    limit: Duration,
    agent: Option<&Path>,
) -> Result<Ended, SshSigError> {
    let mut child = Command::new("ssh-keygen")
        .args(args)
        .envs(agent.map(|socket| ("SSH_AUTH_SOCK", socket)))
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| SshSigError::NoTool(e.to_string()))?;
    let mut pipe = child.stdin.take();
    let feed = async move {
        if let Some(pipe) = &mut pipe {
            // A program that refuses early closes its end; its exit status and words tell why.
            let _ = pipe.write_all(stdin).await;
        }
        drop(pipe);
    };
    let both = async { tokio::join!(feed, child.wait_with_output()).1 };
    match tokio::time::timeout(limit, both).await {
        Err(_) => Err(SshSigError::Late(limit.as_secs())),
        Ok(Err(e)) => Err(SshSigError::NoTool(e.to_string())),
        Ok(Ok(out)) => Ok((out.status.success(), out.stdout, out.stderr)),
    }
}

fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a signature says of itself, before anything is checked (PROTOCOL.sshsig).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The fingerprint of the key that is said to have signed.
    pub fingerprint: String,
    /// What the signature is said to be for.
    pub namespace: String,
}

impl Envelope {
    /// Reads an armoured signature. Proves nothing.
    ///
    /// # Errors
    /// [`SshSigError::NoSignature`].
    pub fn parse(armoured: &str) -> Result<Envelope, SshSigError> {
        Self::read(armoured).ok_or(SshSigError::NoSignature)
    }

    fn read(armoured: &str) -> Option<Envelope> {
        let body = Some(armoured.trim_start_matches('\u{feff}').trim());
        let body = body.filter(|a| a.len() <= ARMOUR_MAX)?;
        let body = body.strip_prefix("-----BEGIN SSH SIGNATURE-----")?;
        let body = body.strip_suffix("-----END SSH SIGNATURE-----")?;
        let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let blob = STANDARD.decode(body).ok()?;
        let reader = &mut &blob[..];
        let signature = SshSig::decode(reader).ok()?;
        if signature.version() != SshSig::VERSION || !reader.is_finished() {
            return None;
        }
        let (fingerprint, key) = key::signing(signature.public_key())?;
        // The key as it stands in the signature; another spelling would have another fingerprint.
        let written = blob.get(KEY_AT..KEY_AT + key.len());
        (written == Some(&key[..])).then(|| Envelope {
            fingerprint,
            namespace: signature.namespace().to_owned(),
        })
    }
}

/// A folder of our own (0700) that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Folder> {
        let mut random = [0u8; 12];
        getrandom::fill(&mut random).map_err(|e| std::io::Error::other(e.to_string()))?;
        let name = Digest::of(&random).short();
        let path = std::env::temp_dir().join(format!("flow-verify-{name}"));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Folder(path))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> std::io::Result<PathBuf> {
        let path = self.0.join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(bytes)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
