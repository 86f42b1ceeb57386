//! `people.signoff`: the run goes on when somebody of a role has signed.

use flow_engine::answer;
use flow_engine::answer::Answer;
use flow_engine::clock::Timestamp;
use flow_engine::id::RunId;
use flow_engine::plan::Node;
use flow_engine::run::{Run, Status};
use flow_engine::step::Step;
use serde::{Deserialize, Serialize};

use crate::means::kinds;
use crate::means::reports::people::SignedOff;
use crate::means::signature::decision::Standing;
use crate::means::signature::roster::People;
use crate::means::signature::statement::{StatementError, Subject};
use crate::means::signature::verify::{Accepted, SignOffRefusal, SignedAnswer, Wanted};
use crate::means::signature::{decision, origin, starter, statement, verify};

/// Waits for a signed yes from somebody of a role; see [`verify_answer`] for what counts.
///
/// Of the answers that count the last one in the journal decides, whatever the signers' clocks say, and a no is taken
/// back only by a yes that names it; see [`crate::means::signature::decision`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOff {
    /// Who must sign.
    pub role: String,
    /// How long a signature holds at most.
    pub valid_hours: u64,
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

/// The answer that a role is asked for.
pub(crate) fn question(role: &str) -> Answer {
    Answer::Signature {
        role: role.to_owned(),
        subject: answer::Subject::Signoff,
        about: None,
    }
}

/// Whether a signed answer to a sign-off step counts, and what it says.
///
/// # Errors
/// [`SignOffRefusal`]; [`SignOffRefusal::Unchecked`] says nothing about the answer, only that it could not be judged.
pub async fn verify_answer(
    run: &Run,
    step: &str,
    people: &People,
    answer: &SignedAnswer,
    now: Timestamp,
) -> Result<Accepted, SignOffRefusal> {
    let asked = run.plan.node(step).map(|(_, node)| node);
    let asked = asked.and_then(sign_off_of);
    let asked = asked.ok_or_else(|| SignOffRefusal::NotAsked(step.into()))?;
    let wanted = Wanted {
        subject: Subject::Signoff,
        role: Some(&asked.role),
        finding: None,
        hours: asked.valid_hours,
    };
    let accepted = verify::check(run, step, people, answer, &wanted, now).await?;
    one_key_one_role(run, step, &accepted)?;
    starter::bars(run, people, accepted.signer())?;
    Ok(accepted)
}

fn sign_off_of(node: &Node) -> Option<SignOff> {
    (node.kind == kinds::SIGN_OFF).then(|| SignOff::decode(node.version, &node.params).ok())?
}

fn one_key_one_role(run: &Run, step: &str, accepted: &Accepted) -> Result<(), SignOffRefusal> {
    let others = run
        .plan
        .nodes
        .iter()
        .filter(|n| n.kind == kinds::SIGN_OFF && n.key != step);
    let given = others.filter_map(|n| serde_json::from_str::<SignedOff>(run.output(&n.key)?).ok());
    match given
        .into_iter()
        .find(|s| s.fingerprint == accepted.fingerprint)
    {
        Some(other) => Err(SignOffRefusal::TwoRoles {
            fingerprint: other.fingerprint,
            role: other.role,
        }),
        None => Ok(()),
    }
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
        let taken = match verify_answer(run, step, people, &answer, now).await {
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

/// Whether an answer would decide, were it stored now: as [`verify_answer`], among those that are there.
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
    let accepted = verify_answer(run, step, people, answer, now).await?;
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
    for (node, state) in nodes.filter(|(n, _)| n.kind == kinds::SIGN_OFF) {
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
