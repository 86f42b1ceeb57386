//! The migrations of a release, read by somebody of a role and approved by signature: for exactly what was shown.

use flow_engine::clock::Timestamp;
use flow_engine::run::Run;

use crate::means::signature::decision::Standing;
use crate::means::signature::roster::People;
use crate::means::signature::statement::Subject;
use crate::means::signature::verify::{Accepted, SignOffRefusal, SignedAnswer, Wanted};
use crate::means::signature::waiver::HOURS_MAX;
use crate::means::signature::{decision, starter, verify};

/// What a reviewer is asked to approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Who must approve.
    pub role: String,
    /// Digest of everything that was shown, in hexadecimal digits. An approval of another one does not count.
    pub digest: String,
}

/// The answers to a review.
#[derive(Debug, Default)]
pub struct Answers {
    /// Which of them decides.
    pub standing: Standing,
    /// Why the others do not count, one line each.
    pub ignored: Vec<String>,
}

/// Whether a signed answer to a review counts: the signature of somebody of that role, for this run, step, plan,
/// commit, evidence and digest. Who started the run is barred where the roster bars them from signing off.
///
/// # Errors
/// [`SignOffRefusal`], as for a sign-off.
pub async fn verify_review(
    run: &Run,
    step: &str,
    people: &People,
    asked: &Asked,
    answer: &SignedAnswer,
    now: Timestamp,
) -> Result<Accepted, SignOffRefusal> {
    let wanted = Wanted {
        subject: Subject::Review,
        role: Some(&asked.role),
        finding: Some(&asked.digest),
        hours: HOURS_MAX,
    };
    let accepted = verify::check(run, step, people, answer, &wanted, now).await?;
    starter::bars(run, people, accepted.signer())?;
    Ok(accepted)
}

/// Every answer to a review, judged now.
///
/// # Errors
/// [`SignOffRefusal::Unchecked`] when an answer could not be judged.
pub async fn answers(
    run: &Run,
    step: &str,
    people: &People,
    asked: &Asked,
    now: Timestamp,
) -> Result<Answers, SignOffRefusal> {
    let mut judged = Answers::default();
    for (id, answer) in decision::newest(run, step, None) {
        let taken = match verify_review(run, step, people, asked, &answer, now).await {
            Ok(accepted) => judged.standing.take(accepted),
            Err(why) => Err(why),
        };
        match taken {
            Ok(()) => {}
            Err(why @ SignOffRefusal::Unchecked(_)) => return Err(why),
            Err(why) => judged
                .ignored
                .push(format!("answer {id} does not count: {why}")),
        }
    }
    Ok(judged)
}

/// Whether an answer would decide, were it stored now.
///
/// # Errors
/// [`SignOffRefusal`].
pub async fn hand_in(
    run: &Run,
    step: &str,
    people: &People,
    asked: &Asked,
    answer: &SignedAnswer,
    now: Timestamp,
) -> Result<(), SignOffRefusal> {
    let accepted = verify_review(run, step, people, asked, answer, now).await?;
    let mut given = answers(run, step, people, asked, now).await?;
    given.standing.take(accepted)
}
