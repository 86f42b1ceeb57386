//! Primary keys, unique keys and other indexes.

use super::{Draft, Work, close, counts};
use crate::migration::Level;
use crate::shape::blind::Sort;
use crate::shape::{Key, Name, Table, quoted};

/// Operator classes that a type has by itself, so that nobody has to write them.
const OWN: &[&str] = &[
    "array_ops",
    "bit_ops",
    "bool_ops",
    "bpchar_ops",
    "bytea_ops",
    "char_ops",
    "cidr_ops",
    "date_ops",
    "enum_ops",
    "float4_ops",
    "float8_ops",
    "inet_ops",
    "int2_ops",
    "int4_ops",
    "int8_ops",
    "interval_ops",
    "jsonb_ops",
    "money_ops",
    "name_ops",
    "numeric_ops",
    "oid_ops",
    "range_ops",
    "text_ops",
    "time_ops",
    "timestamp_ops",
    "timestamptz_ops",
    "timetz_ops",
    "tsvector_ops",
    "uuid_ops",
    "varbit_ops",
    "varchar_ops",
];

fn ops(one: Option<&str>) -> Option<&str> {
    let bare = one.map(|text| text.rsplit('.').next().unwrap_or(text).trim_matches('"'));
    bare.filter(|text| !OWN.contains(text))
}

/// Equal but for the name.
fn same(a: &Key, b: &Key) -> bool {
    let order = a
        .order
        .iter()
        .zip(&b.order)
        .all(|((x, c), (y, d))| x == y && ops(c.as_deref()) == ops(d.as_deref()));
    a.unique == b.unique
        && a.columns == b.columns
        && a.method == b.method
        && a.partial == b.partial
        && order
}

/// For what text does not show (an expression, a condition) only the name is compared.
fn matches(a: &Key, b: &Key) -> bool {
    if a.is_plain() && b.is_plain() {
        same(a, b)
    } else {
        a.is_plain() == b.is_plain() && a.unique == b.unique && a.name == b.name
    }
}

/// The usual way to have an index of some rows, which Prisma cannot say: the model declares it plainly, and the migration
/// makes one of that name and these columns for some rows. A unique one is not the same: more rows are let in.
fn narrower(a: &Key, b: &Key) -> bool {
    let whole = Key {
        partial: false,
        ..b.clone()
    };
    b.partial && !b.unique && a.name.is_some() && a.name == b.name && same(a, &whole)
}

impl Work<'_> {
    pub(super) fn keys(&mut self, name: &Name, table: &Table, have: &Table) {
        if table.join {
            return self.join(name, table, have);
        }
        self.primary(name, table, have);
        let scope = self.scope;
        let wanted: Vec<&Key> = table.keys.iter().filter(|key| counts(key, scope)).collect();
        let there: Vec<&Key> = have.keys.iter().filter(|key| counts(key, scope)).collect();
        let (a, b) = (scope.wanted, scope.there);
        for key in &wanted {
            let all: Vec<&&Key> = there.iter().filter(|each| matches(key, each)).collect();
            let own = key.name.clone().unwrap_or_default();
            if !all.is_empty() && (key.partial || !key.is_plain()) {
                self.found.by_name += 1;
            }
            match all.as_slice() {
                // It may have come along with the columns of another table.
                [] if have.open => self
                    .found
                    .undecided
                    .push(format!("{name}.{}", quoted(&own))),
                [] if scope.prisma && have.keys.iter().any(|each| narrower(key, each)) => {}
                [] => {
                    let message = self.only_wanted(&format!(
                        "the {} {} ({})",
                        kind(key),
                        quoted(&own),
                        key.words()
                    ));
                    self.key(name, key, message, close::key(name, key));
                }
                // Of several that are alike Prisma renames none.
                [other] if other.name.is_some() && other.name != key.name && !own.is_empty() => {
                    let other = other.name.clone().unwrap_or_default();
                    let message = format!(
                        "the {} of {name} ({}) is called {own:?} in {a} and {other:?} in {b}",
                        kind(key),
                        key.words()
                    );
                    let from = Name {
                        schema: name.schema.clone(),
                        name: other,
                    };
                    self.key(
                        name,
                        key,
                        message,
                        format!("ALTER INDEX {from} RENAME TO {};", quoted(&own)),
                    );
                }
                _ => {}
            }
        }
        for key in there
            .iter()
            .filter(|key| !wanted.iter().any(|each| matches(each, key)))
        {
            let own = key.name.clone().unwrap_or_else(|| "…".to_owned());
            if table.open {
                self.found
                    .undecided
                    .push(format!("{name}.{}", quoted(&own)));
                continue;
            }
            let message = self.only_there(&format!(
                "the {} {} of {name} ({})",
                kind(key),
                quoted(&own),
                key.words()
            ));
            let index = Name {
                schema: name.schema.clone(),
                name: own,
            };
            let sql = format!(
                "-- or declare it in {a}\nDROP INDEX {index}; -- of a constraint: ALTER TABLE {name} DROP CONSTRAINT {};",
                quoted(&index.name)
            );
            self.key(name, key, message, sql);
        }
    }

    fn key(&mut self, name: &Name, key: &Key, message: String, sql: String) {
        let own = key.name.as_deref().unwrap_or_default();
        let columns = key.columns.iter().flatten().map(String::as_str);
        // A text is about it when it has its name, or its table and columns.
        if self.blind.hides(Sort::Key, &[own]) && !own.is_empty() {
            return self.found.undecided.push(format!("{name}.{}", quoted(own)));
        }
        self.say(Draft {
            sort: Sort::Key,
            names: std::iter::once(name.name.as_str()).chain(columns).collect(),
            level: Level::Warning,
            object: format!("{name}.{}", quoted(own)),
            message,
            sql,
            line: self.wanted.tables.get(name).map_or(0, |table| table.line),
        });
    }

    fn primary(&mut self, name: &Name, table: &Table, have: &Table) {
        let (a, b) = (self.scope.wanted, self.scope.there);
        let drop = |key: &Key| {
            let own = key.name.as_deref().map_or_else(|| "…".to_owned(), quoted);
            format!("ALTER TABLE {name} DROP CONSTRAINT {own};")
        };
        let (message, sql) = match (&table.primary, &have.primary) {
            (None, None) => return,
            (Some(_), None) if have.open => {
                return self.found.undecided.push(format!("{name} (primary key)"));
            }
            (None, Some(_)) if table.open => return,
            (Some(key), None) => (
                format!(
                    "{name} has the primary key ({}) in {a}, and none in {b}",
                    key.words()
                ),
                close::primary(name, key),
            ),
            (None, Some(key)) => (
                format!(
                    "{name} has the primary key ({}) in {b}, and none in {a}",
                    key.words()
                ),
                drop(key),
            ),
            (Some(key), Some(other)) if key.columns != other.columns => (
                format!(
                    "{name} has the primary key ({}) in {a} and ({}) in {b}",
                    key.words(),
                    other.words()
                ),
                format!("{}\n{}", drop(other), close::primary(name, key)),
            ),
            (Some(key), Some(other)) => match (&key.name, &other.name) {
                (Some(own), Some(theirs)) if own != theirs => (
                    format!(
                        "the primary key of {name} is called {own:?} in {a} and {theirs:?} in {b}"
                    ),
                    format!(
                        "ALTER TABLE {name} RENAME CONSTRAINT {} TO {};",
                        quoted(theirs),
                        quoted(own)
                    ),
                ),
                _ => return,
            },
        };
        self.say(Draft {
            sort: Sort::Constraint,
            names: vec![&name.name],
            level: Level::Warning,
            object: format!("{name} (primary key)"),
            message,
            sql,
            line: table.line,
        });
    }

    /// Prisma made the key of such a table unique until version 6, and primary since.
    fn join(&mut self, name: &Name, table: &Table, have: &Table) {
        let pair = |key: &&Key| key.unique && key.columns.iter().flatten().eq(["A", "B"]);
        let there = || have.keys.iter().chain(&have.primary);
        for key in &table.keys {
            let found = if key.unique {
                there().any(|each| pair(&each))
            } else {
                there().any(|each| each.columns == key.columns)
            };
            if !found {
                let message =
                    self.only_wanted(&format!("the {} ({}) of {name}", kind(key), key.words()));
                self.key(name, key, message, close::key(name, key));
            }
        }
    }
}

fn kind(key: &Key) -> &'static str {
    if key.unique { "unique key" } else { "index" }
}
