//! Migration safety: what pending migrations do to the rows that exist and to the version that still runs, judged from their
//! text. Nothing is executed and nothing but [`read_folder`] touches a disk.
//!
//! The applied migrations are folded into a schema (tables, columns, keys, enums); each pending one is judged by its net
//! effect on what existed before it. A column added and dropped by one file is nothing; an enum exchanged for one with
//! fewer labels is a removal although no statement says so. What cannot be read, or has no rule, is reported: silence means
//! that every statement is known to be harmless.

mod draft;
mod finding;
mod fingerprint;
mod fold;
mod foreign;
mod guard;
pub mod history;
mod judge;
mod lines;
mod load;
mod op;
mod query;
mod report;
mod rule;
mod settings;
pub(crate) mod shape;
mod state;
mod suppress;
mod syntax;
#[cfg(test)]
mod tests;
mod touched;
mod types;
mod weighing;

use std::collections::BTreeSet;

use self::draft::Draft;
use self::finding::{finding, of_file, start};
use self::fingerprint::Fingerprints;
use self::fold::Fold;
use self::lines::Lines;
use self::op::{Content, Problem, Trouble};
use self::state::Schema;
use self::suppress::Directives;

pub use self::foreign::{already_there, historical};
pub(crate) use self::foreign::{drifted, said};
pub use self::load::{LoadError, MAX_FILE, Migration, from_pairs, read_folder};
pub use self::report::{
    ChangedRows, Finding, Level, LintReport, NullableColumn, RemovedLabels, Report, Suppression,
    UniqueKey, Verdict,
};
pub use self::rule::{EXAMPLE_CONTEXT, Explanation, RuleId, UnknownRule, explain, rules_page};
pub use self::settings::{Ignore, Settings, Weight};
pub use self::weighing::{Origin, Weighing};

/// Findings per migration; a file that has more is bad enough.
const MAX_FINDINGS: usize = 1_000;

/// Judges the pending migrations, with the others as context.
///
/// `migrations` must be in the order in which they are applied (as [`read_folder`] and [`from_pairs`] give them). A pending
/// name that is not among them is an error in the report. The same input always gives the same report. Comments that
/// suppress findings are not followed: this is what a release's gate asks.
pub fn check(migrations: &[Migration], pending: &BTreeSet<String>) -> Report {
    run(migrations, pending, false).report
}

/// As [`check`], with a team's own levels, and without what comments and settings suppress: what `flow lint` asks.
/// `weighing` learns which entries of the settings suppressed something.
pub fn lint(
    migrations: &[Migration],
    pending: &BTreeSet<String>,
    weighing: &mut Weighing<'_>,
) -> LintReport {
    let mut linted = run(migrations, pending, true);
    let findings = std::mem::take(&mut linted.report.findings);
    weighing.asked(Origin::Text, pending);
    weighing.add(&mut linted, findings);
    linted
}

fn run(migrations: &[Migration], pending: &BTreeSet<String>, suppress: bool) -> LintReport {
    let mut linted = LintReport::default();
    let mut schema = Schema::default();
    let all = syntax::parse_all(migrations);
    for (migration, parsed) in migrations.iter().zip(&all) {
        if pending.contains(&migration.name) {
            judge_one(migration, parsed, &mut schema, suppress, &mut linted);
        } else {
            linted.report.applied += 1;
            Fold::new(&mut schema).apply(&parsed.items, parsed.statements);
            if let Some(problem) = parsed.problems.first().filter(|_| !pending.is_empty()) {
                linted.report.findings.push(gap(migration, problem));
            }
        }
    }
    for name in pending
        .iter()
        .filter(|name| !migrations.iter().any(|each| each.name == **name))
    {
        let migration = Migration {
            name: name.clone(),
            ..Migration::default()
        };
        let message = "this migration is pending, but its file is not there".to_owned();
        let draft = Draft::error(RuleId::CannotCheck, &start(), String::new(), message);
        linted.report.findings.push(of_file(&migration, &draft));
    }
    linted
}

fn judge_one(
    migration: &Migration,
    parsed: &Content,
    schema: &mut Schema,
    suppress: bool,
    linted: &mut LintReport,
) {
    let report = &mut linted.report;
    report.pending += 1;
    report.statements += parsed.statements;
    schema.begin();
    let mut fold = Fold::new(schema);
    fold.apply(&parsed.items, parsed.statements);
    let direct = std::mem::take(&mut fold.drafts);
    let judged = judge::judge(schema);
    let lines = Lines::new(&migration.sql);
    let mut prints = Fingerprints::of(&migration.name, &migration.sql, &parsed.spans);
    let keys: Vec<(Draft, UniqueKey)> = judged
        .keys
        .iter()
        .map(|(at, table, key)| {
            let key = UniqueKey {
                migration: migration.name.clone(),
                schema: table.schema.clone(),
                table: table.name.clone(),
                terms: key.terms.clone(),
                predicate: key.predicate.clone(),
                nulls_equal: key.nulls_not_distinct || key.primary,
                primary: key.primary,
                finding: String::new(),
            };
            (judged.drafts[*at].clone(), key)
        })
        .collect();
    report
        .removed_labels
        .extend(judged.removed.iter().map(|(name, labels)| RemovedLabels {
            migration: migration.name.clone(),
            enumeration: name.to_string(),
            labels: labels.clone(),
        }));
    report.nullable.extend(
        judged
            .nullable
            .iter()
            .map(|(table, column, added)| NullableColumn {
                migration: migration.name.clone(),
                table: table.name.clone(),
                column: column.clone(),
                added: *added,
            }),
    );
    report
        .changed_rows
        .extend(touched::changed_rows(migration, parsed));
    let mut drafts: Vec<Draft> = parsed.problems.iter().map(trouble).collect();
    drafts.extend(direct);
    drafts.extend(judged.drafts);
    if suppress {
        drafts = kept(drafts, parsed, &lines, |draft, reason| {
            let finding = finding(migration, &draft, &lines, &mut prints);
            linted.suppressed.push(Suppression { finding, reason });
        });
    }
    let drafts = in_order(drafts);
    let mut findings = Vec::with_capacity(drafts.len());
    for draft in &drafts {
        findings.push(finding(migration, draft, &lines, &mut prints));
    }
    let report = &mut linted.report;
    report
        .unique_keys
        .extend(keys.into_iter().map(|(draft, key)| {
            let found = drafts.iter().position(|each| *each == draft);
            let finding =
                found.map_or_else(|| prints.next(&draft), |at| findings[at].digest.clone());
            UniqueKey { finding, ..key }
        }));
    report.findings.extend(findings);
}

/// The drafts no comment suppresses, and what is wrong with the comments.
fn kept(
    drafts: Vec<Draft>,
    parsed: &Content,
    lines: &Lines<'_>,
    mut suppressed: impl FnMut(Draft, String),
) -> Vec<Draft> {
    let mut directives = Directives::read(parsed, lines);
    let mut kept = Vec::new();
    for draft in drafts {
        match directives.covers(&draft) {
            Some(reason) => suppressed(draft, reason),
            None => kept.push(draft),
        }
    }
    kept.extend(directives.complaints());
    kept
}

/// By place; at most [`MAX_FINDINGS`], errors first where the cut would hide one.
fn in_order(mut drafts: Vec<Draft>) -> Vec<Draft> {
    drafts.sort_by(|a, b| {
        (b.level, a.site.start, a.rule, &a.object).cmp(&(a.level, b.site.start, b.rule, &b.object))
    });
    drafts.dedup();
    drafts.truncate(MAX_FINDINGS);
    drafts
        .sort_by(|a, b| (a.site.start, a.rule, &a.object).cmp(&(b.site.start, b.rule, &b.object)));
    drafts
}

fn trouble(problem: &Problem) -> Draft {
    let message = &problem.message;
    match problem.trouble {
        Trouble::Syntax => {
            let message = format!("PostgreSQL would refuse this: {message}");
            Draft::error(RuleId::SyntaxError, &problem.site, String::new(), message)
        }
        Trouble::Body => {
            let message = format!(
                "this part of the body cannot be read ({message}); nothing is claimed about it"
            );
            Draft::warning(RuleId::CannotCheck, &problem.site, String::new(), message)
        }
        Trouble::Unreadable => {
            let message = format!("the file cannot be checked: {message}");
            Draft::error(RuleId::CannotCheck, &problem.site, String::new(), message)
        }
    }
}

/// An applied migration that could not be read: what it made is not known, so later judgements may miss it.
fn gap(migration: &Migration, problem: &Problem) -> Finding {
    let message = format!(
        "this applied migration cannot be read in full ({}), so what it left behind is not fully known",
        problem.message
    );
    let draft = Draft::warning(RuleId::CannotCheck, &problem.site, String::new(), message);
    of_file(migration, &draft)
}
