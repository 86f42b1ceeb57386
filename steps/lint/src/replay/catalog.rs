//! What a database is, by identity: object ids and column numbers, which no rename and no copy shares.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ReplayError;
use super::wire::Session;
use crate::clock::Deadline;

/// Everything that is compared, as one line of JSON. Members of extensions are left out.
const QUERY: &str = include_str!("catalog.sql");
/// Names in the query mean the catalog's own, whatever a migration made of the same name.
const PRELUDE: &str = "SET search_path = pg_catalog, pg_temp";

/// An object's id, or `table.number` of a column.
pub(super) type Id = String;

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    /// Row security is on.
    pub(super) guarded: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct View {
    pub(super) schema: String,
    pub(super) name: String,
    /// A materialized one: its rows come from rows that exist.
    pub(super) stored: bool,
    pub(super) columns: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) required: bool,
    /// An INSERT that does not name it still gets a value.
    pub(super) filled: bool,
    #[serde(rename = "type")]
    pub(super) ty: String,
    /// The type's id; of an array, its element's.
    pub(super) of: Id,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Enum {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) labels: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Index {
    pub(super) name: String,
    pub(super) table: Id,
    /// Column numbers; `0` is an expression.
    pub(super) columns: Vec<String>,
    pub(super) expressions: String,
    pub(super) condition: String,
    pub(super) unique: bool,
    pub(super) primary: bool,
    pub(super) valid: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Constraint {
    pub(super) name: String,
    pub(super) table: Id,
    /// `f` foreign key, `c` check, `x` exclusion.
    pub(super) kind: String,
    pub(super) valid: bool,
    pub(super) columns: Vec<String>,
    pub(super) text: String,
}

/// One state of a database.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Snapshot {
    pub(super) tables: BTreeMap<Id, Table>,
    pub(super) views: BTreeMap<Id, View>,
    pub(super) columns: BTreeMap<Id, Column>,
    pub(super) enums: BTreeMap<Id, Enum>,
    pub(super) indexes: BTreeMap<Id, Index>,
    pub(super) constraints: BTreeMap<Id, Constraint>,
    /// Kind, id, schema and name, each as JSON in a string.
    objects: Vec<String>,
}

impl Snapshot {
    /// Reads the state in a session that only reads.
    pub(super) fn read(session: &mut Session, until: Deadline) -> Result<Self, ReplayError> {
        for sql in [PRELUDE, QUERY] {
            let answer = session.run(sql, true, until)?;
            if let Some(refusal) = answer.refusal {
                return Err(ReplayError::Server(format!(
                    "the catalog cannot be read: {refusal}"
                )));
            }
            if let Some(row) = answer.rows.first() {
                return serde_json::from_str(row).map_err(|e| {
                    ReplayError::Server(format!("the catalog is not understood: {e}"))
                });
            }
        }
        Err(ReplayError::Server("the catalog says nothing".into()))
    }

    /// Kind, schema and name of functions, sequences, triggers and policies.
    pub(super) fn objects(&self) -> impl Iterator<Item = (String, String, String)> {
        self.objects.iter().filter_map(|line| {
            let [kind, _, schema, name]: [String; 4] = serde_json::from_str(line).ok()?;
            Some((kind, schema, name))
        })
    }

    /// The table as findings name it.
    pub(super) fn table(&self, id: &str) -> Option<String> {
        let table = self.tables.get(id)?;
        Some(display(&table.schema, &table.name))
    }
}

/// The table a column's id belongs to.
pub(super) fn table_of(column: &str) -> &str {
    column.split_once('.').map_or(column, |(table, _)| table)
}

/// `"name"`, with its schema when that is not `public`: the form findings use.
pub(super) fn display(schema: &str, name: &str) -> String {
    if schema == "public" {
        quoted(name)
    } else {
        format!("{}.{}", quoted(schema), quoted(name))
    }
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
