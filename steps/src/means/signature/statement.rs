//! What a person signs: one JSON text that names everything the decision rests on.
//!
//! [`build`] makes it from the run, for the signer who is shown it and again for the verifier who compares: what a
//! signature is accepted for cannot differ from what was shown.
//!
//! **When a sign-off is void.** The statement binds the plan's digest, the commit and a digest of the evidence: key,
//! state and output of every step before the *first* sign-off step of the phase. So sign-offs given side by side do
//! not void one another, and one that is given while an earlier step is still open is refused rather than stored to
//! be void later.

use flow_engine::clock::Timestamp;
use flow_engine::id::Digest;
use flow_engine::plan::Plan;
use flow_engine::run::{Run, Status};
use flow_engine::{answer, audit};
use serde::{Deserialize, Serialize};

use crate::means::signature::summary;
use crate::means::{facts, kinds};

/// The version of the statement's shape.
pub const VERSION: u16 = 1;
/// The longest note, in bytes: with everything else and a signature of a 4096 bit RSA key it fits one record.
pub const NOTE_MAX: usize = 240;

/// The signed text. Its bytes are [`Statement::text`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Of this shape.
    pub version: u16,
    /// What is decided on.
    pub subject: Subject,
    /// The name of the run it holds for, and no other.
    pub run: String,
    /// The step that asks.
    pub step: String,
    /// The environment changed last.
    pub environment: String,
    /// As what the signer signs.
    pub role: String,
    /// The signer's name in the roster.
    pub signer: String,
    /// Whether it is a yes or a no.
    pub decision: Decision,
    /// Of the plan, in hexadecimal digits.
    pub plan_digest: String,
    /// What is released, in full; empty where the plan names no commit. Its digest binds the plan all the same.
    pub commit: String,
    /// See the module, in hexadecimal digits.
    pub evidence_digest: String,
    /// For a waiver or a review: the digest of what is waived or was reviewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// For an answer after a rejection of the same role: the first half of the digest of the rejected statement. An
    /// approval that does not name the rejection does not take it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Exactly what was shown, line by line.
    pub summary: Vec<String>,
    /// The signer's own words; the reason of a rejection or a waiver.
    pub note: String,
    /// When it was made.
    #[serde(with = "rfc3339")]
    pub issued_at: Timestamp,
    /// Until when it holds.
    #[serde(with = "rfc3339")]
    pub expires_at: Timestamp,
}

/// What a statement decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The release, with all its evidence.
    Signoff,
    /// One warning, accepted.
    Waiver,
    /// A migration file, read.
    Review,
    /// That a release is started, and by whom.
    Start,
}

impl From<answer::Subject> for Subject {
    fn from(subject: answer::Subject) -> Subject {
        match subject {
            answer::Subject::Signoff => Subject::Signoff,
            answer::Subject::Review => Subject::Review,
            answer::Subject::Waiver => Subject::Waiver,
        }
    }
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Yes, to exactly what was shown.
    Approve,
    /// No, for the reason in the note.
    Reject,
}

/// The part of a statement that does not come from the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// On what is decided.
    pub subject: Subject,
    /// The role that the signer signs for.
    pub role: String,
    /// Who, as in the roster.
    pub signer: String,
    /// Whether it is a yes or a no.
    pub decision: Decision,
    /// The signer's own words; a rejection and a waiver need some.
    pub note: String,
    /// For a waiver or a review.
    pub finding: Option<String>,
    /// The rejection that stands, as [`Standing::rejection`](crate::means::signature::decision::Standing::rejection) names it.
    pub after: Option<String>,
    /// When it is made.
    pub issued_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

impl Words {
    /// Whether the note is plain and short, and there where one is needed.
    pub(crate) fn check(&self) -> Result<(), StatementError> {
        let needs_reason = self.decision == Decision::Reject || self.subject == Subject::Waiver;
        let plain = self.note.chars().all(crate::means::plain::is_plain);
        let missing = needs_reason && self.note.trim().is_empty();
        if !plain || self.note.len() > NOTE_MAX || missing {
            return Err(StatementError::Note);
        }
        Ok(())
    }
}

/// Why there is nothing to sign yet, or not like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// No such step.
    #[error("the plan of this run has no step `{0}`")]
    NoStep(String),
    /// A step before it is open.
    #[error("step `{0}` is not finished, so the evidence is not complete; sign when it is")]
    Early(String),
    /// A note that is too long, not plain, or missing where one is needed.
    #[error("give a reason as the note: 1 to {NOTE_MAX} bytes of plain text, without line breaks")]
    Note,
}

/// The statement about a step of a run as it is now.
///
/// # Errors
/// [`StatementError`]; nothing can be signed then.
pub fn build(run: &Run, step: &str, words: Words) -> Result<Statement, StatementError> {
    words.check()?;
    let cut = cut(&run.plan, step).ok_or_else(|| StatementError::NoStep(step.into()))?;
    let evidence = evidence(run, cut)?;
    Ok(Statement {
        version: VERSION,
        subject: words.subject,
        run: run.id.to_string(),
        step: step.into(),
        environment: run.plan.environment.clone(),
        role: words.role,
        signer: words.signer,
        decision: words.decision,
        plan_digest: run.plan_digest.to_string(),
        commit: run.plan.fact(facts::COMMIT).to_owned(),
        evidence_digest: evidence.to_string(),
        finding: words.finding,
        after: words.after,
        summary: summary::lines(run, cut),
        note: words.note,
        issued_at: words.issued_at,
        expires_at: words.expires_at,
    })
}

/// How many steps of the plan the evidence for `step` is made of; nothing when there is no such step.
///
/// For a sign-off: those before the first sign-off of its phase. For another step: those before it and before any
/// step that runs beside it.
pub fn cut(plan: &Plan, step: &str) -> Option<usize> {
    let (_, asked) = plan.node(step)?;
    let is_sign_off = |kind: &str| kind == kinds::SIGN_OFF;
    plan.nodes.iter().position(|node| {
        let beside = node.group.is_some() && node.group == asked.group;
        let fellow = is_sign_off(&asked.kind) && is_sign_off(&node.kind);
        node.key == asked.key || (node.phase == asked.phase && (beside || fellow))
    })
}

/// The digest of key, state and output of the first `cut` steps.
///
/// # Errors
/// [`StatementError::Early`] names the first of them that is neither done nor skipped.
pub fn evidence(run: &Run, cut: usize) -> Result<Digest, StatementError> {
    let rows = audit::rows(run);
    let mut facts = Vec::with_capacity(cut);
    for (row, state) in rows.iter().zip(&run.steps).take(cut) {
        if !matches!(state.status, Status::Done | Status::Skipped) {
            return Err(StatementError::Early(row.key.clone()));
        }
        facts.push((&row.key, row.state, &row.output));
    }
    let json = serde_json::to_vec(&facts).unwrap_or_default();
    Ok(Digest::of(&json))
}

impl Statement {
    /// The bytes that are signed: JSON with a line for each field, in the order above, and a line break at the end.
    ///
    /// # Panics
    /// Never: a statement is plain data.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a statement is plain data");
        text.push('\n');
        text
    }

    /// Reads a signed text. Only the very bytes that [`Statement::text`] makes are one: no second spelling of a
    /// statement can be signed.
    pub fn parse(text: &str) -> Option<Statement> {
        let statement: Statement = serde_json::from_str(text).ok()?;
        (statement.version == VERSION && statement.text() == text).then_some(statement)
    }

    /// The part that the run does not determine.
    pub fn words(&self) -> Words {
        Words {
            subject: self.subject,
            role: self.role.clone(),
            signer: self.signer.clone(),
            decision: self.decision,
            note: self.note.clone(),
            finding: self.finding.clone(),
            after: self.after.clone(),
            issued_at: self.issued_at,
            expires_at: self.expires_at,
        }
    }
}

mod rfc3339 {
    use flow_engine::clock::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands fields over by reference"
    )]
    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        let at: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        Ok(Timestamp(at.as_millisecond()))
    }
}
