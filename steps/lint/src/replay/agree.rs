//! Whether what the text check says of a migration is what happened.

use super::catalog::{Snapshot, display};
use super::effects::{Class, Effect};
use crate::migration::{self, Finding, Level, Migration, Report, RuleId};

/// Every kind of change, for the rules that claim one.
const CLASSES: &[Class] = &[
    Class::TableGone,
    Class::TableRenamed,
    Class::ColumnGone,
    Class::ColumnRemade,
    Class::ColumnRenamed,
    Class::Tightened,
    Class::Loosened,
    Class::Required,
    Class::DefaultGone,
    Class::Retyped,
    Class::LabelsGone,
    Class::TypeRenamed,
    Class::KeyAdded,
    Class::KeyGone,
    Class::RuleAdded,
    Class::RuleGone,
];

/// Rules whose findings say that the catalog changes. The others speak of rows, locks and what cannot be read.
const CLAIMS: &[RuleId] = &[
    RuleId::DropTable,
    RuleId::RenameTable,
    RuleId::DropColumn,
    RuleId::RenameColumn,
    RuleId::SetNotNull,
    RuleId::RequiredColumn,
    RuleId::EnumValueRemoved,
    RuleId::RenameType,
    RuleId::NarrowType,
    RuleId::ChangeType,
    RuleId::UniqueOnExisting,
    RuleId::DropUnique,
    RuleId::DropDefault,
    RuleId::DropNotNull,
    RuleId::AddConstraint,
    RuleId::DropConstraint,
];

/// Rules that say that the migration fails, whatever the rows are.
const FAILS: &[RuleId] = &[
    RuleId::SyntaxError,
    RuleId::ConcurrentlyInTransaction,
    RuleId::NewLabelUsed,
];

/// The differences, for a migration that was applied.
pub(super) fn compare(
    migration: &Migration,
    report: &Report,
    before: &Snapshot,
    effects: &[Effect],
) -> Vec<Finding> {
    let said: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|finding| finding.migration == migration.name)
        .collect();
    let silent = effects
        .iter()
        .filter(|effect| effect.sure && !is_said(effect, &said));
    let mut found: Vec<Finding> = silent
        .map(|effect| unsaid(migration, effect, &said))
        .collect();
    let wrong = said
        .iter()
        .filter(|finding| !happened(finding, before, effects));
    found.extend(wrong.map(|finding| unseen(migration, finding)));
    found
}

fn is_said(effect: &Effect, said: &[&Finding]) -> bool {
    said.iter().any(|finding| {
        effect.class.rules().contains(&finding.rule) && is_about(finding, &effect.names)
    })
}

fn is_about(finding: &Finding, names: &[String]) -> bool {
    finding.object.is_empty()
        || names.iter().any(|name| {
            finding.object.contains(name.as_str()) || name.contains(finding.object.as_str())
        })
}

/// Whether what a finding claims is what the catalog shows; also when it claims nothing of the catalog.
fn happened(finding: &Finding, before: &Snapshot, effects: &[Effect]) -> bool {
    if FAILS.contains(&finding.rule) {
        return false;
    }
    if !CLAIMS.contains(&finding.rule) {
        return true;
    }
    let claimed = |class: &Class| class.rules().contains(&finding.rule);
    let shown = effects.iter().any(|effect| {
        CLASSES.contains(&effect.class)
            && claimed(&effect.class)
            && is_about(finding, &effect.names)
    });
    // With the table goes whatever was changed on it before.
    let table_gone = effects
        .iter()
        .any(|effect| effect.class == Class::TableGone && is_about(finding, &effect.names));
    // `IF EXISTS` on what no migration made: nothing happens here, which is what the warning says.
    let absent = finding.level != Level::Error && !is_known(&finding.object, before);
    shown || table_gone || absent
}

/// Whether the history made what a finding is about.
fn is_known(object: &str, before: &Snapshot) -> bool {
    let tables = before
        .tables
        .iter()
        .map(|(id, table)| (id, display(&table.schema, &table.name)));
    for (id, table) in tables {
        let rest = object.strip_prefix(table.as_str());
        match rest.map(|rest| rest.strip_prefix('.')) {
            None => {}
            Some(None) => return true,
            Some(Some(column)) => {
                let own = before
                    .columns
                    .iter()
                    .filter(|(each, _)| super::catalog::table_of(each) == *id);
                let mut names = own.map(|(_, each)| super::catalog::quoted(&each.name));
                return names.any(|name| column.starts_with(&name));
            }
        }
    }
    let mut enums = before.enums.values();
    enums.any(|each| display(&each.schema, &each.name) == object)
}

fn unsaid(migration: &Migration, effect: &Effect, said: &[&Finding]) -> Finding {
    let hidden: Vec<&str> = said
        .iter()
        .filter(|finding| {
            matches!(
                finding.rule,
                RuleId::DynamicSql
                    | RuleId::CannotCheck
                    | RuleId::RunsFunction
                    | RuleId::Cascade
                    | RuleId::UnknownStatement
            )
        })
        .map(|finding| finding.rule.as_str())
        .collect();
    let but = match hidden.first() {
        Some(rule) => format!("it only warns that it cannot know ({rule})"),
        None => "it says nothing of it".to_owned(),
    };
    let name = effect.names.first().cloned().unwrap_or_default();
    migration::said(
        migration,
        (RuleId::ReplayDiffers, effect.class.level()),
        place(&migration.sql, &name),
        name,
        format!(
            "the replay shows what the text check does not: {}; {but}",
            effect.words
        ),
    )
}

fn unseen(migration: &Migration, finding: &Finding) -> Finding {
    let what = if FAILS.contains(&finding.rule) {
        "the migration applies"
    } else {
        "the catalog shows nothing of it"
    };
    // A warning says that something may happen; that it does not is worth knowing, and no more.
    let level = match finding.level {
        Level::Error => Level::Warning,
        Level::Warning | Level::Note => Level::Note,
    };
    let mut differs = migration::said(
        migration,
        (RuleId::ReplayDiffers, level),
        0,
        finding.object.clone(),
        format!(
            "the text check says {}, and {what}: {}",
            finding.rule, finding.message
        ),
    );
    (differs.line, differs.column, differs.length) = (finding.line, finding.column, finding.length);
    differs.statement.clone_from(&finding.statement);
    differs
}

/// Where the text first names the last part of an object; the beginning when it never does.
fn place(sql: &str, object: &str) -> usize {
    let bare = object.rsplit_once(".\"").map_or(object, |(_, last)| last);
    let bare = bare.trim_matches('"');
    if bare.is_empty() {
        return 0;
    }
    sql.find(&format!("\"{bare}\""))
        .or_else(|| sql.find(bare))
        .unwrap_or(0)
}
