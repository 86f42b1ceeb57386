//! `RevokedHostKeys`: a key revocation list, or a text with one public key in a line.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How a key revocation list begins (OpenSSH's PROTOCOL.krl).
const MAGIC: &[u8] = b"SSHKRL\n\0";
/// The largest list that is read, in bytes.
const SIZE_MAX: u64 = 64 * 1024 * 1024;

/// Whether the list names this key.
///
/// The error says why that cannot be told; then the key must not be believed.
pub(super) fn lists(file: &Path, blob: &[u8]) -> Result<bool, String> {
    let unreadable = |e: std::io::Error| e.to_string();
    let size = std::fs::metadata(file).map_err(unreadable)?.len();
    if size > SIZE_MAX {
        return Err(format!("it has {size} bytes, more than {SIZE_MAX}"));
    }
    let content = std::fs::read(file).map_err(unreadable)?;
    if content.starts_with(MAGIC) {
        return in_krl(file, blob);
    }
    let text = String::from_utf8(content)
        .map_err(|_| "it is neither a revocation list nor text".to_owned())?;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let listed = line.split_ascii_whitespace().nth(1);
        match listed.and_then(|key| STANDARD.decode(key).ok()) {
            Some(listed) if listed == blob => return Ok(true),
            Some(_) => {}
            None => return Err("it has a line that is no public key".to_owned()),
        }
    }
    Ok(false)
}

/// `ssh-keygen -Q` ends with 0 when the key is not revoked; it says `REVOKED` when it is, and something else when it
/// cannot tell.
fn in_krl(file: &Path, blob: &[u8]) -> Result<bool, String> {
    let broken = |e: std::io::Error| e.to_string();
    let mut key = tempfile::NamedTempFile::new().map_err(broken)?;
    let kind = blob.get(4..).and_then(|rest| {
        let length = u32::from_be_bytes(*blob.first_chunk::<4>()?);
        std::str::from_utf8(rest.get(..usize::try_from(length).ok()?)?).ok()
    });
    let kind = kind.ok_or("the key has no kind")?;
    writeln!(key, "{kind} {}", STANDARD.encode(blob)).map_err(broken)?;
    let output = Command::new("ssh-keygen")
        .arg("-Q")
        .arg("-f")
        .arg(file)
        .arg(key.path())
        .stdin(Stdio::null())
        .output()
        .map_err(broken)?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        Ok(false)
    } else if said.contains("REVOKED") {
        Ok(true)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
