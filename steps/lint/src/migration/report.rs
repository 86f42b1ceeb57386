//! What the check found.

use serde::{Deserialize, Serialize};

use super::rule::RuleId;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing, such as a lock that a large table feels; answers nothing and blocks nothing.
    Note,
    /// Needs a signed waiver: it may be right, and a person has to say so.
    Warning,
    /// Blocks, and cannot be waived.
    Error,
}

impl Level {
    /// `note`, `warning` or `error`: also what SARIF and GitHub call it, GitHub's `notice` apart.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing a pending migration does that may break what runs, or lose data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The file, inside the migrations folder.
    #[serde(default)]
    pub file: String,
    /// The rule that speaks; see [`explain`](super::explain).
    pub rule: RuleId,
    /// Whether it blocks.
    pub level: Level,
    /// Name of the migration.
    pub migration: String,
    /// Line in its file, from 1.
    pub line: usize,
    /// Column in that line, in characters, from 1.
    pub column: usize,
    /// Characters of that line it is about, at least 1.
    #[serde(default)]
    pub length: usize,
    /// The SQL in question, on one line, shortened.
    pub statement: String,
    /// `"table"."column"`, `"type"`, or empty when no object is named.
    pub object: String,
    /// What breaks and why.
    pub message: String,
    /// What to do instead.
    pub fix: String,
    /// The safe way as SQL, with the names of this case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Where data decides: the read-only query that decides it, to be run before the migration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Whether a waiver can answer it: warnings yes, errors no.
    pub waivable: bool,
    /// The fingerprint: SHA-256 (hex) over migration, rule, level, object, message, the normalised statement (its tokens, without
    /// layout and comments) and its number among equals. A waiver for it dies with any change that means something.
    pub digest: String,
}

/// A unique key a pending migration puts over existing rows, for the check against real data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniqueKey {
    /// Name of the migration.
    pub migration: String,
    /// Schema, when it is not `public`.
    pub schema: Option<String>,
    /// Table, unquoted, as named before the migration.
    pub table: String,
    /// The key's terms in SQL: quoted columns, or expressions verbatim.
    pub terms: Vec<String>,
    /// `WHERE …` of a partial index.
    pub predicate: Option<String>,
    /// Two NULLs count as equal (`NULLS NOT DISTINCT`, and never allowed in a primary key).
    pub nulls_equal: bool,
    /// It is the primary key: no NULL at all.
    #[serde(default)]
    pub primary: bool,
    /// Digest of the finding this key belongs to.
    pub finding: String,
}

/// Labels a pending migration takes from an enum, for the search in code and rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedLabels {
    /// Name of the migration.
    pub migration: String,
    /// The enum, quoted.
    pub enumeration: String,
    /// The labels that are gone.
    pub labels: Vec<String>,
}

/// A column that readers may now find NULL: a new one, or an old one that lost NOT NULL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NullableColumn {
    /// Name of the migration.
    pub migration: String,
    /// The table's name, unquoted.
    pub table: String,
    /// The column's name, unquoted.
    pub column: String,
    /// Added by the migration (else: existed and was NOT NULL).
    pub added: bool,
}

/// A table whose rows a pending migration changes or deletes: what is asked of its rows now may be answered otherwise then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedRows {
    /// Name of the migration.
    pub migration: String,
    /// Table, quoted, with its schema when that is not `public`; empty when it may be any.
    pub table: String,
    /// By a change of a column's type, not by a statement about rows.
    pub by_type: bool,
}

/// The outcome of a check. Equal input gives an equal report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// In order of migration and position.
    pub findings: Vec<Finding>,
    /// The number of migrations judged.
    pub pending: usize,
    /// Migrations read as context only.
    pub applied: usize,
    /// Statements in the judged files, those in bodies not counted.
    pub statements: usize,
    /// Unique keys to be checked against real data.
    pub unique_keys: Vec<UniqueKey>,
    /// Enum labels that must no longer be used.
    pub removed_labels: Vec<RemovedLabels>,
    /// Columns whose readers must handle NULL.
    pub nullable: Vec<NullableColumn>,
    /// Tables whose rows are changed.
    #[serde(default)]
    pub changed_rows: Vec<ChangedRows>,
}

/// A finding somebody took responsibility for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// What was found.
    pub finding: Finding,
    /// Why they accept it, in their words.
    pub reason: String,
}

/// A report, and what was left out of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LintReport {
    /// What is left.
    pub report: Report,
    /// What a comment or the configuration suppresses.
    pub suppressed: Vec<Suppression>,
}

/// The report in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// There is no warning and no error.
    Clean,
    /// So many warnings and no error: each needs a waiver.
    Warnings(usize),
    /// So many errors: blocked.
    Errors(usize),
}

impl Report {
    /// Errors before warnings before nothing.
    pub fn verdict(&self) -> Verdict {
        let count = |level| {
            self.findings
                .iter()
                .filter(|finding| finding.level == level)
                .count()
        };
        match (count(Level::Error), count(Level::Warning)) {
            (0, 0) => Verdict::Clean,
            (0, warnings) => Verdict::Warnings(warnings),
            (errors, _) => Verdict::Errors(errors),
        }
    }
}
