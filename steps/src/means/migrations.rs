//! The review of pending migrations as it is asked: by which step, of whom, for which digest.

use flow_engine::answer::{self, Answer};
use flow_engine::id::Digest;
use flow_engine::planner::Arg;
use flow_engine::run::Run;
use flow_engine::step::Step as _;
use serde::{Deserialize, Serialize};

use crate::means::kinds;
use crate::means::reports::migrations::Checked;
use crate::means::signature::review::Asked;

/// Waits until somebody of a role approved, by signature, the pending migrations beside their findings.
///
/// The approval is for one [`digest`]: of the names, order and bytes of the files and of what was found. Another file,
/// set, order or finding has another digest, so it is asked for anew. Passes at once when nothing is pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationReview {
    /// The repository on this machine.
    pub repo: String,
    /// The full commit that is to be released.
    pub commit: String,
    /// The folder of migrations inside the repository.
    pub migrations: String,
    /// What the check found pending, and in it.
    pub checked: Arg<Checked>,
    /// Who must approve, such as `tech-lead`.
    pub role: String,
}

/// Digest, in hexadecimal digits, of names, order and sha256 of the pending files, and of every finding: migration, line,
/// rule, level, message and fingerprint.
///
/// # Panics
/// Never: texts and numbers are JSON.
pub fn digest(checked: &Checked) -> String {
    let files: Vec<_> = checked
        .pending
        .iter()
        .map(|p| (&p.name, &p.sha256))
        .collect();
    let findings: Vec<_> = checked
        .report
        .findings
        .iter()
        .map(|f| {
            let place = (&f.migration, f.line);
            (place, f.rule, f.level.as_str(), &f.message, &f.digest)
        })
        .collect();
    let text = serde_json::to_vec(&("flow-migration-review-1", files, findings))
        .expect("texts and numbers are JSON");
    Digest::of(&text).to_string()
}

/// The answer that a role is asked for, about everything with this digest.
pub(crate) fn question(role: &str, digest: &str) -> Answer {
    Answer::Signature {
        role: role.to_owned(),
        subject: answer::Subject::Review,
        about: Some(digest.to_owned()),
    }
}

/// What a step of a run asks a reviewer for. Nothing when the step is no review, its check has not reported yet, or
/// no migration is pending.
pub fn asked(run: &Run, step: &str) -> Option<Asked> {
    let (review, checked) = of_run(run, step)?;
    (!checked.pending.is_empty()).then(|| Asked {
        digest: digest(&checked),
        role: review.role,
    })
}

pub(crate) fn of_run(run: &Run, step: &str) -> Option<(MigrationReview, Checked)> {
    let (_, node) = run
        .plan
        .node(step)
        .filter(|(_, n)| n.kind == kinds::MIGRATION_REVIEW)?;
    let review = MigrationReview::decode(node.version, &node.params).ok()?;
    let checked = match &review.checked {
        Arg::Value(checked) => checked.clone(),
        Arg::Output(key) => serde_json::from_str(run.output(key)?).ok()?,
    };
    Some((review, checked))
}
