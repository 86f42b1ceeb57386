//! Proving who we are: the keys of the agent and the key files, one after another.

use std::path::{Path, PathBuf};

use ssh2::{ErrorCode, PublicKey, Session};

use super::certificate;
use super::certificate::fingerprint;
use super::config::Resolved;
use super::keyfile::{self, CertificateFile, KeyFile};
use super::tokens::listed;

/// How far a connection got.
pub(super) enum Outcome {
    Accepted,
    /// The machine hung up (sshd's `MaxAuthTries`, 6 unless set) with keys left to try, on another connection.
    HungUp,
    /// Nothing is left to try.
    Refused,
}

/// The state of the attempt over several connections.
#[derive(Default)]
pub(super) struct Attempt {
    /// Keys that were refused; not tried again on the next connection.
    refused: Vec<String>,
    /// The key at which a connection ended before it was judged. Once may be a cut line; twice is the machine's answer.
    pub(super) suspect: Option<String>,
    /// What happened, for the error.
    pub(super) story: Vec<String>,
}

impl Attempt {
    /// Adds to the story what is not in it yet.
    fn remark(&mut self, remarks: impl IntoIterator<Item = String>) {
        for remark in remarks {
            if !self.story.contains(&remark) {
                self.story.push(remark);
            }
        }
    }
}

/// One key to try.
enum Candidate {
    Agent(PublicKey),
    File(KeyFile),
    /// A key file, which signs, and its certificate, which is shown.
    Certified(PathBuf, CertificateFile),
}

impl Candidate {
    fn name(&self) -> String {
        match self {
            Self::Agent(key) => match certificate::parse(key.blob()) {
                Some(certificate) => format!(
                    "agent certificate {} {}",
                    certificate.in_words(),
                    fingerprint(key.blob())
                ),
                None => format!("agent key `{}` {}", key.comment(), fingerprint(key.blob())),
            },
            Self::Certified(key, shown) => format!(
                "certificate {} ({}) with key file {}",
                shown.path.display(),
                shown.certificate.in_words(),
                key.display()
            ),
            Self::File(file) => format!("key file {}", file.path.display()),
        }
    }
}

/// Tries the keys that are left.
///
/// Order: for each configured file its certificates, then its copy in the agent or else the file; then the other keys of
/// the agent. Keys of other purposes in the agent so cost none of the few tries sshd allows.
pub(super) fn authenticate(session: &Session, to: &Resolved, attempt: &mut Attempt) -> Outcome {
    let agent = open_agent(session, to.agent.as_deref(), attempt);
    let offered = agent
        .as_ref()
        .and_then(|agent| agent.identities().ok())
        .unwrap_or_default();
    let mut first = true;
    for candidate in candidates(to, offered, attempt) {
        let name = candidate.name();
        if attempt.refused.contains(&name) {
            continue;
        }
        let answer = match (&candidate, &agent) {
            (Candidate::Agent(key), Some(agent)) => agent.userauth(&to.user, key),
            (Candidate::Agent(_), None) => continue,
            (Candidate::File(file), _) => {
                session.userauth_pubkey_file(&to.user, None, &file.path, None)
            }
            (Candidate::Certified(key, shown), _) => {
                session.userauth_pubkey_file(&to.user, Some(&shown.path), key, None)
            }
        };
        if session.authenticated() {
            return Outcome::Accepted;
        }
        let (why, hung_up) = match answer {
            Ok(()) => ("accepted, but more is asked for".to_owned(), false),
            Err(e) => (e.message().to_owned(), hung_up(&e)),
        };
        // A key on which it hung up may not have been judged; the next connection begins with it. When it is also the
        // first of two connections, it counts as refused: two connections must rule out at least one key.
        if hung_up && (!first || attempt.suspect.as_ref() != Some(&name)) {
            attempt.suspect = first.then_some(name);
            return Outcome::HungUp;
        }
        first = false;
        attempt.suspect = None;
        attempt.story.push(format!("{name}: {why}"));
        attempt.refused.push(name);
        if hung_up {
            return Outcome::HungUp;
        }
    }
    if attempt.story.is_empty() {
        attempt.story.push(
            "there is no key file and no agent with a key; load one with `ssh-add`".to_owned(),
        );
    }
    Outcome::Refused
}

/// The socket broke, or the machine said goodbye (`LIBSSH2_ERROR_SOCKET_SEND`, `_RECV`, `_DISCONNECT`). When that comes
/// between question and answer, libssh2 reports it as a refused key; only its words tell the two apart.
fn hung_up(error: &ssh2::Error) -> bool {
    matches!(error.code(), ErrorCode::Session(-7 | -13 | -43))
        || ["Waiting for", "Unable to send"]
            .iter()
            .any(|words| error.message().starts_with(words))
}

fn open_agent(
    session: &Session,
    socket: Option<&Path>,
    attempt: &mut Attempt,
) -> Option<ssh2::Agent> {
    let socket = socket?;
    let mut agent = session.agent().ok()?;
    let opened = agent
        .set_identity_path(socket)
        .and_then(|()| agent.connect())
        .and_then(|()| agent.list_identities());
    match opened {
        Ok(()) => Some(agent),
        Err(e) => {
            attempt.remark([format!("agent {}: {}", socket.display(), e.message())]);
            None
        }
    }
}

fn candidates(to: &Resolved, offered: Vec<PublicKey>, attempt: &mut Attempt) -> Vec<Candidate> {
    let mut choice = Choice {
        to,
        offered,
        list: Vec::new(),
    };
    let (explicit, unread) = certificates(&to.certificates);
    attempt.remark(unread);
    for file in to.identities.iter().filter_map(|path| keyfile::read(path)) {
        let beside = keyfile::certificate_beside(&file.path);
        let fits = |shown: &&CertificateFile| {
            let public = file.public.as_ref();
            public.is_none_or(|public| *public == shown.certificate.plain)
        };
        for shown in explicit.iter().chain(&beside).filter(fits) {
            attempt.remark(choice.certified(&file, shown));
        }
        attempt.remark(choice.plain(file));
    }
    // A certificate of the agent may be named without its key file.
    for shown in &explicit {
        choice.in_agent(&shown.blob);
    }
    attempt.remark(choice.not_signed_for());
    choice.all()
}

/// The certificate files that are there, and what is to be said of those that are not.
fn certificates(paths: &[PathBuf]) -> (Vec<CertificateFile>, Vec<String>) {
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    for path in paths {
        match keyfile::certificate(path) {
            Some(file) => found.push(file),
            None => unread.push(format!(
                "CertificateFile {} is not there or no certificate",
                path.display()
            )),
        }
    }
    (found, unread)
}

/// The list of what to try, as it is made.
struct Choice<'a> {
    to: &'a Resolved,
    /// Keys and certificates of the agent that are not on the list yet.
    offered: Vec<PublicKey>,
    list: Vec<Candidate>,
}

impl Choice<'_> {
    /// Takes what the agent has under this public half, if it has it.
    fn in_agent(&mut self, public: &[u8]) -> bool {
        let mut offered = self.offered.iter();
        let copy = offered.position(|key| key.blob() == public && !rsa_certificate(public));
        if let Some(copy) = copy {
            let key = self.offered.remove(copy);
            self.push(public, Candidate::Agent(key));
        }
        copy.is_some()
    }

    fn push(&mut self, public: &[u8], candidate: Candidate) {
        if allowed(self.to, public) {
            self.list.push(candidate);
        }
    }

    /// A certificate signs with its key: of the agent, where the agent has the certificate, or of the file.
    fn certified(&mut self, file: &KeyFile, shown: &CertificateFile) -> Option<String> {
        if self.in_agent(&shown.blob) {
            return None;
        }
        let (key, path) = (file.path.display(), shown.path.display());
        if !file.private || file.encrypted {
            let beside = keyfile::beside(&file.path, "-cert.pub");
            return Some(format!(
                "certificate {path} is not in the agent, and key file {key} cannot be used without it; put the certificate \
                 at {} and run `ssh-add {key}`",
                beside.display()
            ));
        }
        let candidate = Candidate::Certified(file.path.clone(), shown.clone());
        self.push(&shown.blob, candidate);
        None
    }

    fn plain(&mut self, file: KeyFile) -> Option<String> {
        let public = file.public.clone().unwrap_or_default();
        if self.in_agent(&public) {
            return None;
        }
        if file.encrypted {
            let path = file.path.display();
            return Some(format!(
                "key file {path} is encrypted and not in the agent; run `ssh-add {path}`"
            ));
        }
        if file.private {
            self.push(&public, Candidate::File(file));
        }
        None
    }

    /// Certificates of RSA keys are left in the agent: libssh2 asks it for a SHA-1 signature, which machines refuse.
    fn not_signed_for(&mut self) -> Vec<String> {
        let remark = |key: &PublicKey| {
            format!(
                "agent certificate `{}` is of an RSA key, for which libssh2 asks the agent for a signature that machines \
                 refuse; name its key file with IdentityFile and the certificate with CertificateFile, or have an ed25519 \
                 key certified",
                key.comment()
            )
        };
        let (left, offered) = std::mem::take(&mut self.offered)
            .into_iter()
            .partition::<Vec<_>, _>(|key| rsa_certificate(key.blob()));
        self.offered = offered;
        left.iter().map(remark).collect()
    }

    /// The list, and after it the rest of the agent, unless only what is named may be tried.
    fn all(mut self) -> Vec<Candidate> {
        if !self.to.identities_only {
            for key in std::mem::take(&mut self.offered) {
                let public = key.blob().to_vec();
                self.push(&public, Candidate::Agent(key));
            }
        }
        self.list
    }
}

fn rsa_certificate(public: &[u8]) -> bool {
    keyfile::kind(public).as_deref() == Some("ssh-rsa-cert-v01@openssh.com")
}

/// Whether `PubkeyAcceptedAlgorithms` has a place for this key. A key whose kind is not known may be tried.
fn allowed(to: &Resolved, public: &[u8]) -> bool {
    let Some(list) = &to.algorithms.user_key else {
        return true;
    };
    match keyfile::kind(public).as_deref() {
        None => true,
        Some("ssh-rsa") => listed(list, "rsa-sha2-512") || listed(list, "rsa-sha2-256"),
        Some("ssh-rsa-cert-v01@openssh.com") => {
            listed(list, "rsa-sha2-512-cert-v01@openssh.com")
                || listed(list, "rsa-sha2-256-cert-v01@openssh.com")
        }
        Some(kind) => listed(list, kind),
    }
}
