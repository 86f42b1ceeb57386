//! A database's catalog as a [`Shape`].

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::shape::value::DefaultValue;
use crate::shape::{Column, Foreign, Key, Name, ROW_SECURITY, Shape, Table, Type};

/// The question: the one that the replay asks, too. It works under the search path `pg_catalog, pg_temp`.
pub const QUERY: &str = include_str!("../replay/catalog.sql");

/// Its answer, as far as it is needed here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Catalog {
    tables: BTreeMap<String, TableRow>,
    #[serde(default)]
    views: BTreeMap<String, TableRow>,
    columns: BTreeMap<String, ColumnRow>,
    enums: BTreeMap<String, EnumRow>,
    indexes: BTreeMap<String, IndexRow>,
    constraints: BTreeMap<String, ConstraintRow>,
    objects: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct TableRow {
    schema: String,
    name: String,
    /// A part of another table.
    #[serde(default)]
    part: bool,
    /// Row-level security is on.
    #[serde(default)]
    guarded: bool,
    /// It binds the table's owner, too.
    #[serde(default)]
    forced: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct ColumnRow {
    name: String,
    required: bool,
    filled: bool,
    #[serde(rename = "type")]
    ty: String,
    /// `a`, `d` for an identity, `s`, `v` for a computed one, or nothing.
    #[serde(default)]
    made: String,
    #[serde(default)]
    default: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct EnumRow {
    schema: String,
    name: String,
    labels: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "as the catalog has them")]
struct IndexRow {
    name: String,
    table: String,
    columns: Vec<String>,
    condition: String,
    unique: bool,
    primary: bool,
    /// Whether it is in use. What a failed `CREATE INDEX CONCURRENTLY` left is not, and counts as none.
    #[serde(default = "yes")]
    valid: bool,
    #[serde(default)]
    excludes: bool,
    #[serde(default)]
    method: String,
    /// For each column: descending, and the operator class when it is not the type's own.
    #[serde(default)]
    order: Vec<(bool, Option<String>)>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct ConstraintRow {
    name: String,
    table: String,
    kind: String,
    columns: Vec<String>,
    #[serde(default)]
    target: String,
    #[serde(default)]
    theirs: Vec<String>,
    #[serde(default)]
    on_delete: String,
    #[serde(default)]
    on_update: String,
}

impl Catalog {
    /// The shape, of an application whose own schema is `own`.
    pub fn shape(&self, own: &str) -> Shape {
        let place = |schema: &str| {
            if schema == own {
                String::new()
            } else {
                schema.to_owned()
            }
        };
        let mut shape = Shape::default();
        for (id, row) in self.tables.iter().filter(|(_, row)| !row.part) {
            let name = Name {
                schema: place(&row.schema),
                name: row.name.clone(),
            };
            let flags = [("enabled", row.guarded), ("forced", row.forced)];
            for (flag, _) in flags.into_iter().filter(|(_, on)| *on) {
                let guard = (ROW_SECURITY.to_owned(), flag.to_owned(), name.clone());
                shape.guards.insert(guard);
            }
            shape.tables.insert(name, self.table(id, &place));
        }
        let views = self.views.values().map(|row| Name {
            schema: place(&row.schema),
            name: row.name.clone(),
        });
        shape.views = views.collect();
        for row in self.enums.values() {
            let name = Name {
                schema: place(&row.schema),
                name: row.name.clone(),
            };
            shape.enums.insert(name, row.labels.clone());
        }
        for line in &self.objects {
            let Ok([kind, _, schema, text]) = serde_json::from_str::<[String; 4]>(line) else {
                continue;
            };
            let Some((name, table)) = text
                .rsplit_once(" on ")
                .filter(|_| kind == "trigger" || kind == "policy")
            else {
                continue;
            };
            let table = Name {
                schema: place(&schema),
                name: table.to_owned(),
            };
            shape.guards.insert((kind, name.to_owned(), table));
        }
        shape
    }

    fn column_name(&self, table: &str, number: &str) -> Option<String> {
        self.columns
            .get(&format!("{table}.{number}"))
            .map(|row| row.name.clone())
    }

    fn names(&self, table: &str, numbers: &[String]) -> Vec<String> {
        numbers
            .iter()
            .filter_map(|number| self.column_name(table, number))
            .collect()
    }

    fn table(&self, id: &str, place: &dyn Fn(&str) -> String) -> Table {
        let mut table = Table::default();
        let from = format!("{id}.");
        for (_, row) in self
            .columns
            .range(from.clone()..)
            .take_while(|(key, _)| key.starts_with(&from))
        {
            table.columns.insert(row.name.clone(), row.column(place));
        }
        for row in self
            .indexes
            .values()
            .filter(|row| row.table == id && row.valid && !row.excludes)
        {
            let mut order = row.order.clone();
            order.resize(row.columns.len(), (false, None));
            let key = Key {
                name: Some(row.name.clone()),
                unique: row.unique,
                columns: row
                    .columns
                    .iter()
                    .map(|number| self.column_name(id, number))
                    .collect(),
                order,
                method: row.method.clone(),
                partial: !row.condition.is_empty(),
            };
            if row.primary {
                table.primary = Some(key);
            } else {
                table.keys.push(key);
            }
        }
        for row in self.constraints.values().filter(|row| row.table == id) {
            if row.kind != "f" {
                table.checks.push(row.name.clone());
                continue;
            }
            let target = self.tables.get(&row.target);
            table.foreign.push(Foreign {
                name: Some(row.name.clone()),
                columns: self.names(id, &row.columns),
                target: target.map_or_else(Name::default, |to| Name {
                    schema: place(&to.schema),
                    name: to.name.clone(),
                }),
                theirs: self.names(&row.target, &row.theirs),
                on_delete: action(&row.on_delete).to_owned(),
                on_update: action(&row.on_update).to_owned(),
            });
        }
        table
    }
}

impl ColumnRow {
    fn column(&self, place: &dyn Fn(&str) -> String) -> Column {
        let default = match (self.made.as_str(), &self.default) {
            ("a" | "d", _) => DefaultValue::Sequence,
            ("s" | "v", _) => DefaultValue::Some,
            (_, Some(sql)) => DefaultValue::of_sql(sql),
            (_, None) if self.filled => DefaultValue::Some,
            (_, None) => DefaultValue::Nothing,
        };
        let mut ty = Type::of_text(&self.ty);
        ty.base.schema = place(&ty.base.schema);
        Column {
            ty: Some(ty),
            required: Some(self.required),
            default,
            line: 0,
        }
    }
}

fn action(letter: &str) -> &'static str {
    match letter {
        "c" => "CASCADE",
        "r" => "RESTRICT",
        "n" => "SET NULL",
        "d" => "SET DEFAULT",
        _ => "NO ACTION",
    }
}
