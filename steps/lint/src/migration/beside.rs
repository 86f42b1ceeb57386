//! Beside the judgement of texts: findings that come from elsewhere, and which tables' rows a file changes.

use std::collections::BTreeSet;

use super::fold::Draft;
use super::history::Fault;
use super::op::{ColumnChange, Item, Op, Parsed, Site, TableChange};
use super::{ChangedRows, Finding, Level, Linted, Migration, RuleId, Settings, Suppressed};
use super::{of_file, start};

/// What a history says of an applied migration. The file's text is not needed, only its name.
pub fn historical(fault: Fault) -> Finding {
    let migration = Migration {
        name: fault.migration,
        ..Migration::default()
    };
    let draft = Draft {
        level: fault.level,
        ..Draft::error(
            RuleId::EditedMigration,
            &start(),
            String::new(),
            fault.message,
        )
    };
    Finding {
        fix: fault.fix,
        ..of_file(&migration, &draft)
    }
}

/// Pending migrations that make a table which the database has, although no applied file made it: a squashed history that
/// was not resolved, or tables made by hand. `tables` are those of the schema that unqualified names mean.
pub fn already_there(
    migrations: &[Migration],
    pending: &BTreeSet<String>,
    tables: &BTreeSet<String>,
) -> Vec<Finding> {
    let mut there: BTreeSet<String> = tables.clone();
    let mut found = Vec::new();
    let own: Vec<Migration> = migrations
        .iter()
        .filter(|each| pending.contains(&each.name))
        .cloned()
        .collect();
    for (migration, parsed) in own.iter().zip(super::syntax::parse_all(&own)) {
        for item in &parsed.items {
            follow(&mut there, item, |name| {
                found.push(twice(migration, item, name));
            });
        }
    }
    found
}

/// What a statement does to the names of tables; tells the name of one that is made and was there.
fn follow(there: &mut BTreeSet<String>, item: &Item, mut twice: impl FnMut(&str)) {
    let plain = |name: &super::op::Name| name.schema.is_none();
    match &item.op {
        Op::CreateTable(new) if plain(&new.name) && !new.temp => {
            let sure = !new.if_not_exists && item.site.inside.is_none();
            if !there.insert(new.name.name.clone()) && sure {
                twice(&new.name.name);
            }
        }
        Op::DropTable { name, .. } | Op::Alter(name, TableChange::Move(_)) if plain(name) => {
            there.remove(&name.name);
        }
        Op::Alter(name, TableChange::Rename(to)) if plain(name) => {
            there.remove(&name.name);
            there.insert(to.clone());
        }
        _ => {}
    }
}

fn twice(migration: &Migration, item: &Item, name: &str) -> Finding {
    let message = format!(
        "the database has a table {name:?} already, and no applied migration of this commit made it: the deployment fails here (42P07)"
    );
    let draft = Draft::error(RuleId::MadeTwice, &item.site, name.to_owned(), message);
    let mut found = of_file(migration, &draft);
    found.fix = format!(
        "If the database has all that {0} makes (it was squashed, or made by hand), tell Prisma so; if not, give the table another name:\nnpx prisma migrate resolve --applied '{0}'",
        migration.name
    );
    found
}

/// A difference between two statements of what the database is. It belongs to no migration; `of` stands in its place.
pub(crate) fn drifted(of: &str, level: Level, object: String, message: String) -> Finding {
    let migration = Migration {
        name: of.to_owned(),
        ..Migration::default()
    };
    let draft = Draft {
        level,
        ..Draft::error(RuleId::SchemaDrift, &start(), object, message)
    };
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
