//! Findings that are not made from the text of a pending file alone: a history, a database, a replay or a schema tells them.

use std::collections::BTreeSet;

use super::draft::Draft;
use super::finding::{of_file, start};
use super::history::Fault;
use super::load::Migration;
use super::op::{Item, Name, Op, Site, TableChange};
use super::report::{Finding, Level};
use super::rule::RuleId;
use super::syntax::parse_all;

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
    for (migration, parsed) in own.iter().zip(parse_all(&own)) {
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
    let plain = |name: &Name| name.schema.is_none();
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
