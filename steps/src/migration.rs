//! Migration safety: what pending migrations do to the rows that exist and to the version that still runs, judged from their
//! text. Nothing is executed and nothing but [`read_folder`] touches a disk.
//!
//! The applied migrations are folded into a schema (tables, columns, keys, enums); each pending one is judged by its net
//! effect on what existed before it. A column added and dropped by one file is nothing; an enum exchanged for one with
//! fewer labels is a removal although no statement says so. What cannot be read, or has no rule, is reported: silence means
//! that every statement is known to be harmless.

mod fold;
mod guard;
mod judge;
mod load;
mod op;
mod report;
mod rule;
mod state;
mod syntax;
#[cfg(test)]
mod tests;
mod types;

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use self::fold::{Draft, Fold};
use self::op::{Parsed, Problem, Site, Trouble};
use self::state::Schema;

pub use self::load::{LoadError, MAX_FILE, Migration, from_pairs, read_folder};
pub use self::report::{Finding, Level, NullableColumn, RemovedLabels, Report, UniqueKey, Verdict};
pub use self::rule::{EXAMPLE_CONTEXT, Explanation, RuleId, UnknownRule, explain};

/// Characters of a statement shown in a finding.
const EXCERPT: usize = 160;
/// Findings per migration; a file that has more is bad enough.
const MAX_FINDINGS: usize = 1_000;

/// Judges the pending migrations, with the others as context.
///
/// `migrations` must be in the order in which they are applied (as [`read_folder`] and [`from_pairs`] give them). A pending
/// name that is not among them is an error in the report. The same input always gives the same report.
pub fn check(migrations: &[Migration], pending: &BTreeSet<String>) -> Report {
    let mut report = Report::default();
    let mut schema = Schema::default();
    for migration in migrations {
        let parsed = syntax::parse(&migration.sql);
        if pending.contains(&migration.name) {
            judge_one(migration, &parsed, &mut schema, &mut report);
        } else {
            report.applied += 1;
            Fold::new(&mut schema).apply(&parsed.items, parsed.statements);
            if let Some(problem) = parsed.problems.first().filter(|_| !pending.is_empty()) {
                report.findings.push(gap(migration, problem));
            }
        }
    }
    for name in pending
        .iter()
        .filter(|name| !migrations.iter().any(|each| each.name == **name))
    {
        let migration = Migration {
            name: name.clone(),
            sql: String::new(),
        };
        let message = "this migration is pending, but its file is not there".to_owned();
        let draft = Draft::error(RuleId::CannotCheck, &start(), String::new(), message);
        report
            .findings
            .push(finding(&migration, &draft, &Lines::new("")));
    }
    report
}

fn judge_one(migration: &Migration, parsed: &Parsed, schema: &mut Schema, report: &mut Report) {
    report.pending += 1;
    report.statements += parsed.statements;
    schema.begin();
    let mut fold = Fold::new(schema);
    fold.apply(&parsed.items, parsed.statements);
    let direct = std::mem::take(&mut fold.drafts);
    let judged = judge::judge(schema);
    let lines = Lines::new(&migration.sql);
    for (at, table, key) in &judged.keys {
        report.unique_keys.push(UniqueKey {
            migration: migration.name.clone(),
            schema: table.schema.clone(),
            table: table.name.clone(),
            terms: key.terms.clone(),
            predicate: key.predicate.clone(),
            nulls_equal: key.nulls_not_distinct || key.primary,
            finding: finding(migration, &judged.drafts[*at], &lines).digest,
        });
    }
    report.removed_labels.extend(
        judged
            .removed
            .into_iter()
            .map(|(name, labels)| RemovedLabels {
                migration: migration.name.clone(),
                enumeration: name.to_string(),
                labels,
            }),
    );
    report
        .nullable
        .extend(
            judged
                .nullable
                .into_iter()
                .map(|(table, column, added)| NullableColumn {
                    migration: migration.name.clone(),
                    table: table.name,
                    column,
                    added,
                }),
        );
    let mut drafts: Vec<Draft> = parsed.problems.iter().map(trouble).collect();
    drafts.extend(direct);
    drafts.extend(judged.drafts);
    // Errors first where the cut below would hide one.
    drafts.sort_by(|a, b| {
        (b.level, a.site.start, a.rule, &a.object).cmp(&(a.level, b.site.start, b.rule, &b.object))
    });
    drafts.dedup();
    drafts.truncate(MAX_FINDINGS);
    drafts
        .sort_by(|a, b| (a.site.start, a.rule, &a.object).cmp(&(b.site.start, b.rule, &b.object)));
    report
        .findings
        .extend(drafts.iter().map(|draft| finding(migration, draft, &lines)));
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
    finding(migration, &draft, &Lines::new(&migration.sql))
}

fn start() -> Site {
    Site {
        start: 0,
        end: 0,
        inside: None,
    }
}

fn finding(migration: &Migration, draft: &Draft, lines: &Lines<'_>) -> Finding {
    let Site { start, end, inside } = &draft.site;
    let (line, column) = lines.position(*start);
    let message = match inside {
        Some(inside) => format!("in {inside}: {}", draft.message),
        None => draft.message.clone(),
    };
    let identity = format!(
        "{}\n{:?}\n{}\n{}\n{start}..{end}",
        draft.rule, draft.level, draft.object, lines.sha256
    );
    Finding {
        rule: draft.rule,
        level: draft.level,
        migration: migration.name.clone(),
        line,
        column,
        statement: lines.excerpt(*start, *end),
        object: draft.object.clone(),
        message,
        fix: explain(draft.rule).fix.to_owned(),
        waivable: draft.level == Level::Warning,
        digest: load::hex(&Sha256::digest(identity.as_bytes())),
    }
}

/// A file's text with what every finding in it needs.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
    sha256: String,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let breaks = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(breaks).collect(),
            sha256: load::hex(&Sha256::digest(text.as_bytes())),
        }
    }

    /// Line and column, both from 1.
    fn position(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        let before = self.text.get(self.starts[line - 1]..at).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    /// From the beginning of the line up to the end of the range, on one line.
    fn excerpt(&self, start: usize, end: usize) -> String {
        let (line, _) = self.position(start);
        let from = self.starts[line - 1];
        let end = self.text[..].get(end..).map_or(end, |rest| {
            end + rest.find([';', '\n']).unwrap_or(rest.len())
        });
        let text = self.text.get(from..end).unwrap_or_default();
        let mut short = String::new();
        for word in text.split_whitespace() {
            if short.len() > EXCERPT {
                short.push('…');
                break;
            }
            if !short.is_empty() {
                short.push(' ');
            }
            short.extend(word.chars().take(EXCERPT));
        }
        short
    }
}
