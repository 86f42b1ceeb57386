//! What a migration does, in the checker's own words: the parser's types end in `syntax`, everything after it reads these.

use std::fmt;

/// Name of a table, type, index or function, folded as `PostgreSQL` folds it. `public` is the default schema and is not kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) schema: Option<String>,
    pub(super) name: String,
}

impl Name {
    pub(super) fn new(schema: Option<String>, name: String) -> Self {
        let schema = schema.filter(|schema| schema != "public");
        Self { schema, name }
    }

    /// The same schema, another name: what `RENAME TO` does.
    pub(super) fn renamed(&self, name: &str) -> Self {
        Self::new(self.schema.clone(), name.to_owned())
    }

    /// `"table"."column"`, the form findings use.
    pub(super) fn column(&self, column: &str) -> String {
        format!("{self}.{}", quoted(column))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", quoted(schema))?;
        }
        f.write_str(&quoted(&self.name))
    }
}

/// The identifier as it must be written to mean exactly this name.
pub(super) fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// Byte range in the migration's text, and the body it stands in when that is not the file itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) start: usize,
    pub(super) end: usize,
    /// `a DO block`, `function "f"`.
    pub(super) inside: Option<String>,
}

/// A column type, normalised: aliases folded, length and precision apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SqlType {
    pub(super) base: Name,
    pub(super) args: Vec<i64>,
    pub(super) array: bool,
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.base.schema.is_none()
            && self
                .base
                .name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == ' ' || c == '_');
        if plain {
            f.write_str(&self.base.name)?;
        } else {
            write!(f, "{}", self.base)?;
        }
        if !self.args.is_empty() {
            let args: Vec<String> = self.args.iter().map(ToString::to_string).collect();
            write!(f, "({})", args.join(","))?;
        }
        f.write_str(if self.array { "[]" } else { "" })
    }
}

/// A unique key's shape; `None` in `columns` stands for an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) columns: Vec<Option<String>>,
    pub(super) terms: Vec<String>,
    pub(super) predicate: Option<String>,
    pub(super) nulls_not_distinct: bool,
    pub(super) primary: bool,
}

impl Key {
    pub(super) fn plain(columns: Vec<String>, primary: bool) -> Self {
        Self {
            terms: columns.iter().map(|column| quoted(column)).collect(),
            columns: columns.into_iter().map(Some).collect(),
            predicate: None,
            nulls_not_distinct: false,
            primary,
        }
    }

    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.iter().flatten().any(|each| each == column)
    }
}

/// How an index is built, beyond its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Details {
    /// `gin`; nothing for `btree`.
    pub(super) method: Option<String>,
    /// For each column: whether it is descending, and its operator class.
    pub(super) order: Vec<(bool, Option<String>)>,
}

/// `ON DELETE` and `ON UPDATE`, as SQL has them: `CASCADE`; `NO ACTION` when nothing is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Actions {
    pub(super) delete: String,
    pub(super) update: String,
}

/// What fills a column that an INSERT does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A serial or identity column.
    Sequence,
    /// It is computed from other columns.
    Computed,
    /// An expression, as it is written.
    Text(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    Unique(Key),
    /// Columns, target table, target columns (none: its primary key), and what follows the target.
    Foreign(Vec<String>, Name, Vec<String>, Actions),
    /// Columns mentioned; the column when the check is exactly `column IS NOT NULL`.
    Check(Vec<String>, Option<String>),
    NotNull(String),
    Exclude,
    /// `UNIQUE USING INDEX name`; whether it becomes the primary key.
    UsingIndex(String, bool),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Constraint {
    pub(super) name: Option<String>,
    pub(super) rule: Rule,
    pub(super) not_valid: bool,
    /// The condition of a check, as SQL.
    pub(super) condition: Option<String>,
}

/// Why a serial or identity column rewrites its table; it also keeps its values apart.
pub(super) const SEQUENCE: &str = "a sequence fills it";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnDef {
    pub(super) name: String,
    pub(super) ty: Option<SqlType>,
    pub(super) not_null: bool,
    /// A default, serial, identity or generated column: an INSERT that does not name it still gets a value.
    pub(super) default: bool,
    pub(super) value: Option<Value>,
    pub(super) constraints: Vec<Constraint>,
    /// Why adding it to a table rewrites every row, if it does.
    pub(super) rewrites: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) column: String,
    pub(super) null: bool,
    /// Names read by the assigned expression.
    pub(super) reads: Vec<String>,
}

/// Which rows a DELETE or UPDATE touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    All,
    /// A condition; `nulls` are the columns it requires to be NULL; `text` is empty when it cannot stand alone.
    Some {
        nulls: Vec<String>,
        text: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ColumnChange {
    Drop { if_exists: bool },
    Rename(String),
    SetNotNull,
    DropNotNull,
    SetDefault(Value),
    DropDefault,
    SetType(Option<SqlType>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TableChange {
    Add {
        column: ColumnDef,
        if_not_exists: bool,
    },
    Column(String, ColumnChange),
    Rename(String),
    Move(String),
    Constrain(Constraint),
    Unconstrain {
        name: String,
        if_exists: bool,
    },
    RenameConstraint(String, String),
    Validate(String),
    /// Every row is written anew, for the reason given.
    Rewrite(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TypeChange {
    AddLabel(String),
    RenameLabel(String, String),
    Rename(String),
    Move(String),
    DropAttribute(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct NewTable {
    pub(super) name: Name,
    pub(super) temp: bool,
    pub(super) if_not_exists: bool,
    /// It has columns that are not written here: those of a query, of another table or of a type.
    pub(super) open: bool,
    /// It is a part of another table.
    pub(super) part: bool,
    pub(super) columns: Vec<ColumnDef>,
    pub(super) constraints: Vec<Constraint>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewIndex {
    pub(super) name: Option<Name>,
    pub(super) table: Name,
    pub(super) unique: bool,
    pub(super) concurrently: bool,
    pub(super) key: Key,
    pub(super) details: Details,
    pub(super) if_not_exists: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    CreateTable(NewTable),
    /// A table becomes a part of another one, or a table of its own.
    Part(Name, bool),
    DropTable {
        name: Name,
        if_exists: bool,
        cascade: bool,
    },
    CreateSchema(String),
    /// Schema, database, or everything a role owns.
    DropContainer(String),
    /// A schema that is dropped, with all that is in it.
    ClearSchema(String),
    RenameSchema(String, String),
    Alter(Name, TableChange),
    CreateIndex(NewIndex),
    DropIndex {
        name: Name,
        if_exists: bool,
    },
    RenameIndex(Name, String),
    CreateEnum(Name, Vec<String>),
    DropType {
        name: Name,
        if_exists: bool,
        cascade: bool,
    },
    AlterType(Name, TypeChange),
    Truncate(Name),
    Delete(Name, Filter),
    Update(Name, Vec<Assignment>, Filter),
    /// `INSERT … ON CONFLICT DO UPDATE`, `MERGE`: rows that exist may change.
    Upsert(Name),
    CreateView(NewView),
    /// Function, trigger …: kind and name.
    CreateObject(String, Name),
    DropObject(String, Name),
    /// CASCADE on anything but a table or type: what goes along is not named.
    Cascade(String),
    /// BEGIN, COMMIT and their like; whether what came before is committed.
    Transaction {
        commits: bool,
    },
    Concurrently,
    /// The statement limits how long it waits for locks: `SET lock_timeout`.
    LockTimeout,
    /// String literals of a statement that equal a label the file adds, and the names it mentions.
    Literals {
        literals: Vec<String>,
        names: Vec<String>,
    },
    /// A DO block that raises an error when this column holds NULL.
    Guard(Name, Vec<String>),
    /// SQL text made at run time, or a language that cannot be read.
    Dynamic(String),
    /// A call. `query`: the statement is nothing but a query, so the call is what it is for.
    Calls {
        function: Name,
        query: bool,
    },
    DefineFunction(Name, Vec<Item>),
    /// Triggers, rules, row security, revoked rights.
    Behaviour(String),
    Unknown(String),
}

/// A view as its text says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewView {
    pub(super) name: Name,
    pub(super) replace: bool,
    pub(super) if_not_exists: bool,
    /// Tables and views it reads; names of its own WITH queries too.
    pub(super) relations: Vec<Name>,
    /// Every name in it: columns it reads are among them.
    pub(super) names: Vec<String>,
    /// It reads every column its relations have now.
    pub(super) star: bool,
    /// What it gives, `None` for a star; nothing when a name is not in the text.
    pub(super) columns: Option<Vec<Option<String>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) site: Site,
    pub(super) op: Op,
}

/// Why (a part of) a file could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// `PostgreSQL` would refuse the file.
    Syntax,
    /// A function body or DO block the parser understands only in part.
    Body,
    /// Too deep, too slow, or the parser failed.
    Unreadable,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) site: Site,
    pub(super) trouble: Trouble,
    pub(super) message: String,
}

/// One file, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) items: Vec<Item>,
    pub(super) problems: Vec<Problem>,
    /// Statements in the file itself, not counting those in bodies.
    pub(super) statements: usize,
    /// Their byte ranges.
    pub(super) spans: Vec<(usize, usize)>,
    /// Comments that speak to this check, and where they begin.
    pub(super) directives: Vec<(usize, String)>,
}
