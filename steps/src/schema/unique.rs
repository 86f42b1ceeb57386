//! What only rows decide, asked of the rows there are: duplicates under a new unique key, NULLs before `SET NOT NULL`, rows
//! that hold a removed label, values a narrower type cannot hold, rows a new constraint does not allow.

use async_trait::async_trait;
use flow_engine::planner::Arg;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::psql::Database;
use crate::means::reports::migrations::Checked;
use flow_lint::migration::{Finding, Report, RuleId};

mod ask;
mod plain;
mod probe;

use ask::Asking;
use probe::Probe;

/// Asks the target's real data what the migration check could not know from the text.
///
/// Every question runs in a transaction that cannot write, with limits for the statement and for locks. Fails when rows would
/// make a pending migration fail, with counts and the keys of some of these rows, never their values. Refuses when a question
/// was not answered: what was not asked is not proven. A finding without a violation is proven *for the data of that moment*;
/// the index or constraint itself is the last check. Reads only; twice is once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UniqueSafe {
    /// The database whose rows are asked; only read.
    pub db: Database,
    /// The schema that unqualified tables of the migrations are in, usually `public`.
    pub schema: String,
    /// What the migration check found, and who accepted it.
    pub safety: Arg<Checked>,
    /// The longest one question may take, in seconds.
    pub seconds: u64,
}

/// What the rows say of one finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// No row violates it now.
    Proven,
    /// Rows violate it, and no pending migration changes them before: the migration will fail.
    Violated,
    /// The rows of now do not decide it, because a pending migration makes or changes them first; its signed waiver does.
    Waived,
    /// It was not answered.
    Unanswered,
}

/// One finding, and what the rows say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Digest of the finding, as a waiver names it.
    pub finding: String,
    /// The rule of the finding that was asked about.
    pub rule: RuleId,
    /// The folder name of the migration that demands it.
    pub migration: String,
    /// Table and column, or table and key.
    pub object: String,
    /// What the rows said.
    pub standing: Standing,
    /// How many rows violate it.
    pub rows: u64,
    /// Keys of some of them: numbers and UUIDs as they are, anything else as the beginning of its SHA-256.
    pub keys: Vec<String>,
    /// Why there is no answer, or what it depends on.
    pub why: String,
}

/// Everything that was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataReport {
    /// In the order of the findings.
    pub answers: Vec<Answered>,
}

impl DataReport {
    /// Digests of the findings that no row of the target violates.
    pub fn proven(&self) -> impl Iterator<Item = &str> {
        let these = self.of(Standing::Proven);
        these.map(|each| each.finding.as_str())
    }

    fn of(&self, standing: Standing) -> impl Iterator<Item = &Answered> {
        self.answers
            .iter()
            .filter(move |each| each.standing == standing)
    }

    fn words(&self, standing: Standing) -> Vec<String> {
        self.of(standing).map(Answered::in_words).collect()
    }
}

impl Answered {
    fn in_words(&self) -> String {
        let Self {
            rule,
            migration,
            object,
            ..
        } = self;
        let what = match self.standing {
            Standing::Proven => "proven for this data: no row violates it".to_owned(),
            Standing::Violated => {
                let keys = match self.keys.as_slice() {
                    [] => String::new(),
                    keys => format!(", such as {}", keys.join(", ")),
                };
                format!(
                    "{} violate it{keys}",
                    crate::means::psql::text::rows(self.rows)
                )
            }
            Standing::Waived => format!("NOT proven, left to its waiver: {}", self.why),
            Standing::Unanswered => format!("NOT proven: {}", self.why),
        };
        format!("{rule} {migration} {object}: {what}")
    }
}

/// Rules whose findings rows decide.
const DECIDED_BY_ROWS: &[RuleId] = &[
    RuleId::UniqueOnExisting,
    RuleId::SetNotNull,
    RuleId::RequiredColumn,
    RuleId::EnumValueRemoved,
    RuleId::NarrowType,
    RuleId::AddConstraint,
];

#[async_trait]
impl Step for UniqueSafe {
    const KIND: &'static str = "schema.unique-safe";
    type Output = DataReport;

    fn summary(&self) -> String {
        format!(
            "no row of {} violates what the pending migrations demand",
            self.db.words()
        )
    }

    fn policy(&self) -> Policy {
        Policy::within(3600)
    }

    async fn run(&self, cx: &Cx) -> Result<DataReport, StepError> {
        let checked = cx.arg(&self.safety)?;
        let asking = Asking::new(self.db.open(cx)?, &self.schema, self.seconds)?;
        let mut report = DataReport::default();
        for finding in &checked.report.findings {
            if !DECIDED_BY_ROWS.contains(&finding.rule) {
                continue;
            }
            let answer = answer(&asking, &checked, finding).await?;
            cx.log(answer.in_words());
            report.answers.push(answer);
        }
        judge(&self.db, report)
    }
}

/// A violation fails, a missing answer refuses; only then is the rest a pass.
fn judge(db: &Database, report: DataReport) -> Result<DataReport, StepError> {
    let violated = report.words(Standing::Violated);
    if !violated.is_empty() {
        return Err(StepError::fail(format!(
            "rows of {} would make the migrations fail: {}",
            db.words(),
            violated.join("; ")
        ))
        .hint("correct these rows first, by a migration that comes earlier or by hand with their owner, then retry"));
    }
    let open = report.words(Standing::Unanswered);
    if !open.is_empty() {
        return Err(StepError::refuse(format!(
            "what was not answered is not proven: {}",
            open.join("; ")
        ))
        .hint("run the query of the finding by hand (flow lint shows it) and see why it does not answer, then retry"));
    }
    Ok(report)
}

async fn answer(
    asking: &Asking,
    checked: &Checked,
    finding: &Finding,
) -> Result<Answered, StepError> {
    let mut answered = Answered {
        finding: finding.digest.clone(),
        rule: finding.rule,
        migration: finding.migration.clone(),
        object: finding.object.clone(),
        standing: Standing::Unanswered,
        rows: 0,
        keys: Vec::new(),
        why: String::new(),
    };
    let waived = checked.waivers.iter().any(|w| w.finding == finding.digest);
    let unless = |why: &str| (waived, why.to_owned());
    let (decided_later, why) = match Probe::of(finding, &checked.report) {
        None => unless("the migration itself makes what would have to be asked"),
        Some(probe) => match asking.ask(&probe).await? {
            Err(why) => {
                let later = waived && why.is_missing && !is_first(checked, finding);
                (later, why.words)
            }
            Ok((rows, keys)) => {
                (answered.rows, answered.keys) = (rows, keys);
                if !changes_rows(checked, finding) {
                    answered.standing = match rows {
                        0 => Standing::Proven,
                        _ => Standing::Violated,
                    };
                    return Ok(answered);
                }
                unless(&format!(
                    "{} violate it now, and a pending migration changes rows of the table first",
                    crate::means::psql::text::rows(rows)
                ))
            }
        },
    };
    if decided_later {
        answered.standing = Standing::Waived;
    }
    answered.why = why;
    Ok(answered)
}

/// Whether nothing pending comes before its migration, so that all it names must be there.
fn is_first(checked: &Checked, finding: &Finding) -> bool {
    checked.pending.first().map(|p| p.name.as_str()) == Some(finding.migration.as_str())
}

/// Whether a pending migration, up to the finding's own, changes rows of the table it is about.
fn changes_rows(checked: &Checked, finding: &Finding) -> bool {
    let last = checked
        .pending
        .iter()
        .position(|p| p.name == finding.migration);
    let upto = &checked.pending[..last.map_or(0, |at| at + 1)];
    let Report { changed_rows, .. } = &checked.report;
    // What a change of type demands of the rows is asked before it.
    let of_type = matches!(finding.rule, RuleId::NarrowType | RuleId::EnumValueRemoved);
    changed_rows.iter().any(|each| {
        !(of_type && each.by_type)
            && upto.iter().any(|p| p.name == each.migration)
            && (each.table.is_empty() || finding.object.starts_with(&each.table))
    })
}

#[cfg(test)]
mod tests;
