//! What a database has applied, read as Prisma reads it: the rows of `_prisma_migrations` beside the files.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::load::Migration;
use super::report::Level;

/// Migrations that a message names one by one; of more, how many there are.
const NAMED: usize = 5;

/// One row of `_prisma_migrations`. A migration that was rolled back and applied again has two.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Row {
    /// The folder's name.
    pub name: String,
    /// The SHA-256 of the file when it was applied, hex.
    pub checksum: String,
    /// It was applied to its end, or resolved as applied.
    pub finished: bool,
    /// It was resolved as rolled back: Prisma passes such a row over.
    pub rolled_back: bool,
}

impl Row {
    /// Its migration is in.
    pub fn holds(&self) -> bool {
        self.finished && !self.rolled_back
    }

    /// Prisma refuses to go on after such a row (P3009).
    pub fn is_stuck(&self) -> bool {
        !self.finished && !self.rolled_back
    }
}

/// Whether a database has a history, and what else is in its schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Place {
    /// There is a `_prisma_migrations`.
    pub history: bool,
    /// The other tables, views and enums in the schema, extensions' own left out; the first 10,000 by name.
    pub objects: BTreeSet<String>,
    /// Those of them that are tables.
    pub tables: BTreeSet<String>,
}

/// What a database says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Where it was looked.
    pub schema: String,
    /// What is there.
    pub place: Place,
    /// In the order of their names.
    pub rows: Vec<Row>,
}

/// Something in the history that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The migration; the first of the folder when it concerns all.
    pub migration: String,
    /// An error stops `migrate deploy`, or hides a change; a warning is for somebody to decide.
    pub level: Level,
    /// What is wrong.
    pub message: String,
    /// What to type.
    pub fix: String,
}

/// A history beside the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What `migrate deploy` would apply.
    pub pending: BTreeSet<String>,
    /// What is wrong, in the order of the migrations.
    pub faults: Vec<Fault>,
}

/// Whether a name can be a schema's: any text that `PostgreSQL` keeps whole and that is one line.
pub fn is_schema(name: &str) -> bool {
    !name.is_empty() && name.len() <= 63 && !name.chars().any(char::is_control)
}

fn quoted(text: &str, with: char) -> String {
    let twice: String = [with, with].iter().collect();
    format!("{with}{}{with}", text.replace(with, &twice))
}

/// The question that [`Place`] answers, as one line of JSON. It works under any `search_path`.
pub fn place_sql(schema: &str) -> String {
    let schema = quoted(schema, '\'');
    let foreign = |class: &str, id: &str| {
        format!(
            "not exists (select from pg_catalog.pg_depend d where d.deptype = 'e' and d.objid = {id} \
             and d.classid = 'pg_catalog.{class}'::pg_catalog.regclass)"
        )
    };
    let (relations, types) = (foreign("pg_class", "c.oid"), foreign("pg_type", "t.oid"));
    format!(
        "with n as (select oid from pg_catalog.pg_namespace where nspname = {schema}), \
         r as (select c.relname as name, c.relkind from pg_catalog.pg_class c join n on n.oid = c.relnamespace \
           where c.relkind in ('r', 'p', 'v', 'm', 'f') and {relations}), \
         o as (select name from r union select t.typname from pg_catalog.pg_type t join n on n.oid = t.typnamespace \
           where t.typtype = 'e' and {types}) \
         select pg_catalog.json_build_object('history', exists (select from r where name = '_prisma_migrations'), \
         'objects', (select coalesce(pg_catalog.json_agg(name), '[]') from (select name from o \
           where name <> '_prisma_migrations' order by name limit 10000) s), \
         'tables', (select coalesce(pg_catalog.json_agg(name), '[]') from (select name from r \
           where name <> '_prisma_migrations' and relkind in ('r', 'p', 'f') order by name limit 10000) s))::text"
    )
}

/// The question whether there is a schema of that name, as JSON.
pub fn exists_sql(schema: &str) -> String {
    let schema = quoted(schema, '\'');
    format!(
        "select pg_catalog.to_json(exists (select from pg_catalog.pg_namespace where nspname = {schema}))::text"
    )
}

/// The question that lists the [`Row`]s as one line of JSON; it fails where there is no history.
pub fn rows_sql(schema: &str) -> String {
    format!(
        "select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', migration_name, 'checksum', checksum, \
         'finished', finished_at is not null, 'rolled_back', rolled_back_at is not null) order by migration_name), '[]')::text \
         from {}.\"_prisma_migrations\"",
        quoted(schema, '"')
    )
}

/// What is pending, and what is wrong.
///
/// As `prisma migrate deploy` does it: rows that were rolled back do not count, one that never finished stops everything
/// (P3009), and so do objects without a history (P3005). Beyond it, which says nothing of either: a file that was changed
/// since (with LF and CRLF taken as equal, as Prisma's own checksum does), and one that is gone.
pub fn compare(files: &[Migration], history: &History) -> Comparison {
    let mut compared = Comparison::default();
    if !history.place.history && !history.place.objects.is_empty() {
        compared.faults.push(no_history(files, history));
    }
    let rows = history.rows.iter().filter(|row| !row.rolled_back);
    let mut by_name: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        by_name.entry(&row.name).or_default().push(row);
    }
    for (name, rows) in &by_name {
        let file = files.iter().find(|each| each.name == *name);
        let finished = rows.iter().find(|row| row.finished);
        if rows.iter().any(|row| row.is_stuck()) {
            compared.faults.push(stuck(name));
        } else if let (Some(file), Some(row)) = (file, finished)
            && !file.is_of(&row.checksum)
        {
            compared.faults.push(changed(name));
        } else if file.is_none() {
            compared.faults.push(gone(name));
        }
    }
    let pending = files.iter().map(|each| &each.name);
    compared.pending = pending
        .filter(|name| !by_name.contains_key(name.as_str()))
        .cloned()
        .collect();
    compared
}

/// What keeps `migrate deploy` from beginning at all, whatever is to be applied: objects without a history, and a migration
/// that never finished.
pub fn unready(history: &History) -> Vec<Fault> {
    let place = &history.place;
    let bare = !place.history && !place.objects.is_empty();
    let bare = bare.then(|| no_history(&[], history));
    let begun = history.rows.iter().filter(|row| row.is_stuck());
    bare.into_iter()
        .chain(begun.map(|row| stuck(&row.name)))
        .collect()
}

fn fault(name: &str, level: Level, message: String, fix: String) -> Fault {
    Fault {
        migration: name.to_owned(),
        level,
        message,
        fix,
    }
}

fn no_history(files: &[Migration], history: &History) -> Fault {
    let objects = &history.place.objects;
    let names: Vec<&str> = objects.iter().take(NAMED).map(String::as_str).collect();
    let more = match objects.len() - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let schema = &history.schema;
    let message = format!(
        "the schema {schema:?} of the database is not empty ({}{more}) and has no _prisma_migrations: `migrate deploy` refuses it (P3005)",
        names.join(", ")
    );
    let resolve: Vec<String> = files
        .iter()
        .take(NAMED)
        .map(|each| resolve("applied", &each.name))
        .collect();
    let more = match files.len() - resolve.len() {
        0 => String::new(),
        more => format!(
            "\n(and so on, for the other {more} too, as far as their changes are in the database)"
        ),
    };
    let fix = format!(
        "If its history is in another schema, name that one: `schema` in [env.X.database] of flow.toml, `?schema=` for `flow lint`. \
         If the tables were made without migrations, baseline the database: tell Prisma, in order, which migrations are in it \
         already; what follows them is pending then:\n{}{more}",
        resolve.join("\n")
    );
    let first = files.first().map_or("", |each| each.name.as_str());
    fault(first, Level::Error, message, fix)
}

fn resolve(how: &str, name: &str) -> String {
    format!(
        "npx prisma migrate resolve --{how} '{}'",
        name.replace('\'', r"'\''")
    )
}

fn stuck(name: &str) -> Fault {
    let message = format!(
        "{name} was begun in the database and never finished: `migrate deploy` refuses to go on (P3009) until that is resolved"
    );
    let fix = format!(
        "Look at what of it is in the database (its row's `logs` say where it stopped). If nothing of it is, or you took it back:\n{}\n\
         If you brought it to its end by hand:\n{}",
        resolve("rolled-back", name),
        resolve("applied", name)
    );
    fault(name, Level::Error, message, fix)
}

fn changed(name: &str) -> Fault {
    let message = format!(
        "{name} was changed after it was applied: neither its bytes nor their LF or CRLF form have the checksum in _prisma_migrations. \
         `migrate deploy` says nothing of it"
    );
    let fix =
        "Restore the file as it was applied, and put the change into a new migration.".to_owned();
    fault(name, Level::Error, message, fix)
}

fn gone(name: &str) -> Fault {
    let message = format!(
        "{name} is applied and finished in the database, and its file is not there. `migrate deploy` allows that, for squashed histories"
    );
    let fix = format!(
        "If it was squashed into another migration, that one must be told to be applied already, then this may be accepted:\n{}\n\
         If not, restore the file: new databases will lack what it did.",
        resolve("applied", "NAME_OF_THE_SQUASHED_MIGRATION")
    );
    fault(name, Level::Warning, message, fix)
}

#[cfg(test)]
mod tests;
