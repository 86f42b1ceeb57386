//! Proving who we are: the keys of the agent and the key files, one after another.

use std::path::{Path, PathBuf};

use ssh2::{ErrorCode, PublicKey, Session};

use super::config::Resolved;
use super::keyfile::{self, KeyFile};
use super::known::fingerprint;

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

/// One key to try.
enum Candidate {
    Agent(PublicKey),
    File(KeyFile),
}

impl Candidate {
    fn name(&self) -> String {
        match self {
            Self::Agent(key) => {
                format!("agent key `{}` {}", key.comment(), fingerprint(key.blob()))
            }
            Self::File(file) => format!("key file {}", file.path.display()),
        }
    }
}

/// Tries the keys that are left.
///
/// Order: for each configured file its copy in the agent or else the file, then the other keys of the agent. Keys of
/// other purposes in the agent so cost none of the few tries sshd allows.
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
            let story = format!("agent {}: {}", socket.display(), e.message());
            if !attempt.story.contains(&story) {
                attempt.story.push(story);
            }
            None
        }
    }
}

fn candidates(to: &Resolved, mut offered: Vec<PublicKey>, attempt: &mut Attempt) -> Vec<Candidate> {
    let mut list = Vec::new();
    for file in to
        .identities
        .iter()
        .filter_map(|path: &PathBuf| keyfile::read(path))
    {
        let copy = file
            .public
            .as_ref()
            .and_then(|public| offered.iter().position(|key| key.blob() == public));
        if let Some(copy) = copy {
            list.push(Candidate::Agent(offered.remove(copy)));
        } else if file.encrypted {
            let path = file.path.display();
            let story =
                format!("key file {path} is encrypted and not in the agent; run `ssh-add {path}`");
            if !attempt.story.contains(&story) {
                attempt.story.push(story);
            }
        } else if file.private {
            list.push(Candidate::File(file));
        }
    }
    if !to.identities_only {
        list.extend(offered.into_iter().map(Candidate::Agent));
    }
    list
}
