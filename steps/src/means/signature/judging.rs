//! What every step needs to judge a signed answer before it is stored.

use flow_engine::answer::{Asked, Refusal};
use flow_engine::signal::Signal;

use crate::means::signature::origin::Rosters;
use crate::means::signature::roster::People;
use crate::means::signature::verify::{SignOffRefusal, SignedAnswer};

/// The signed answer that a signal carries, and the roster that counts for the run now, read anew.
///
/// # Errors
/// [`Refusal::DoesNotCount`] when the body is no signed answer; [`Refusal::Unjudged`] when the roster cannot be read.
pub async fn signed(asked: &Asked<'_>, signal: &Signal) -> Result<(SignedAnswer, People), Refusal> {
    let answer = serde_json::from_str(&signal.body)
        .map_err(|e| SignOffRefusal::Unreadable(e.to_string()))?;
    Ok((answer, roster(asked).await?))
}

async fn roster(asked: &Asked<'_>) -> Result<People, Refusal> {
    let Some(rosters) = asked.resources.get::<Rosters>() else {
        return Ok((*asked.resource::<People>()?).clone());
    };
    let people = rosters.0.of(&asked.run.plan).await;
    people.map_err(|e| Refusal::Unjudged(e.into()))
}

/// A no about an answer, or that it could not be judged.
impl From<SignOffRefusal> for Refusal {
    fn from(why: SignOffRefusal) -> Refusal {
        match why {
            SignOffRefusal::Unchecked(_) => Refusal::Unjudged(why.into()),
            why => Refusal::DoesNotCount(why.into()),
        }
    }
}
