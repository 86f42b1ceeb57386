//! `schema.migration-review`: somebody of a role reads every pending migration beside what was found in it.

use async_trait::async_trait;
use flow_engine::answer;
use flow_engine::answer::Refusal;
use flow_engine::record::Wait;
use flow_engine::run::Run;
use flow_engine::signal::Signal;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::shown::{self, ShownFile};
use crate::means::git::commit;
use crate::means::kinds;
use crate::means::migrations::{MigrationReview, asked, digest, of_run, question};
use crate::means::reports::migrations::{Checked, Pending};
use crate::means::reports::people::Waiver;
use crate::means::signature::review::Asked;
use crate::means::signature::verify::SignOffRefusal;
use crate::means::signature::{judging, origin, review};

const NOTHING: &str = "no migration is pending";

/// Migrations that somebody approved, or that there are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviewed {
    /// For people: who approved what, or that there was nothing to approve.
    pub verdict: String,
    /// What the approval is for; see [`digest`]. Empty when nothing is pending.
    pub digest: String,
    /// The files, in the order in which they will be applied.
    pub pending: Vec<Pending>,
    /// The approval; its `finding` is the digest. Nothing only when nothing is pending.
    pub approval: Option<Waiver>,
}

/// What a reviewer is shown: each pending file beside its findings. Bounded, and safe for a terminal.
///
/// # Errors
/// A failure in words: the commit cannot be read here, or is not what was checked.
pub async fn material(run: &Run, step: &str) -> Result<Vec<ShownFile>, StepError> {
    let (review, checked) = of_run(run, step)
        .ok_or_else(|| StepError::fail(format!("there is nothing to review yet in `{step}`")))?;
    review.shown(&checked).await
}

#[async_trait]
impl Step for MigrationReview {
    const KIND: &'static str = kinds::MIGRATION_REVIEW;
    type Output = Reviewed;

    fn summary(&self) -> String {
        format!(
            "{} reads every pending migration beside its findings, and approves exactly that",
            self.role
        )
    }

    fn answered_by(&self) -> Option<String> {
        Some(self.role.clone())
    }

    async fn accepts(&self, question: &answer::Asked<'_>, signal: &Signal) -> Result<(), Refusal> {
        if question.is_over() {
            return Err(question.not_asked("the step is over"));
        }
        let (run, step) = (question.run, question.key());
        let asked = asked(run, step).ok_or_else(|| {
            question.not_asked("its check has not reported, or nothing is pending")
        })?;
        let (answer, people) = judging::signed(question, signal).await?;
        Ok(review::hand_in(run, step, &people, &asked, &answer, question.now).await?)
    }

    async fn run(&self, cx: &Cx) -> Result<Reviewed, StepError> {
        let checked = cx.arg(&self.checked)?;
        if checked.pending.is_empty() {
            cx.log(NOTHING);
            return Ok(Reviewed {
                verdict: NOTHING.to_owned(),
                digest: String::new(),
                pending: Vec::new(),
                approval: None,
            });
        }
        let asked = Asked {
            role: self.role.clone(),
            digest: digest(&checked),
        };
        self.show(cx, &checked, &asked.digest).await?;
        let people = origin::needed(cx).await?;
        if people.of_role(&self.role).is_empty() {
            return Err(StepError::fail(format!(
                "nobody in the roster has the role `{}`, which reviews migrations",
                self.role
            ))
            .hint(origin::FROZEN));
        }
        let answers = review::answers(cx.run(), cx.key(), &people, &asked, cx.now())
            .await
            .map_err(|e: SignOffRefusal| {
                StepError::unreached("an answer could not be checked").because(&e)
            })?;
        for line in answers.ignored {
            cx.log(line);
        }
        match answers.standing.into_last() {
            None => Err(StepError::Wait(self.wait(cx, &checked, &asked.digest))),
            Some(no) if no.rejects() => Err(StepError::refuse(format!(
                "{} ({}) rejected the migrations: {}",
                no.statement.signer, no.statement.role, no.statement.note
            ))
            .hint(format!(
                "a changed migration is another commit: flow cancel {} --reason …, and start with that one",
                cx.run_id()
            ))
            .hint(format!(
                "if it was cleared up without a change: have the role approve, then: flow retry {}",
                cx.run_id()
            ))),
            Some(yes) => Ok(Reviewed {
                verdict: format!(
                    "{} approved {}",
                    yes.statement.signer,
                    count(checked.pending.len())
                ),
                digest: asked.digest,
                pending: checked.pending,
                approval: Some(yes.into()),
            }),
        }
    }
}

fn count(files: usize) -> String {
    match files {
        1 => "1 pending migration".to_owned(),
        n => format!("{n} pending migrations"),
    }
}

impl MigrationReview {
    async fn shown(&self, checked: &Checked) -> Result<Vec<ShownFile>, StepError> {
        let files = commit::read(&self.repo, &self.commit, &self.migrations).await?;
        let mut pending = Vec::new();
        for wanted in &checked.pending {
            let file = files
                .iter()
                .find(|f| f.name == wanted.name && f.sha256() == wanted.sha256);
            pending.push(file.ok_or_else(|| {
                StepError::fail(format!(
                    "{} of commit {} is not what was checked",
                    wanted.name, self.commit
                ))
                .hint("look at the repository, then cancel the run and start a new one")
            })?);
        }
        Ok(shown::files(&pending, &checked.report.findings))
    }

    /// Puts the files out for `flow logs`, once for each digest however often the step is run.
    async fn show(&self, cx: &Cx, checked: &Checked, digest: &str) -> Result<(), StepError> {
        let files = self.shown(checked).await?;
        if cx.noted::<String>()?.as_deref() == Some(digest) {
            return Ok(());
        }
        cx.log(format!("{} to review:", count(files.len())));
        for line in files.iter().flat_map(ShownFile::lines) {
            cx.log(line);
        }
        cx.log(format!("digest of all this: {digest}"));
        cx.note(&digest).await
    }

    fn wait(&self, cx: &Cx, checked: &Checked, digest: &str) -> Wait {
        let names: Vec<&str> = checked
            .pending
            .iter()
            .take(5)
            .map(|p| p.name.as_str())
            .collect();
        let more = checked.pending.len() - names.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let (run, step) = (cx.run_id(), cx.key());
        let short: String = digest.chars().take(12).collect();
        Wait {
            who: self.role.clone(),
            what: format!(
                "review of {} ({}{more}) with {} findings, digest {short}; read them with `flow check {run} {step}`",
                count(checked.pending.len()),
                names.join(", "),
                checked.report.findings.len()
            ),
            answer: Some(question(&self.role, digest)),
            until: None,
        }
    }
}

#[cfg(test)]
mod tests;
