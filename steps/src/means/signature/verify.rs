//! Whether a signed answer counts. Used by the step that waits for it, and by the command that hands it in, so that a
//! signer hears at once, with the exact reason, that theirs does not.

use std::time::Duration;

use flow_engine::clock::Timestamp;
use flow_engine::id::Digest;
use flow_engine::run::Run;
use serde::{Deserialize, Serialize};

use crate::means::facts;
use crate::means::signature::roster::{NAMESPACE, People, Person};
use crate::means::signature::sshsig::{Envelope, SshSigError};
use crate::means::signature::statement::{Decision, Statement, StatementError, Subject};
use crate::means::signature::{sshsig, statement};

/// The longest answer, in bytes of JSON: a record takes 4096 with the signal around it.
pub const ANSWER_MAX: usize = 3700;
/// By how much a signer's clock may be ahead.
const AHEAD: Duration = Duration::from_mins(5);

/// The body of a signed answer: the signal's body is this as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedAnswer {
    /// The signed text, byte for byte.
    pub statement: String,
    /// The armoured SSH signature over it.
    pub signature: String,
}

impl SignedAnswer {
    /// The body of the signal that carries this answer.
    ///
    /// # Panics
    /// Never: two texts are JSON.
    pub fn body(&self) -> String {
        serde_json::to_string(self).expect("two texts are JSON")
    }

    /// The id of that signal: the same answer handed in twice is one signal, and a new signature is a new one.
    pub fn signal_id(&self) -> String {
        format!("signed-{}", Digest::of(self.body().as_bytes()).short())
    }
}

/// An answer that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What was signed.
    pub statement: Statement,
    /// The key that signed.
    pub fingerprint: String,
    /// Digest of the signed bytes, in hexadecimal digits.
    pub statement_sha256: String,
}

/// Why an answer does not count. Nothing was stored because of it; the run is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignOffRefusal {
    /// The step does not take signed answers.
    #[error("step `{0}` does not wait for a sign-off")]
    NotAsked(String),
    /// Too much text.
    #[error(
        "the answer has {0} bytes, the limit is {ANSWER_MAX}; use a shorter note, or an ed25519 key"
    )]
    TooLarge(usize),
    /// Neither a statement nor a signature.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// Signed for something else.
    #[error("the signature is for the namespace `{0}`, not `{NAMESPACE}`")]
    Namespace(String),
    /// A key nobody of the role holds.
    #[error("the key {fingerprint} {held}; this needs a key of role `{wanted}`")]
    WrongKey {
        /// The fingerprint of the key, `SHA256:…`.
        fingerprint: String,
        /// Who holds it, in words.
        held: String,
        /// The role that is asked.
        wanted: String,
    },
    /// The text was changed, or the signature is another text's.
    #[error("the signature does not fit the text: {0}")]
    Signature(SshSigError),
    /// A statement about something else.
    #[error("it was signed for {what} `{signed}`, and this is `{here}`")]
    Other {
        /// Which field of the statement is another one.
        what: &'static str,
        /// What was signed.
        signed: String,
        /// What is asked.
        here: String,
    },
    /// What the statement names changed since.
    #[error("{what} changed since it was signed; look at the run again and sign anew")]
    Changed {
        /// What is not as it was signed.
        what: &'static str,
    },
    /// Not now, or not like this.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Handed in after the moment it names as its end.
    #[error("it expired at {0}; sign anew")]
    Expired(Timestamp),
    /// Made later than now, by more than clocks may differ.
    #[error("it says it was made at {issued}, and it is {now} here; set the signer's clock")]
    Ahead {
        /// By the statement.
        issued: Timestamp,
        /// By this machine.
        now: Timestamp,
    },
    /// Longer than allowed.
    #[error("it is to hold until {until}, longer than the {hours} h this step allows")]
    TooLong {
        /// By the statement.
        until: Timestamp,
        /// By the plan.
        hours: u64,
    },
    /// One key, two roles.
    #[error(
        "the key {fingerprint} has signed this run as `{role}` already; one key may not hold two roles"
    )]
    TwoRoles {
        /// The fingerprint of the key, `SHA256:…`.
        fingerprint: String,
        /// The other role.
        role: String,
    },
    /// A rejection stands, and this approval was signed without it in view.
    #[error(
        "{signer} ({role}) rejected it since: {note}; a rejection is taken back by an approval that is signed after it, so look at the run again and sign anew"
    )]
    Overtaken {
        /// Who rejected it, as in the roster.
        signer: String,
        /// The role of that rejection.
        role: String,
        /// The reason of that rejection.
        note: String,
    },
    /// An answer that was given before, and another one after it.
    #[error("this very answer was given before, and another one since; sign anew")]
    Repeated,
    /// The step asks for no waiver.
    #[error("step `{0}` does not wait for a waiver now")]
    NoWaiver(String),
    /// Not what the step asks about.
    #[error(
        "`{given}` {} of the findings that `{step}` asks about: {open}",
        if *several { "begins several" } else { "is none" }
    )]
    NoFinding {
        /// The key of the step that asks.
        step: String,
        /// What was given.
        given: String,
        /// Whether it is the beginning of more than one.
        several: bool,
        /// The digests of those that are open, shortened.
        open: String,
    },
    /// An answer of the person who started the run.
    #[error("{0} started this run and may not sign it off")]
    Starter(String),
    /// A run whose starter has no login name, where the roster bars starters.
    #[error(
        "this run was started by `{0}`, which has no login name on that machine, so nobody can tell whom to bar; give the user a name there, cancel this run and start another one"
    )]
    NamelessStarter(String),
    /// A run without the signature of its starter.
    #[error("the start of this run is not signed")]
    Unsigned,
    /// The signature could not be checked at all.
    #[error("the signature could not be checked: {0}")]
    Unchecked(SshSigError),
}

/// What a statement must be about.
pub(crate) struct Wanted<'a> {
    pub(crate) subject: Subject,
    /// Nothing means: any role of the roster.
    pub(crate) role: Option<&'a str>,
    pub(crate) finding: Option<&'a str>,
    pub(crate) hours: u64,
}

/// Everything but what concerns other answers. The signature is checked before the text is believed.
pub(crate) async fn check(
    run: &Run,
    step: &str,
    people: &People,
    answer: &SignedAnswer,
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> Result<Accepted, SignOffRefusal> {
    let size = answer.body().len();
    if size > ANSWER_MAX {
        return Err(SignOffRefusal::TooLarge(size));
    }
    let unreadable = |why: &str| SignOffRefusal::Unreadable(why.into());
    let envelope = Envelope::parse(&answer.signature).map_err(|e| unreadable(&e.to_string()))?;
    if envelope.namespace != NAMESPACE {
        return Err(SignOffRefusal::Namespace(
            envelope.namespace.chars().take(60).collect(),
        ));
    }
    let (role, person) = holder(people, &envelope.fingerprint, wanted.role)?;
    let allowed = people.allowed_signers();
    let principal = person.principal(role);
    sshsig::verify(
        answer.statement.as_bytes(),
        &answer.signature,
        &allowed,
        &principal,
        now,
    )
    .await
    .map_err(|e| match e {
        SshSigError::Invalid(_) | SshSigError::NoSignature => SignOffRefusal::Signature(e),
        other => SignOffRefusal::Unchecked(other),
    })?;
    let statement = Statement::parse(&answer.statement)
        .ok_or_else(|| unreadable("the text is no statement of this version of flow"))?;
    about(run, step, &statement, (role, &person.name), wanted)?;
    // A no stands whatever the clocks say, and whatever was found since it was signed.
    if statement.decision == Decision::Approve {
        unchanged(run, step, &statement)?;
        in_time(&statement, wanted.hours, now)?;
    }
    Ok(Accepted {
        statement,
        fingerprint: envelope.fingerprint,
        statement_sha256: Digest::of(answer.statement.as_bytes()).to_string(),
    })
}

fn holder<'a>(
    people: &'a People,
    fingerprint: &str,
    wanted: Option<&str>,
) -> Result<(&'a str, &'a Person), SignOffRefusal> {
    let wrong = |held: String| SignOffRefusal::WrongKey {
        fingerprint: fingerprint.to_owned(),
        held,
        wanted: wanted.unwrap_or("any").to_owned(),
    };
    match people.holder(fingerprint) {
        None => Err(wrong("is in no role of the roster".into())),
        Some((role, person)) if wanted.is_some_and(|w| w != role) => {
            Err(wrong(format!("is {}'s, of role `{role}`", person.name)))
        }
        Some(found) => Ok(found),
    }
}

fn about(
    run: &Run,
    step: &str,
    signed: &Statement,
    (role, name): (&str, &str),
    wanted: &Wanted<'_>,
) -> Result<(), SignOffRefusal> {
    let subject = |s: Subject| format!("{s:?}").to_lowercase();
    let finding = wanted.finding.unwrap_or_default();
    let fields = [
        ("run", signed.run.clone(), run.id.to_string()),
        ("subject", subject(signed.subject), subject(wanted.subject)),
        ("step", signed.step.clone(), step.to_owned()),
        (
            "environment",
            signed.environment.clone(),
            run.plan.environment.clone(),
        ),
        ("role", signed.role.clone(), role.to_owned()),
        ("signer", signed.signer.clone(), name.to_owned()),
        (
            "finding",
            signed.finding.clone().unwrap_or_default(),
            finding.to_owned(),
        ),
    ];
    if let Some((what, signed, here)) = fields.into_iter().find(|(_, signed, here)| signed != here)
    {
        return Err(SignOffRefusal::Other { what, signed, here });
    }
    signed.words().check()?;
    let commit = run.plan.fact(facts::COMMIT);
    let same = [
        (
            "the plan",
            signed.plan_digest == run.plan_digest.to_string(),
        ),
        ("the commit", signed.commit == commit),
    ];
    match same.into_iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(SignOffRefusal::Changed { what }),
        None => Ok(()),
    }
}

/// Whether what was shown to the signer is what there is.
fn unchanged(run: &Run, step: &str, signed: &Statement) -> Result<(), SignOffRefusal> {
    let here = statement::build(run, step, signed.words())?;
    let changed = [
        (
            "the evidence",
            signed.evidence_digest == here.evidence_digest,
        ),
        ("the summary that is shown", signed.summary == here.summary),
    ];
    match changed.into_iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(SignOffRefusal::Changed { what }),
        None if *signed != here => Err(SignOffRefusal::Changed {
            what: "the statement",
        }),
        None => Ok(()),
    }
}

fn in_time(signed: &Statement, hours: u64, now: Timestamp) -> Result<(), SignOffRefusal> {
    let issued = signed.issued_at;
    let until = signed.expires_at;
    if issued > now.plus(AHEAD) {
        return Err(SignOffRefusal::Ahead { issued, now });
    }
    if until <= now {
        return Err(SignOffRefusal::Expired(until));
    }
    if until > issued.plus(Duration::from_secs(hours.saturating_mul(3600))) {
        return Err(SignOffRefusal::TooLong { until, hours });
    }
    Ok(())
}

impl Accepted {
    /// The key and the name it was signed with.
    pub(crate) fn signer(&self) -> (&str, &str) {
        (&self.fingerprint, &self.statement.signer)
    }

    /// Whether it says no.
    pub fn rejects(&self) -> bool {
        self.statement.decision == Decision::Reject
    }
}
