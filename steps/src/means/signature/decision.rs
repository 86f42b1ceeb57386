//! The decision that stands among the answers to a step.
//!
//! Answers are taken in the order in which the journal has them; nobody's clock is asked. After a rejection only an
//! approval counts that names it ([`Statement::after`](crate::means::signature::statement::Statement)): one that was signed before it, whatever its
//! clock said, cannot.

use std::collections::BTreeSet;

use flow_engine::run::Run;

use crate::means::signature::statement::{Decision, Statement};
use crate::means::signature::verify::{Accepted, SignOffRefusal, SignedAnswer};

/// How many of the newest approvals, and of the newest rejections, are looked at: each costs a process. Apart, so that
/// approvals cannot push a rejection out.
const ANSWERS_MAX: usize = 40;
/// How much of a rejection's digest an approval after it names, in hexadecimal digits.
const NAME_LEN: usize = 32;

/// The answers that counted so far, and which of them decides.
#[derive(Debug, Default)]
pub struct Standing {
    last: Option<Accepted>,
    taken: BTreeSet<String>,
}

impl Standing {
    /// Takes the next answer that was verified, in the order of the journal.
    ///
    /// # Errors
    /// [`SignOffRefusal::Overtaken`] for an approval that does not name the rejection before it,
    /// [`SignOffRefusal::Repeated`] for an answer that was given before another one. What stood stands.
    pub fn take(&mut self, next: Accepted) -> Result<(), SignOffRefusal> {
        if let Some(no) = self.last.as_ref().filter(|last| last.rejects())
            && !next.rejects()
            && next.statement.after.as_deref() != Some(name(no))
        {
            let said = &no.statement;
            return Err(SignOffRefusal::Overtaken {
                signer: said.signer.clone(),
                role: said.role.clone(),
                note: said.note.clone(),
            });
        }
        let stands = self.last.as_ref().map(|last| &last.statement_sha256);
        if self.taken.contains(&next.statement_sha256) && stands != Some(&next.statement_sha256) {
            return Err(SignOffRefusal::Repeated);
        }
        self.taken.insert(next.statement_sha256.clone());
        self.last = Some(next);
        Ok(())
    }

    /// The answer that decides.
    pub fn last(&self) -> Option<&Accepted> {
        self.last.as_ref()
    }

    /// The same, to keep.
    pub fn into_last(self) -> Option<Accepted> {
        self.last
    }

    /// What an approval that is signed now must name, when a rejection stands.
    pub fn rejection(&self) -> Option<String> {
        let no = self.last.as_ref().filter(|last| last.rejects())?;
        Some(name(no).to_owned())
    }
}

fn name(no: &Accepted) -> &str {
    let digest = &no.statement_sha256;
    digest.get(..NAME_LEN).unwrap_or(digest)
}

/// The answers to a step that can be read, in the order of the journal, with the id each was handed in under. Only
/// those about `finding`, where one is given: answers about others do not push them out.
pub(crate) fn newest<'a>(
    run: &'a Run,
    step: &'a str,
    finding: Option<&str>,
) -> Vec<(&'a str, SignedAnswer)> {
    let about = |body: &str| finding.is_none_or(|finding| body.contains(finding));
    let all = run.signals_for(step).filter(|s| about(&s.body));
    let all: Vec<_> = all.collect();
    let mut left = [ANSWERS_MAX; 2];
    let mut found = Vec::new();
    for signal in all.into_iter().rev() {
        let Ok(answer) = serde_json::from_str::<SignedAnswer>(&signal.body) else {
            continue;
        };
        let Some(statement) = Statement::parse(&answer.statement) else {
            continue;
        };
        let left = &mut left[usize::from(statement.decision == Decision::Reject)];
        if *left > 0 {
            *left -= 1;
            found.push((signal.id.as_str(), answer));
        }
    }
    found.reverse();
    found
}
