//! `people.signoff`: the run goes on when somebody of a role has signed.

use async_trait::async_trait;
use flow_engine::answer::{Asked, Refusal};
use flow_engine::id::RunId;
use flow_engine::record::Wait;
use flow_engine::signal::Signal;
use flow_engine::step::{Cx, Step, StepError};

use crate::means::kinds;
use crate::means::reports::people::SignedOff;
use crate::means::signature::sign_off::{SignOff, hand_in, question, standing};
use crate::means::signature::verify::Accepted;
use crate::means::signature::{judging, origin};

#[async_trait]
impl Step for SignOff {
    const KIND: &'static str = kinds::SIGN_OFF;
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
