//! What a database is made of, in words that `schema.prisma`, migrations and a catalog can all be brought to.

pub(crate) mod blind;
pub(crate) mod value;

use std::collections::BTreeMap;
use std::fmt;

use self::value::DefaultValue;

/// A name in a schema; an empty schema is the application's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The schema, empty for the application's own.
    pub schema: String,
    /// The name in it.
    pub name: String,
}

impl Name {
    /// In the application's own schema.
    pub fn own(name: &str) -> Name {
        Name {
            schema: String::new(),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.schema.is_empty() {
            write!(f, "{}.", quoted(&self.schema))?;
        }
        f.write_str(&quoted(&self.name))
    }
}

/// The identifier as SQL must have it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Tables and enums.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// Each table by its name; no views, no partitions.
    pub tables: BTreeMap<Name, Table>,
    /// Labels in their order.
    pub enums: BTreeMap<Name, Vec<String>>,
    /// Views: a model may stand for one.
    pub views: std::collections::BTreeSet<Name>,
    /// What stands between a statement and a table.
    pub guards: std::collections::BTreeSet<Guard>,
}

/// A trigger, a policy or a flag of row-level security: `trigger`, `policy` or [`ROW_SECURITY`], its name (`enabled` or
/// `forced` for a flag), and the table.
pub type Guard = (String, String, Name);

/// The kind of a [`Guard`] that is a table's flag.
pub(crate) const ROW_SECURITY: &str = "row-level security";

/// A table, as far as two sides can agree on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Each column by its name, unquoted.
    pub columns: BTreeMap<String, Column>,
    /// The primary key.
    pub primary: Option<Key>,
    /// Unique keys and other indexes.
    pub keys: Vec<Key>,
    /// The foreign keys it has itself, in no particular order.
    pub foreign: Vec<Foreign>,
    /// Names of checks and exclusions; Prisma knows neither.
    pub checks: Vec<String>,
    /// It may have columns that are not listed.
    pub open: bool,
    /// A migration makes it. Only of account where it is open.
    pub made: bool,
    /// Prisma's own table between two models: its key may be a primary or a unique one, and its names are not compared.
    pub join: bool,
    /// The line of `schema.prisma` that declares it, from 1; 0 elsewhere.
    pub line: usize,
}

/// A column, as far as two sides can agree on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its type; nothing when that is not known.
    pub ty: Option<Type>,
    /// It takes no NULL; nothing when that is not known, or (in a list, for Prisma) of no account.
    pub required: Option<bool>,
    /// What fills it.
    pub default: DefaultValue,
    /// The line of `schema.prisma` that declares it, from 1; 0 elsewhere.
    pub line: usize,
}

/// A type, with PostgreSQL's aliases folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    /// `varchar`, `timestamptz`, or an enum.
    pub base: Name,
    /// Length, or precision and scale.
    pub args: Vec<i64>,
    /// An array of it.
    pub list: bool,
}

impl Type {
    /// What is compared: precision 6 is what a time has without one, and length 1 what `char` and `bit` have.
    fn plain(&self) -> (Name, Vec<i64>, bool) {
        let mut args = self.args.clone();
        match self.base.name.as_str() {
            "timestamp" | "timestamptz" | "time" | "timetz" if args == [6] => args.clear(),
            "char" | "bit" if args == [1] => args.clear(),
            "numeric" if args.len() == 1 => args.push(0),
            _ => {}
        }
        (self.base.clone(), args, self.list)
    }

    /// Whether both hold the same values.
    pub fn is(&self, other: &Type) -> bool {
        self.plain() == other.plain()
    }

    /// From a type's text, as `format_type` writes it under an empty search path or a person in SQL.
    pub fn of_text(text: &str) -> Type {
        let text = text.trim();
        let (text, list) = match text.strip_suffix("[]") {
            Some(of) => (of.trim_end_matches("[]").trim_end(), true),
            None => (text, false),
        };
        let (args, head) = match (text.find('('), text.find(')')) {
            (Some(open), Some(close)) if open < close && !text.starts_with('"') => {
                let args = text[open + 1..close].split(',');
                let args = args.filter_map(|arg| arg.trim().parse().ok()).collect();
                (args, format!("{}{}", &text[..open], &text[close + 1..]))
            }
            _ => (Vec::new(), text.to_owned()),
        };
        Type {
            base: base_of(&head),
            args,
            list,
        }
    }
}

fn base_of(head: &str) -> Name {
    let words: Vec<String> = head
        .split_whitespace()
        .map(str::to_ascii_lowercase)
        .collect();
    let known = match words.join(" ").as_str() {
        "int" | "int4" | "integer" | "serial" => "integer",
        "int8" | "bigint" | "bigserial" => "bigint",
        "int2" | "smallint" | "smallserial" => "smallint",
        "bool" | "boolean" => "boolean",
        "decimal" | "numeric" => "numeric",
        "float8" | "double precision" => "double precision",
        "float4" | "real" => "real",
        "character varying" | "varchar" => "varchar",
        "character" | "char" | "bpchar" => "char",
        "bit varying" | "varbit" => "varbit",
        "timestamp" | "timestamp without time zone" => "timestamp",
        "timestamptz" | "timestamp with time zone" => "timestamptz",
        "time" | "time without time zone" => "time",
        "timetz" | "time with time zone" => "timetz",
        _ => return qualified(head.trim()),
    };
    Name::own(known)
}

/// `schema.name`, either part quoted or not.
fn qualified(text: &str) -> Name {
    let mut parts = vec![String::new()];
    let mut inside = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let last = parts.len() - 1;
        match c {
            '"' if inside && chars.next_if_eq(&'"').is_some() => parts[last].push('"'),
            '"' => inside = !inside,
            '.' if !inside => parts.push(String::new()),
            c if inside => parts[last].push(c),
            c => parts[last].extend(c.to_lowercase()),
        }
    }
    let name = parts.pop().unwrap_or_default();
    let schema = parts.pop().unwrap_or_default();
    let schema = if schema == "pg_catalog" {
        String::new()
    } else {
        schema
    };
    Name { schema, name }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.base.name;
        let plain = self.base.schema.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || " _".contains(c));
        if plain {
            f.write_str(name)?;
        } else {
            write!(f, "{}", self.base)?;
        }
        if !self.args.is_empty() {
            let args: Vec<String> = self.args.iter().map(i64::to_string).collect();
            write!(f, "({})", args.join(","))?;
        }
        f.write_str(if self.list { "[]" } else { "" })
    }
}

/// A primary key, a unique key or another index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name; nothing when `PostgreSQL` chose it and that is not known here.
    pub name: Option<String>,
    /// No two rows agree in it.
    pub unique: bool,
    /// Columns; `None` is an expression.
    pub columns: Vec<Option<String>>,
    /// For each column: whether it is descending, and its operator class when that is not the type's own.
    pub order: Vec<(bool, Option<String>)>,
    /// `btree`, `gin` …
    pub method: String,
    /// It covers only some rows: Prisma does not see it.
    pub partial: bool,
}

impl Key {
    /// Prisma can say this one.
    pub fn is_plain(&self) -> bool {
        !self.partial && self.columns.iter().all(Option::is_some)
    }

    /// Columns as a reader wants them.
    pub fn words(&self) -> String {
        let columns = self.columns.iter().zip(&self.order);
        let each = columns.map(|(column, (descending, ops))| {
            let mut text = column.as_deref().map_or_else(|| "…".to_owned(), quoted);
            if let Some(ops) = ops {
                text.push(' ');
                text.push_str(ops);
            }
            if *descending {
                text.push_str(" DESC");
            }
            text
        });
        each.collect::<Vec<_>>().join(", ")
    }
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Its name, as for a [`Key`].
    pub name: Option<String>,
    /// Its own columns, in the order of [`Foreign::theirs`].
    pub columns: Vec<String>,
    /// The table they point at.
    pub target: Name,
    /// The columns there; nothing when they are not known.
    pub theirs: Vec<String>,
    /// `CASCADE`, `SET NULL` …
    pub on_delete: String,
    /// What happens when the key pointed at changes, in the words of [`Foreign::on_delete`].
    pub on_update: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_the_same_whoever_writes_it() {
        for (a, b) in [
            ("character varying(20)", "VARCHAR(20)"),
            ("timestamp(3) without time zone", "TIMESTAMP(3)"),
            ("timestamp without time zone", "timestamp(6)"),
            ("timestamp(6) with time zone", "timestamptz"),
            ("numeric(10,2)", "DECIMAL(10, 2)"),
            ("character(1)", "char"),
            ("bit(1)", "bit"),
            ("integer[]", "INT4[]"),
            ("\"Status\"[]", "\"Status\"[]"),
            ("double precision", "float8"),
        ] {
            assert!(Type::of_text(a).is(&Type::of_text(b)), "{a} {b}");
        }
        for (a, b) in [
            ("text", "varchar"),
            ("timestamp(3)", "timestamp"),
            ("json", "jsonb"),
            ("text", "text[]"),
        ] {
            assert!(!Type::of_text(a).is(&Type::of_text(b)), "{a} {b}");
        }
        let other = Type::of_text("audit.\"My \"\"Kind\"");
        assert_eq!(other.to_string(), "\"audit\".\"My \"\"Kind\"");
    }
}
