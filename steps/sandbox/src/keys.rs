//! SSH keys: the client's, the hosts', and those of the people the demo plays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Doing, SandboxError};
use crate::process::run;

/// A role of the protocol, played by the demo.
#[derive(Debug, Clone)]
pub struct Person {
    /// `developer`, `qa`, `devops` or `tech-lead`.
    pub role: String,
    /// Who signs, such as `developer@example.org`.
    pub email: String,
    /// The private key (ed25519, no passphrase, mode 0600).
    pub key: PathBuf,
    /// The public key: type and base64, without a comment.
    pub public: String,
}

const ROLES: [&str; 4] = ["developer", "qa", "devops", "tech-lead"];

/// Makes an ed25519 key pair and returns its public half.
pub(crate) fn generate(file: &Path, comment: &str) -> Result<String, SandboxError> {
    let mut keygen = Command::new("ssh-keygen");
    run(
        "ssh-keygen",
        keygen
            .args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"])
            .arg(file),
    )?;
    let public = file.with_extension("pub");
    let text = fs::read_to_string(&public).doing(|| format!("cannot read {}", public.display()))?;
    Ok(text.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

/// Makes a key for each role, and the file `allowed_signers` beside them.
pub(crate) fn people(dir: &Path) -> Result<Vec<Person>, SandboxError> {
    let people = ROLES
        .iter()
        .map(|role| {
            let email = format!("{role}@example.org");
            let key = dir.join(role);
            let public = generate(&key, &format!("{email} (played by the demo)"))?;
            Ok(Person {
                role: (*role).to_owned(),
                email,
                key,
                public,
            })
        })
        .collect::<Result<Vec<_>, SandboxError>>()?;
    let lines: Vec<String> = people
        .iter()
        .map(|person| format!("{} {}\n", person.email, person.public))
        .collect();
    crate::files::write(&dir.join("allowed_signers"), &lines.concat(), 0o644)?;
    Ok(people)
}
