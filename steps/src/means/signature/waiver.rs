//! One warning, or one reviewed file, accepted by signature. Errors cannot be waived; the step that asks decides what
//! is a warning.

use flow_engine::answer::{self, Answer, Asked, Refusal};
use flow_engine::clock::Timestamp;
use flow_engine::run::{Run, Status};
use flow_engine::signal::Signal;
use flow_engine::step::{Cx, StepError};
use serde::{Deserialize, Serialize};

use crate::means::reports::people::Waiver;
use crate::means::signature::decision::Standing;
use crate::means::signature::roster::People;
use crate::means::signature::statement::{Statement, Subject};
use crate::means::signature::verify::{Accepted, SignOffRefusal, SignedAnswer, Wanted};
use crate::means::signature::{decision, judging, starter, verify};

/// How long a waiver or review holds at most: a working week, so that a release may wait over a weekend.
pub const HOURS_MAX: u64 = 7 * 24;

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
/// plan, commit and finding, but the starter's where the roster bars them. The caller looks at [`Waiver::role`] when only
/// some roles may.
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
    let accepted = verify::check(run, step, people, answer, &wanted, now).await?;
    starter::bars(run, people, accepted.signer())?;
    Ok(accepted)
}

/// The waiver (or review) of a finding by a role among the answers to a step, if there is one that holds. The last one
/// of that role decides, whatever other roles or other findings were answered since; a rejection means none.
///
/// # Errors
/// [`SignOffRefusal::Unchecked`] when an answer could not be judged. Answers that do not count are passed over.
pub async fn waived(
    run: &Run,
    step: &str,
    people: &People,
    about: (Subject, &str),
    role: &str,
    now: Timestamp,
) -> Result<Option<Waiver>, SignOffRefusal> {
    let standing = standing(run, step, people, about, role, now).await?;
    Ok(standing
        .into_last()
        .filter(|one| !one.rejects())
        .map(Waiver::from))
}

async fn standing(
    run: &Run,
    step: &str,
    people: &People,
    about: (Subject, &str),
    role: &str,
    now: Timestamp,
) -> Result<Standing, SignOffRefusal> {
    let mut standing = Standing::default();
    for (_, answer) in decision::newest(run, step, Some(about.1)) {
        match verify_waiver(run, step, people, about, &answer, now).await {
            // One that is overtaken or repeated is passed over like any other that does not count.
            Ok(one) if one.statement.role == role => drop(standing.take(one)),
            Err(why @ SignOffRefusal::Unchecked(_)) => return Err(why),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(standing)
}

/// What a step that waits asks to be waived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedWaivers {
    /// The role whose signature is asked for.
    pub role: String,
    /// The digests of the findings that are open.
    pub findings: Vec<String>,
}

/// How many open findings a step names at once; the others are asked for when these are waived. They fit one record.
const FINDINGS_MAX: usize = 48;

impl AskedWaivers {
    /// Asks: notes what is open, so that an answer about anything else is refused when it is handed in. The same again
    /// notes nothing.
    ///
    /// # Errors
    /// As [`Cx::note`].
    pub async fn ask(self, cx: &Cx) -> Result<(), StepError> {
        let mut asked = self;
        asked.findings.truncate(FINDINGS_MAX);
        let noted = cx.noted::<AskedWaivers>().ok().flatten();
        if noted.as_ref() == Some(&asked) {
            return Ok(());
        }
        cx.note(&asked).await
    }

    /// What a step of a run asks to be waived now; nothing when it does not wait for a waiver. A run that waited
    /// before steps noted it is read from its question: the finding, or the command line of an older version.
    pub fn of(run: &Run, step: &str) -> Option<AskedWaivers> {
        let (index, _) = run.plan.node(step)?;
        let state = &run.steps[index as usize];
        let wait = state
            .wait
            .as_ref()
            .filter(|_| state.status == Status::Waiting)?;
        let named = match wait.answer.as_ref()? {
            Answer::Signature {
                subject: answer::Subject::Waiver,
                about: Some(about),
                ..
            } => about.clone(),
            Answer::Command(line) => {
                let mut words = line.strip_prefix("flow waive ")?.split(' ').skip(2);
                words.next()?.to_owned()
            }
            _ => return None,
        };
        let noted = state.note.as_deref();
        let noted = noted.and_then(|note| serde_json::from_slice::<AskedWaivers>(note).ok());
        Some(
            noted
                .filter(|a| a.findings.contains(&named))
                .unwrap_or(AskedWaivers {
                    role: wait.who.clone(),
                    findings: vec![named],
                }),
        )
    }

    /// The one finding that is asked about and whose digest begins like this.
    ///
    /// # Errors
    /// [`SignOffRefusal::NoFinding`] when there is none, or several.
    pub fn find(&self, step: &str, beginning: &str) -> Result<&str, SignOffRefusal> {
        let fits = |f: &&String| !beginning.is_empty() && f.starts_with(beginning);
        let mut fitting = self.findings.iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(only),
            (first, _) => Err(SignOffRefusal::NoFinding {
                step: step.to_owned(),
                given: beginning.chars().take(64).collect(),
                several: first.is_some(),
                open: self.open(),
            }),
        }
    }

    fn open(&self) -> String {
        let short = |f: &String| f.chars().take(12).collect::<String>();
        let shown: Vec<String> = self.findings.iter().take(8).map(short).collect();
        let more = self.findings.len().saturating_sub(shown.len());
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        shown.join(", ") + &more
    }
}

/// The answer that a step asks for to accept one finding.
pub fn question(role: &str, finding: &str) -> Answer {
    Answer::Signature {
        role: role.to_owned(),
        subject: answer::Subject::Waiver,
        about: Some(finding.to_owned()),
    }
}

/// As [`Step::accepts`](flow_engine::step::Step::accepts), for a step that asks for waivers.
///
/// # Errors
/// [`Refusal`].
pub async fn accepts(asked: &Asked<'_>, signal: &Signal) -> Result<(), Refusal> {
    if asked.is_over() {
        return Err(asked.not_asked("the step is over"));
    }
    let (answer, people) = judging::signed(asked, signal).await?;
    Ok(hand_in(asked.run, asked.key(), &people, &answer, asked.now).await?)
}

/// Whether a waiver would count, were it stored now: the step waits for one, for this finding, by this role.
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
    let asked =
        AskedWaivers::of(run, step).ok_or_else(|| SignOffRefusal::NoWaiver(step.to_owned()))?;
    let said = Statement::parse(&answer.statement);
    let finding = said.and_then(|s| s.finding).unwrap_or_default();
    if !asked.findings.contains(&finding) {
        return asked.find(step, &finding).map(drop);
    }
    let about = (Subject::Waiver, finding.as_str());
    let accepted = verify_waiver(run, step, people, about, answer, now).await?;
    if accepted.statement.role != asked.role {
        return Err(SignOffRefusal::WrongKey {
            fingerprint: accepted.fingerprint,
            held: format!(
                "is {}'s, of role `{}`",
                accepted.statement.signer, accepted.statement.role
            ),
            wanted: asked.role,
        });
    }
    standing(run, step, people, about, &asked.role, now)
        .await?
        .take(accepted)
}
