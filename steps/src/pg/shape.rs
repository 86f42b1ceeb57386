//! The shape of a database: everything it is made of but its rows, thing by thing.
//!
//! Only what people made is in it. What PostgreSQL keeps for itself is not: numbers of objects, statistics, the tables
//! behind long values, places of sequences, and indexes that are not valid.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub(super) use super::places::rewound;
use crate::means::psql::PgError;
use crate::means::psql::client::Session;
use crate::means::psql::text::literal;

/// What the parts of the question have in common: the user's schemas, relations, functions and types.
const WITH: &str = include_str!("shape/with.sql");
/// The parts, and whether each needs a server of version 15. The second and third are [`NEWER`].
const PARTS: [(&str, bool); 3] = [
    (include_str!("shape/things.sql"), false),
    (include_str!("shape/more.sql"), false),
    (include_str!("shape/since15.sql"), true),
];

/// How much a shape tells: 0 before the kinds in [`NEWER`] were read, 1 with them.
pub(crate) const READS: u32 = 1;

/// Kinds that are not in shapes which tell less than this one. None begins with the words of an older kind.
const NEWER: [&str; 26] = [
    "access",
    "aggregate",
    "call",
    "cast",
    "collation",
    "comment",
    "enforcement",
    "foreign data wrapper",
    "foreign server",
    "label",
    "language",
    "operator",
    "operator class",
    "ownership",
    "population",
    "published",
    "range",
    "remote",
    "setting",
    "storage",
    "subscription",
    "text search configuration",
    "text search dictionary",
    "text search parser",
    "text search template",
    "user mapping",
];

/// Tables, columns, constraints, indexes, grants and so on, by kind and name such as `column public.Customer.name`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// How much it tells; see [`READS`]. The name of a thing holds a space.
    #[serde(default)]
    reads: u32,
    #[serde(flatten)]
    things: BTreeMap<String, Thing>,
}

/// One thing a schema is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thing {
    /// What a dump and a restore keep letter by letter.
    pub(crate) is: String,
    /// An expression or a definition, which a restore may write in other words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expression: Option<String>,
}

/// A thing that came, went or became another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its kind and name.
    pub(crate) thing: String,
    /// What it was, unless it is new.
    pub(crate) was: Option<Thing>,
    /// What it is, unless it is gone.
    pub(crate) now: Option<Thing>,
}

impl Change {
    /// Whether it is of this kind, such as `materialized view`. Names come after the kind and hold a dot, or more words.
    pub(crate) fn is_of(&self, kind: &str) -> bool {
        let name = self.thing.strip_prefix(kind);
        name.is_some_and(|name| name.starts_with(' '))
    }

    /// Whether a state or an expectation that tells only so much knows nothing of its kind.
    pub(crate) fn is_newer_than(&self, reads: u32) -> bool {
        reads < READS && is_newer(&self.thing)
    }

    /// Its name without its kind.
    pub(crate) fn name(&self) -> &str {
        let at = self.thing.find('.').unwrap_or_default();
        let kind = self.thing[..at].rfind(' ').map_or(0, |space| space + 1);
        &self.thing[kind..]
    }

    /// In words. Expressions are not quoted: they may hold values.
    pub(crate) fn in_words(&self) -> String {
        let thing = &self.thing;
        let plain = |text: &str| match text {
            "" => String::new(),
            text => format!(" ({text})"),
        };
        match (&self.was, &self.now) {
            (Some(was), None) => format!("{thing} is gone{}", plain(&was.is)),
            (None, Some(now)) => format!("{thing} is new{}", plain(&now.is)),
            (Some(was), Some(now)) if was.is != now.is => {
                format!("{thing} is `{}` instead of `{}`", now.words(), was.words())
            }
            _ => format!("{thing} has another expression"),
        }
    }
}

impl Thing {
    /// What it is, in words.
    pub(crate) fn words(&self) -> &str {
        match self.is.as_str() {
            "" => "plain",
            is => is,
        }
    }
}

/// The `schema.table` that a text begins with, without its quotes.
fn first_name(text: &str) -> Option<String> {
    let mut name = String::new();
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => name.push('"'),
            '"' => quoted = !quoted,
            ' ' | ',' if !quoted => break,
            c => name.push(c),
        }
    }
    name.contains('.').then_some(name)
}

fn is_newer(thing: &str) -> bool {
    let is_of = |kind: &str| thing.strip_prefix(kind).is_some_and(|n| n.starts_with(' '));
    NEWER.iter().any(|kind| is_of(kind))
}

impl Shape {
    /// Whether nothing is known of it: it was recorded before shapes were.
    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    /// One thing, by kind and name.
    pub(crate) fn get(&self, thing: &str) -> Option<&Thing> {
        self.things.get(thing)
    }

    /// The names of all things of a kind.
    pub(crate) fn names<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.things
            .keys()
            .filter_map(move |thing| thing.strip_prefix(kind)?.strip_prefix(' '))
    }

    /// The tables that are a partition of another one, or inherit from it, by that one.
    pub(crate) fn children(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for table in self.names("table") {
            let is = self.get(&format!("table {table}")).map(|t| t.is.as_str());
            for parent in is.unwrap_or_default().split("child of ").skip(1) {
                if let Some(parent) = first_name(parent) {
                    found.entry(parent).or_default().insert(table.to_owned());
                }
            }
        }
        found
    }

    /// Things that are the same here and in a copy of this shape, but for the words of their expression.
    pub(crate) fn reworded(&self, copy: &Self) -> BTreeSet<String> {
        let same = |(thing, one): &(&String, &Thing)| {
            let other = copy.things.get(*thing);
            other.is_some_and(|other| other.expression != one.expression)
        };
        let these = self.things.iter().filter(same);
        these.map(|(thing, _)| thing.clone()).collect()
    }

    /// What came, went or changed, by name, of the kinds that both tell of. Nothing when this shape was never recorded.
    pub(crate) fn changes(&self, now: &Self) -> Vec<Change> {
        if self.is_empty() {
            return Vec::new();
        }
        let change = |thing: &String| {
            let (was, is) = (self.things.get(thing), now.things.get(thing));
            (was != is).then(|| Change {
                thing: thing.clone(),
                was: was.cloned(),
                now: is.cloned(),
            })
        };
        let new = now
            .things
            .keys()
            .filter(|thing| !self.things.contains_key(*thing));
        let mut all: Vec<&String> = self.things.keys().chain(new).collect();
        all.sort_unstable();
        let reads = self.reads.min(now.reads);
        let known = |change: &Change| !change.is_newer_than(reads);
        all.into_iter().filter_map(change).filter(known).collect()
    }
}

/// The shape as the session sees it, and each thing's number in this database: that of its table, for what hangs on one.
pub(crate) async fn read(
    session: &mut Session,
) -> Result<(Shape, BTreeMap<String, String>), PgError> {
    read_with_plate(session, None).await
}

/// The same with what another database of that name has beside its schema, such as its settings and who may connect to it.
pub(crate) async fn read_with_plate(
    session: &mut Session,
    plate: Option<&str>,
) -> Result<(Shape, BTreeMap<String, String>), PgError> {
    type Row = (String, String, String, Option<String>, String);
    let newer = "SELECT (current_setting('server_version_num')::int >= 150000)::text;";
    let newer = session
        .ask(newer)
        .await?
        .first()
        .is_some_and(|v| v == "true");
    let (mut things, mut numbers) = (BTreeMap::new(), BTreeMap::new());
    for (part, needs_newer) in PARTS {
        if needs_newer && !newer {
            continue;
        }
        let mut sql = format!("{WITH}{part};");
        if let Some(name) = plate {
            sql = sql.replace("current_database()", &literal(name));
        }
        let rows: Vec<Row> = session.rows(&sql).await?;
        for (kind, name, is, expression, number) in rows {
            let thing = format!("{kind} {name}");
            numbers.insert(thing.clone(), number);
            things.insert(thing, Thing { is, expression });
        }
    }
    let reads = READS;
    Ok((Shape { reads, things }, numbers))
}
