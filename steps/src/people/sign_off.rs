//! `people.signoff`: the run goes on when somebody of a role has signed.

use async_trait::async_trait;
use flow_engine::answer::{self, Answer, Asked, Refusal};
use flow_engine::clock::Timestamp;
use flow_engine::id::RunId;
use flow_engine::record::Wait;
use flow_engine::run::{Run, Status};
use flow_engine::signal::Signal;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::decision::{self, Standing};
use super::judging;
use super::origin;
use super::roster::People;
use super::starter;
use super::statement::{self, StatementError};
use super::verify::{self, Accepted, SignOffRefusal, SignedAnswer};

/// The kind of [`SignOff`] in stored plans.
pub const KIND: &str = "people.signoff";

/// Waits for a signed yes from somebody of a role; see [`verify::verify_answer`] for what counts.
///
/// Of the answers that count the last one in the journal decides, whatever the signers' clocks say, and a no is taken
/// back only by a yes that names it; see [`super::decision`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOff {
    /// Who must sign.
    pub role: String,
    /// How long a signature holds at most.
    pub valid_hours: u64,
}

/// A sign-off that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedOff {
    /// The role that was signed for.
    pub role: String,
    /// Who, as in the roster.
    pub signer: String,
    /// With which key.
    pub fingerprint: String,
    /// Digest of the signed bytes.
    pub statement_sha256: String,
    /// What it was given for.
    pub evidence_digest: String,
    /// When it was signed, by the signer's clock.
    pub signed_at: Timestamp,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

impl From<Accepted> for SignedOff {
    fn from(accepted: Accepted) -> SignedOff {
        SignedOff {
            role: accepted.statement.role,
            signer: accepted.statement.signer,
            fingerprint: accepted.fingerprint,
            statement_sha256: accepted.statement_sha256,
            evidence_digest: accepted.statement.evidence_digest,
            signed_at: accepted.statement.issued_at,
            expires_at: accepted.statement.expires_at,
        }
    }
}

#[async_trait]
impl Step for SignOff {
    const KIND: &'static str = KIND;
    type Output = SignedOff;

    fn summary(&self) -> String {
        format!(
            "{} signs the release off, for at most {} h",
            self.role, self.valid_hours
        )
    }

    fn answered_by(&self) -> Option<String> {
        Some(self.role.clone())
    }

    /// Before the step asks, too; and after it is done, for a sign-off can be withdrawn until production is changed.
    async fn accepts(&self, asked: &Asked<'_>, signal: &Signal) -> Result<(), Refusal> {
        if asked.run.production_changed() {
            return Err(asked.not_asked("production is changed already"));
        }
        let (answer, people) = judging::signed(asked, signal).await?;
        Ok(hand_in(asked.run, asked.key(), &people, &answer, asked.now).await?)
    }

    async fn run(&self, cx: &Cx) -> Result<SignedOff, StepError> {
        let people = origin::needed(cx).await?;
        if people.of_role(&self.role).is_empty() {
            return Err(StepError::fail(format!(
                "nobody in the roster has the role `{}`",
                self.role
            ))
            .hint(origin::FROZEN));
        }
        let (standing, ignored) = standing(cx.run(), cx.key(), &people, cx.now())
            .await
            .map_err(|why| StepError::unreached("an answer could not be checked").because(&why))?;
        for line in ignored {
            cx.log(line);
        }
        match standing.into_last() {
            Some(no) if no.rejects() => Err(rejected(cx.run_id(), &no)),
            Some(yes) => Ok(yes.into()),
            None => Err(StepError::Wait(Wait {
                who: self.role.clone(),
                what: format!("sign-off by {}", self.role),
                answer: Some(question(&self.role)),
                until: None,
            })),
        }
    }
}

/// The answer that a role is asked for.
pub(crate) fn question(role: &str) -> Answer {
    Answer::Signature {
        role: role.to_owned(),
        subject: answer::Subject::Signoff,
        about: None,
    }
}

fn rejected(run: &RunId, no: &Accepted) -> StepError {
    let said = &no.statement;
    StepError::refuse(format!(
        "{} ({}) rejected the release: {}",
        said.signer, said.role, said.note
    ))
    .hint(format!(
        "clear it up, have the role sign again, then: flow retry {run}; or: flow cancel {run} --reason …"
    ))
}

/// What the answers to a sign-off come to now, and why some of them do not count.
///
/// # Errors
/// [`SignOffRefusal::Unchecked`] when an answer could not be judged.
pub async fn standing(
    run: &Run,
    step: &str,
    people: &People,
    now: Timestamp,
) -> Result<(Standing, Vec<String>), SignOffRefusal> {
    let mut standing = Standing::default();
    let mut ignored = Vec::new();
    for (id, answer) in decision::newest(run, step, None) {
        let taken = match verify::verify_answer(run, step, people, &answer, now).await {
            Ok(accepted) => standing.take(accepted),
            Err(why) => Err(why),
        };
        match taken {
            Ok(()) => {}
            Err(why @ SignOffRefusal::Unchecked(_)) => return Err(why),
            Err(why) => ignored.push(format!("answer {id} does not count: {why}")),
        }
    }
    Ok((standing, ignored))
}

/// Whether an answer would decide, were it stored now: as [`verify::verify_answer`], among those that are there.
///
/// # Errors
/// [`SignOffRefusal`].
pub async fn hand_in(
    run: &Run,
    step: &str,
    people: &People,
    answer: &SignedAnswer,
    now: Timestamp,
) -> Result<(), SignOffRefusal> {
    let accepted = verify::verify_answer(run, step, people, answer, now).await?;
    standing(run, step, people, now).await?.0.take(accepted)
}

/// Why the sign-offs of a run do not hold any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotValid {
    /// The plan has none.
    #[error("the plan has no sign-off step")]
    None,
    /// One is missing.
    #[error("`{0}` is not signed")]
    Missing(String),
    /// A sign-off is older than it may be.
    #[error("the sign-off by {role} ({signer}) expired at {at}")]
    Expired {
        /// The role that was signed for.
        role: String,
        /// Who signed, as in the roster.
        signer: String,
        /// Until when it held.
        at: Timestamp,
    },
    /// A rejection came after the sign-off was taken.
    #[error("{signer} ({role}) has since rejected the release: {note}")]
    Withdrawn {
        /// The role that was signed for.
        role: String,
        /// Who signed, as in the roster.
        signer: String,
        /// The reason of the rejection.
        note: String,
    },
    /// One key for two.
    #[error("the key {0} signed for two roles")]
    TwoRoles(String),
    /// The key is not in the role any more.
    #[error("the key of {signer} is no longer in the role `{role}`")]
    Removed {
        /// The role that was signed for.
        role: String,
        /// Who signed, as in the roster.
        signer: String,
        /// Whether somebody else holds the role in the roster of this run.
        others: bool,
    },
    /// What was signed for is not what there is now.
    #[error("the evidence changed since {role} signed")]
    Changed {
        /// The role that was signed for.
        role: String,
    },
    /// The evidence, incomplete.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The signature of the start does not hold any more.
    #[error("who started this run is not certain: {0}")]
    Start(SignOffRefusal),
    /// The starter's own.
    #[error("{0} started this run, and the roster bars them from signing it off")]
    Starter(String),
    /// A later answer could not be read.
    #[error(transparent)]
    Unchecked(#[from] SignOffRefusal),
}

/// Whether every sign-off of the plan is given and holds at this moment; for the gate right before production.
///
/// Looks again at what may have changed since each step accepted its own: the signed start, time, the roster, one key in two roles
/// (four steps that accept at the same instant do not see one another), a later rejection. Whoever signs again before
/// the gate renews a sign-off that expired.
///
/// # Errors
/// [`NotValid`] names the first that does not hold.
pub async fn still_valid(
    run: &Run,
    people: &People,
    now: Timestamp,
) -> Result<Vec<SignedOff>, NotValid> {
    if starter::step(&run.plan).is_some() {
        starter::judge(run, people).await.map_err(|why| match why {
            SignOffRefusal::Unchecked(_) => NotValid::Unchecked(why),
            why => NotValid::Start(why),
        })?;
    }
    let mut given: Vec<SignedOff> = Vec::new();
    let nodes = run.plan.nodes.iter().zip(&run.steps);
    for (node, state) in nodes.filter(|(n, _)| n.kind == KIND) {
        let missing = || NotValid::Missing(node.key.clone());
        let output = state
            .output
            .as_deref()
            .filter(|_| state.status == Status::Done);
        let one: SignedOff =
            serde_json::from_str(output.ok_or_else(missing)?).map_err(|_| missing())?;
        let one = renewed(run, people, &node.key, one, now).await?;
        holds(run, people, &node.key, &one, now)?;
        if given.iter().any(|g| g.fingerprint == one.fingerprint) {
            return Err(NotValid::TwoRoles(one.fingerprint));
        }
        given.push(one);
    }
    if given.is_empty() {
        return Err(NotValid::None);
    }
    Ok(given)
}

impl NotValid {
    /// Whether no answer can put it right in this run.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            NotValid::Removed { others: false, .. } | NotValid::Start(_)
        )
    }

    /// What leads on from here in a run: what to type, and who.
    pub fn hints(&self, run: &RunId) -> Vec<String> {
        let anew = |role: &str, who: &str| {
            vec![format!(
                "{who} signs: flow sign {run} --role {role}, then: flow retry {run}"
            )]
        };
        match self {
            NotValid::Removed {
                role,
                others: false,
                ..
            } => vec![format!(
                "nobody else holds `{role}`, and a key that is added now does not count in this run: {}",
                origin::FROZEN
            )],
            NotValid::Removed { role, .. } => {
                let mut hints = anew(
                    role,
                    "somebody else who holds the role in this run's roster",
                );
                let new = "a key that is added now does not count in this run; for that";
                hints.push(format!("{new}, {}", origin::FROZEN));
                hints
            }
            NotValid::Expired { role, .. } | NotValid::Changed { role } => {
                anew(role, "somebody who holds the role")
            }
            NotValid::Withdrawn { role, signer, .. } => anew(
                role,
                &format!("clear it up with {signer}; somebody who holds the role"),
            ),
            NotValid::Start(_) => vec![format!(
                "a start is signed once: flow cancel {run} --reason …, then start anew"
            )],
            _ => Vec::new(),
        }
    }
}

fn holds(
    run: &Run,
    people: &People,
    step: &str,
    one: &SignedOff,
    now: Timestamp,
) -> Result<(), NotValid> {
    let (role, signer) = (one.role.clone(), one.signer.clone());
    if one.expires_at <= now {
        return Err(NotValid::Expired {
            role,
            signer,
            at: one.expires_at,
        });
    }
    if people
        .holder(&one.fingerprint)
        .is_none_or(|(held, _)| held != role)
    {
        let others = !people.of_role(&role).is_empty();
        return Err(NotValid::Removed {
            role,
            signer,
            others,
        });
    }
    if starter::bars(run, people, (&one.fingerprint, &signer)).is_err() {
        return Err(NotValid::Starter(signer));
    }
    let cut = statement::cut(&run.plan, step).unwrap_or_default();
    if statement::evidence(run, cut)?.to_string() != one.evidence_digest {
        return Err(NotValid::Changed { role });
    }
    Ok(())
}

/// The sign-off that a step took, or a newer one once that does not hold any more: it has expired, or its key was taken out. A
/// rejection since then withdraws either.
async fn renewed(
    run: &Run,
    people: &People,
    step: &str,
    taken: SignedOff,
    now: Timestamp,
) -> Result<SignedOff, NotValid> {
    let (standing, _) = standing(run, step, people, now).await?;
    match standing.into_last() {
        Some(no) if no.rejects() => Err(NotValid::Withdrawn {
            role: no.statement.role,
            signer: no.statement.signer,
            note: no.statement.note,
        }),
        Some(newer) if holds(run, people, step, &taken, now).is_err() => Ok(newer.into()),
        _ => Ok(taken),
    }
}
