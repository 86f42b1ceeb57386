//! Asking: each question in a transaction of its own that cannot write and cannot last.

use flow_engine::step::StepError;
use serde::Deserialize;

use super::plain;
use super::probe::Probe;
use crate::means::psql::text::{ident, key_in_words, literal};
use crate::means::psql::{Pg, PgError};

/// A question that waits longer for a lock stands in the way of others.
const LOCK_TIMEOUT: &str = "5s";

/// The target, and how to ask it.
pub(super) struct Asking {
    pg: Pg,
    begin: String,
}

/// Why there is no answer.
pub(super) struct Silence {
    pub(super) words: String,
    /// A table or column is not there.
    pub(super) is_missing: bool,
}

impl Silence {
    fn new(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            is_missing: false,
        }
    }
}

/// How many rows violate it, and keys of some.
type Answer = Result<(u64, Vec<String>), Silence>;

#[derive(Deserialize)]
struct KeyColumn {
    name: String,
    number: bool,
}

impl Asking {
    pub(super) fn new(pg: Pg, schema: &str, seconds: u64) -> Result<Self, StepError> {
        if schema.is_empty() || schema.contains(|c: char| c.is_control() || c == '\\') {
            return Err(StepError::fail(
                "the schema of the migrations has no usable name",
            ));
        }
        // A message may quote a value of a row; its code does not.
        let begin = format!(
            "\\set VERBOSITY sqlstate\nBEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;\nSET LOCAL search_path = pg_catalog, {}, pg_temp;\nSET LOCAL statement_timeout = '{}s';\nSET LOCAL lock_timeout = '{LOCK_TIMEOUT}';\n",
            ident(schema),
            seconds.clamp(1, 3600)
        );
        Ok(Self { pg, begin })
    }

    /// Fails only when another attempt may help: a connection that broke.
    pub(super) async fn ask(&self, probe: &Probe) -> Result<Answer, StepError> {
        let count = probe.count();
        if let Some(why) = plain::objection(&count) {
            return Ok(Err(Silence::new(format!(
                "the question is not asked: {why}"
            ))));
        }
        let rows = match self.lines(&count).await? {
            Err(silence) => return Ok(Err(silence)),
            Ok(lines) => match lines.as_slice() {
                [one] => one.parse().ok(),
                _ => None,
            },
        };
        let Some(rows) = rows else {
            return Ok(Err(Silence::new("the answer is no number")));
        };
        let keys = match rows {
            0 => Vec::new(),
            _ => self.keys(probe).await?,
        };
        Ok(Ok((rows, keys)))
    }

    /// Keys of some of the rows; none where they cannot be named in time.
    async fn keys(&self, probe: &Probe) -> Result<Vec<String>, StepError> {
        let Some(table) = probe.table() else {
            return Ok(Vec::new());
        };
        let sql = format!(
            "SELECT json_build_object('name', a.attname, 'number', a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype))::text \
             FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) \
             WHERE i.indisprimary AND i.indrelid = to_regclass({}) ORDER BY array_position(i.indkey::int2[], a.attnum)",
            literal(table)
        );
        let Ok(lines) = self.lines(&sql).await? else {
            return Ok(Vec::new());
        };
        let columns: Vec<KeyColumn> = self.pg.parse(&lines)?;
        if columns.is_empty() {
            return Ok(Vec::new());
        }
        let parts: Vec<String> = columns
            .iter()
            .map(|column| format!("{}::text", ident(&column.name)))
            .collect();
        let key = format!("json_build_array({})::text", parts.join(", "));
        let Some(sql) = probe.sample(&key) else {
            return Ok(Vec::new());
        };
        let Ok(lines) = self.lines(&sql).await? else {
            return Ok(Vec::new());
        };
        let numbers: Vec<bool> = columns.iter().map(|column| column.number).collect();
        let rows: Vec<Vec<String>> = self.pg.parse(&lines)?;
        let mut keys: Vec<String> = rows.iter().map(|row| key_in_words(row, &numbers)).collect();
        keys.sort_by(|a, b| a.len().cmp(&b.len()).then(a.cmp(b)));
        Ok(keys)
    }

    async fn lines(&self, sql: &str) -> Result<Result<Vec<String>, Silence>, StepError> {
        let text = format!("{}{sql};\nCOMMIT;", self.begin);
        match self.pg.query(&text).await {
            Ok(lines) => Ok(Ok(lines)),
            Err(e) if e.is_transient() => Err(e.into()),
            Err(PgError::Sql { message, .. }) => Ok(Err(Silence {
                // undefined_table, undefined_column: PostgreSQL's manual, appendix A.
                is_missing: message.contains("42P01") || message.contains("42703"),
                words: in_words(&message),
            })),
            Err(e) => Ok(Err(Silence::new(e.to_string()))),
        }
    }
}

/// What a code of PostgreSQL means here; the codes are in its manual, appendix A.
fn in_words(message: &str) -> String {
    let is_code = |word: &&str| {
        word.len() == 5
            && word
                .bytes()
                .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
    };
    let code = message
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| *word != "ERROR" && *word != "FATAL" && *word != "PANIC")
        .find(is_code);
    match code {
        Some("55P03") => "it waited too long for a lock (55P03)".to_owned(),
        Some("57014") => "it took too long (57014)".to_owned(),
        Some("42501") => "the role may not read it (42501)".to_owned(),
        Some("42P01" | "42703") => format!(
            "a table or column is not there ({})",
            code.unwrap_or_default()
        ),
        Some(code) => format!("the server refused it with {code}"),
        None => "the server refused it and gave no code".to_owned(),
    }
}
