//! From a draft to a finding: its place in the file, and its fingerprint.

use super::draft::Draft;
use super::fingerprint::Fingerprints;
use super::lines::Lines;
use super::load::Migration;
use super::op::Site;
use super::report::{Finding, Level};
use super::rule::explain;

/// The beginning of a file, for what is about all of it.
pub(super) fn start() -> Site {
    Site {
        start: 0,
        end: 0,
        inside: None,
    }
}

/// A finding about a file as a whole.
pub(super) fn of_file(migration: &Migration, draft: &Draft) -> Finding {
    let mut prints = Fingerprints::of(&migration.name, &migration.sql, &[]);
    finding(migration, draft, &Lines::new(&migration.sql), &mut prints)
}

/// The draft as a finding of this migration, with line, column, excerpt and fingerprint.
pub(super) fn finding(
    migration: &Migration,
    draft: &Draft,
    lines: &Lines<'_>,
    prints: &mut Fingerprints<'_>,
) -> Finding {
    let Site { start, end, inside } = &draft.site;
    let (line, column) = lines.position(*start);
    let message = match inside {
        Some(inside) => format!("in {inside}: {}", draft.message),
        None => draft.message.clone(),
    };
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
        digest: prints.next(draft),
    }
}
