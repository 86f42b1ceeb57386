//! Beside the judgement of texts: findings that come from elsewhere, and which tables' rows a file changes.

use std::collections::BTreeSet;

use super::fold::Draft;
use super::op::{ColumnChange, Item, Op, Parsed, Site, TableChange};
use super::{ChangedRows, Finding, Level, Linted, Migration, RuleId, Settings, Suppressed};
use super::{of_file, start};

/// An applied migration that is no longer what was applied. The file's text is not needed, only its name.
pub fn edited(name: &str, message: String) -> Finding {
    let migration = Migration {
        name: name.to_owned(),
        ..Migration::default()
    };
    let draft = Draft::error(RuleId::EditedMigration, &start(), String::new(), message);
    of_file(&migration, &draft)
}

/// A finding made elsewhere, such as by a replay, about a byte of a migration's text.
pub(crate) fn said(
    migration: &Migration,
    (rule, level): (RuleId, Level),
    at: usize,
    object: String,
    message: String,
) -> Finding {
    let site = Site {
        start: at,
        end: at,
        inside: None,
    };
    let draft = Draft {
        level,
        ..Draft::error(rule, &site, object, message)
    };
    of_file(migration, &draft)
}

/// Adds findings made elsewhere, as a team weighs them: its levels, and what `[[lint.ignore]]` accepts. Comments in a file
/// speak to the text check only.
pub fn settle(linted: &mut Linted, findings: Vec<Finding>, settings: &Settings) {
    for mut finding in findings {
        let Some(level) = settings.weigh(finding.rule, finding.level) else {
            continue;
        };
        finding.level = level;
        finding.waivable = level != Level::Error;
        let accepted = settings
            .ignore
            .iter()
            .find(|each| each.covers(&finding) && !each.reason.trim().is_empty());
        match accepted {
            Some(ignore) => {
                let reason = ignore.reason.clone();
                linted.suppressed.push(Suppressed { finding, reason });
            }
            None => linted.report.findings.push(finding),
        }
    }
}

/// Every table whose rows the file changes, once.
pub(super) fn changed_rows(migration: &Migration, parsed: &Parsed) -> Vec<ChangedRows> {
    let table = |item: &Item| match &item.op {
        Op::Truncate(name) | Op::Delete(name, _) | Op::Update(name, ..) | Op::Upsert(name) => {
            Some((name.to_string(), false))
        }
        Op::Alter(name, TableChange::Column(_, ColumnChange::SetType(_))) => {
            Some((name.to_string(), true))
        }
        Op::Dynamic(_) | Op::Calls { query: true, .. } | Op::Unknown(_) => {
            Some((String::new(), false))
        }
        _ => None,
    };
    let tables: BTreeSet<(String, bool)> = parsed.items.iter().filter_map(table).collect();
    let each = tables.into_iter().map(|(table, by_type)| ChangedRows {
        migration: migration.name.clone(),
        table,
        by_type,
    });
    each.collect()
}
