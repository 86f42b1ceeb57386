//! `people.starter`: who started a release, by signature, where the roster bars its starter from answering for it.
//!
//! A login name is what the starter's machine says, and whoever is root there says it. The key of a signature is not
//! theirs to choose: with it the start is signed before anything is stored, and that key and every other key of the same
//! person neither sign off, review nor waive in that run.

use flow_engine::clock::Timestamp;
use flow_engine::plan::Plan;
use flow_engine::run::Run;
use flow_engine::signal::Actor;
use serde::{Deserialize, Serialize};

use crate::means::kinds;
use crate::means::reports::people::Signer;
use crate::means::signature::roster::{People, Person};
use crate::means::signature::statement::Subject;
use crate::means::signature::verify;
use crate::means::signature::verify::{Accepted, SignOffRefusal, SignedAnswer, Wanted};

/// How long a signed start may wait until it is handed in, in hours. Once it is stored it holds as long as the run.
pub const HOURS_MAX: u64 = 24;
/// How the name of a user without a login name begins. No login name has a blank.
const NAMELESS: &str = "uid ";

/// The name under which a user without a login name acts, such as `uid 1234`: one that the system's user database does
/// not have.
pub fn nameless(uid: u32) -> String {
    format!("{NAMELESS}{uid}")
}

/// Whether nobody knows the login name of this actor. Such a starter matches no entry of a roster by login, so nobody
/// can tell whom to bar.
pub fn is_nameless(by: &Actor) -> bool {
    by.name.starts_with(NAMELESS)
}

/// Names who started the run by the signature that was stored with it, in the same write. It asks nobody: a run whose
/// start is not signed by a key of its roster is refused, and another one is started. Run twice: judged anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starter {}

impl From<Accepted> for Signer {
    fn from(accepted: Accepted) -> Signer {
        Signer {
            role: accepted.statement.role,
            signer: accepted.statement.signer,
            fingerprint: accepted.fingerprint,
            statement_sha256: accepted.statement_sha256,
            signed_at: accepted.statement.issued_at,
        }
    }
}

/// The step of a plan that wants its start signed; nothing where anybody may start.
pub fn step(plan: &Plan) -> Option<&str> {
    let asking = plan.nodes.iter().find(|node| node.kind == kinds::STARTER);
    asking.map(|node| node.key.as_str())
}

/// Who started a run, as the step found; nothing before it ran, or where nobody is asked to sign.
pub fn of(run: &Run) -> Option<Signer> {
    serde_json::from_str(run.output(step(&run.plan)?)?).ok()
}

/// Whether a signed start counts: a key of the roster, in whatever role, for this run, plan and commit.
///
/// # Errors
/// [`SignOffRefusal`], as for a sign-off.
pub async fn verify_start(
    run: &Run,
    people: &People,
    answer: &SignedAnswer,
    now: Timestamp,
) -> Result<Signer, SignOffRefusal> {
    let step = step(&run.plan).ok_or(SignOffRefusal::Unsigned)?;
    let wanted = Wanted {
        subject: Subject::Start,
        role: None,
        finding: None,
        hours: HOURS_MAX,
    };
    let accepted = verify::check(run, step, people, answer, &wanted, now).await?;
    if accepted.rejects() {
        return Err(SignOffRefusal::Unsigned);
    }
    Ok(accepted.into())
}

/// The signature that was stored with the run, judged by the roster as it is now: a key that was taken out since counts
/// no more. Whether it came in time is judged by when it was stored.
///
/// # Errors
/// [`SignOffRefusal::Unsigned`] when there is none; [`SignOffRefusal::Unchecked`] when it could not be judged.
pub async fn judge(run: &Run, people: &People) -> Result<Signer, SignOffRefusal> {
    let step = step(&run.plan).ok_or(SignOffRefusal::Unsigned)?;
    let stored = run.signals_for(step).next();
    let stored = stored.ok_or(SignOffRefusal::Unsigned)?;
    let answer = serde_json::from_str(&stored.body)
        .map_err(|e| SignOffRefusal::Unreadable(e.to_string()))?;
    verify_start(run, people, &answer, stored.at).await
}

/// Where the roster bars the person who started the run, their answer does not count: neither with the key that signed the
/// start nor with another one of theirs, nor under the login name that the run was started under. Where that name is not
/// known, no answer counts.
pub(crate) fn bars(
    run: &Run,
    people: &People,
    (fingerprint, signer): (&str, &str),
) -> Result<(), SignOffRefusal> {
    if !people.forbid_starter {
        return Ok(());
    }
    if is_nameless(&run.by) {
        return Err(SignOffRefusal::NamelessStarter(run.by.name.clone()));
    }
    let person = people.holder(fingerprint).map(|(_, person)| person);
    let barred = match (step(&run.plan), of(run)) {
        (Some(_), None) => return Err(SignOffRefusal::Unsigned),
        (_, Some(starter)) => {
            starter.fingerprint == fingerprint
                || person.is_some_and(|person| is_starter(people, &starter, person))
        }
        (None, None) => false,
    };
    if barred || person.is_some_and(|person| person.is(&run.by.name)) {
        return Err(SignOffRefusal::Starter(signer.to_owned()));
    }
    Ok(())
}

/// Whether an entry of the roster is the starter's, with whichever key.
pub fn is_starter(people: &People, starter: &Signer, person: &Person) -> bool {
    match people.holder(&starter.fingerprint) {
        Some((_, own)) => own.is_also(person),
        None => person.is(&starter.signer),
    }
}
