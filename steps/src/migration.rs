//! Migration safety: what pending migrations do to the rows that exist and to the version that still runs, judged from their
//! text. Nothing is executed and nothing but [`read_folder`] touches a disk.
//!
//! The applied migrations are folded into a schema (tables, columns, keys, enums); each pending one is judged by its net
//! effect on what existed before it. A column added and dropped by one file is nothing; an enum exchanged for one with
//! fewer labels is a removal although no statement says so. What cannot be read, or has no rule, is reported: silence means
//! that every statement is known to be harmless.

mod beside;
mod fold;
mod guard;
mod judge;
mod load;
mod op;
mod query;
mod report;
mod rule;
mod settings;
mod state;
mod suppress;
mod syntax;
#[cfg(test)]
mod tests;
mod types;

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use self::fold::{Draft, Fold};
use self::op::{Parsed, Problem, Site, Trouble};
use self::state::Schema;
use self::suppress::Directives;

pub(crate) use self::beside::said;
pub use self::beside::{edited, settle};
pub use self::load::{LoadError, MAX_FILE, Migration, from_pairs, read_folder};
pub use self::report::{
    ChangedRows, Finding, Level, Linted, NullableColumn, RemovedLabels, Report, Suppressed,
    UniqueKey, Verdict,
};
pub use self::rule::{EXAMPLE_CONTEXT, Explanation, RuleId, UnknownRule, explain, rules_page};
pub use self::settings::{Ignore, Settings, Weight};

/// Characters of a statement shown in a finding.
const EXCERPT: usize = 160;
/// Findings per migration; a file that has more is bad enough.
const MAX_FINDINGS: usize = 1_000;

/// Judges the pending migrations, with the others as context.
///
/// `migrations` must be in the order in which they are applied (as [`read_folder`] and [`from_pairs`] give them). A pending
/// name that is not among them is an error in the report. The same input always gives the same report. Comments that
/// suppress findings are not followed: this is what a release's gate asks.
pub fn check(migrations: &[Migration], pending: &BTreeSet<String>) -> Report {
    run(migrations, pending, None).report
}

/// As [`check`], with a team's own levels, and without what comments and settings suppress: what `flow lint` asks.
pub fn lint(migrations: &[Migration], pending: &BTreeSet<String>, settings: &Settings) -> Linted {
    let mut linted = run(migrations, pending, Some(settings));
    let mut used = vec![false; settings.ignore.len()];
    let findings = std::mem::take(&mut linted.report.findings);
    for mut finding in findings {
        let Some(level) = settings.weigh(finding.rule, finding.level) else {
            continue;
        };
        finding.level = level;
        finding.waivable = level != Level::Error;
        let found = settings
            .ignore
            .iter()
            .position(|each| each.covers(&finding) && !each.reason.trim().is_empty());
        match found {
            Some(at) => {
                used[at] = true;
                let reason = settings.ignore[at].reason.clone();
                linted.suppressed.push(Suppressed { finding, reason });
            }
            None => linted.report.findings.push(finding),
        }
    }
    for (ignore, used) in settings.ignore.iter().zip(used) {
        // What a replay finds is not known here.
        if !used && !ignore.rule.is_of_replay() && pending.contains(&ignore.migration) {
            linted.report.findings.push(unused(ignore));
        }
    }
    linted
}

/// An entry of the configuration that suppresses nothing.
fn unused(ignore: &Ignore) -> Finding {
    let why = if ignore.reason.trim().is_empty() {
        "it gives no reason"
    } else {
        "nothing there is found by that rule"
    };
    let message = format!(
        "[[lint.ignore]] of flow.toml for {} in {} suppresses nothing: {why}",
        ignore.rule, ignore.migration
    );
    let draft = Draft::warning(RuleId::Suppression, &start(), String::new(), message);
    let migration = Migration {
        name: ignore.migration.clone(),
        ..Migration::default()
    };
    finding(&migration, &draft, &Lines::new(""))
}

fn run(
    migrations: &[Migration],
    pending: &BTreeSet<String>,
    settings: Option<&Settings>,
) -> Linted {
    let mut linted = Linted::default();
    let mut schema = Schema::default();
    let all = syntax::parse_all(migrations);
    for (migration, parsed) in migrations.iter().zip(&all) {
        if pending.contains(&migration.name) {
            judge_one(
                migration,
                parsed,
                &mut schema,
                settings.is_some(),
                &mut linted,
            );
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
        linted
            .report
            .findings
            .push(finding(&migration, &draft, &Lines::new("")));
    }
    linted
}

fn judge_one(
    migration: &Migration,
    parsed: &Parsed,
    schema: &mut Schema,
    suppress: bool,
    linted: &mut Linted,
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
    for (at, table, key) in &judged.keys {
        report.unique_keys.push(UniqueKey {
            migration: migration.name.clone(),
            schema: table.schema.clone(),
            table: table.name.clone(),
            terms: key.terms.clone(),
            predicate: key.predicate.clone(),
            nulls_equal: key.nulls_not_distinct || key.primary,
            primary: key.primary,
            finding: finding(migration, &judged.drafts[*at], &lines).digest,
        });
    }
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
        .extend(beside::changed_rows(migration, parsed));
    let mut drafts: Vec<Draft> = parsed.problems.iter().map(trouble).collect();
    drafts.extend(direct);
    drafts.extend(judged.drafts);
    if suppress {
        drafts = kept(drafts, parsed, migration, &lines, &mut linted.suppressed);
    }
    let findings = in_order(drafts).into_iter();
    linted
        .report
        .findings
        .extend(findings.map(|draft| finding(migration, &draft, &lines)));
}

/// The drafts no comment suppresses, and what is wrong with the comments.
fn kept(
    drafts: Vec<Draft>,
    parsed: &Parsed,
    migration: &Migration,
    lines: &Lines<'_>,
    suppressed: &mut Vec<Suppressed>,
) -> Vec<Draft> {
    let mut directives = Directives::read(parsed, lines);
    let mut kept = Vec::new();
    for draft in drafts {
        match directives.covers(&draft) {
            Some(reason) => suppressed.push(Suppressed {
                finding: finding(migration, &draft, lines),
                reason,
            }),
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
        file: migration.file(),
        rule: draft.rule,
        level: draft.level,
        migration: migration.name.clone(),
        line,
        column,
        length: lines.length(*start, *end),
        statement: lines.excerpt(*start, *end),
        object: draft.object.clone(),
        message,
        fix: explain(draft.rule).fix.to_owned(),
        sql: draft.sql.clone(),
        query: draft.query.clone(),
        waivable: draft.level != Level::Error,
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

    /// Characters of the range on its first line.
    fn length(&self, start: usize, end: usize) -> usize {
        let text = self.text.get(start..end).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        first.trim_end().chars().count().max(1)
    }

    /// The byte at which a line begins; the end of the text behind the last one.
    fn start_of(&self, line: usize) -> usize {
        self.starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(self.text.len() + 1)
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
