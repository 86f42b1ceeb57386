//! One warning, or one reviewed file, accepted by signature. Errors cannot be waived; the step that asks decides what
//! is a warning.

use flow_engine::clock::Timestamp;
use flow_engine::run::Run;
use serde::{Deserialize, Serialize};

use super::roster::People;
use super::sign_off::newest_about;
use super::statement::Subject;
use super::verify::{self, Accepted, SignOffRefusal, SignedAnswer, Wanted};

/// How long a waiver or review holds at most: a working week, so that a release may wait over a weekend.
pub const HOURS_MAX: u64 = 7 * 24;

/// A warning somebody accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// Digest of the finding or the file.
    pub finding: String,
    /// Why it is accepted.
    pub reason: String,
    /// As what the signer signed.
    pub role: String,
    /// Who.
    pub signer: String,
    /// With which key.
    pub fingerprint: String,
    /// Digest of the signed bytes.
    pub statement_sha256: String,
    /// When.
    pub signed_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

impl From<Accepted> for Waiver {
    fn from(accepted: Accepted) -> Waiver {
        let said = accepted.statement;
        Waiver {
            finding: said.finding.unwrap_or_default(),
            reason: said.note,
            role: said.role,
            signer: said.signer,
            fingerprint: accepted.fingerprint,
            statement_sha256: accepted.statement_sha256,
            signed_at: said.issued_at,
            expires_at: said.expires_at,
        }
    }
}

/// Whether a signed answer about one finding counts: the signature of anybody in the roster, for this run, step,
/// plan, commit and finding. The caller looks at [`Waiver::role`] when only some roles may.
///
/// # Errors
/// [`SignOffRefusal`], as for a sign-off.
pub async fn verify_waiver(
    run: &Run,
    step: &str,
    people: &People,
    (subject, finding): (Subject, &str),
    answer: &SignedAnswer,
    now: Timestamp,
) -> Result<Accepted, SignOffRefusal> {
    let wanted = Wanted {
        subject,
        role: None,
        finding: Some(finding),
        hours: HOURS_MAX,
    };
    verify::check(run, step, people, answer, &wanted, now).await
}

/// The waiver (or review) of a finding by a role among the answers to a step, if there is one that holds. The one made
/// last by that role decides, whatever other roles or other findings were answered since; a rejection made last means none.
///
/// # Errors
/// [`SignOffRefusal::Unchecked`] when an answer could not be judged. Answers that do not count are passed over.
pub async fn waived(
    run: &Run,
    step: &str,
    people: &People,
    (subject, finding): (Subject, &str),
    role: &str,
    now: Timestamp,
) -> Result<Option<Waiver>, SignOffRefusal> {
    let mut last: Option<Accepted> = None;
    for (_, answer) in newest_about(run, step, finding) {
        match verify_waiver(run, step, people, (subject, finding), &answer, now).await {
            Ok(one)
                if one.statement.role == role
                    && last
                        .as_ref()
                        .is_none_or(|l| l.statement.issued_at <= one.statement.issued_at) =>
            {
                last = Some(one);
            }
            Err(why @ SignOffRefusal::Unchecked(_)) => return Err(why),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(last.filter(|one| !one.rejects()).map(Waiver::from))
}
