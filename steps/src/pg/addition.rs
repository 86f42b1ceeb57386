//! Values in columns that a database has and an earlier state of it has not: comparing the columns of both never shows
//! them, and a restore sets them aside all the same.

use serde::{Deserialize, Serialize};

use super::horizon::Horizon;
use super::state::TableState;
use crate::means::psql::text::{ident, literal, qualified, rows};
use crate::means::psql::{Pg, PgError};

/// A column that only the later side has, and its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addition {
    /// The column, unquoted.
    pub column: String,
    /// Rows that hold neither NULL nor the column's own default there. Whether a migration filled them or a customer did
    /// is not known; one or more.
    pub rows: u64,
}

/// Such as `notes (2 rows), size (1 row)`.
pub(super) fn in_words(additions: &[Addition]) -> String {
    let one = |each: &Addition| format!("{} ({})", each.column, rows(each.rows));
    let all: Vec<String> = additions.iter().map(one).collect();
    all.join(", ")
}

/// A column as the catalogue has it.
#[derive(Debug, Deserialize)]
struct Spec {
    name: String,
    #[serde(rename = "type")]
    type_: String,
    /// What rows hold that were there when it was added.
    missing: Option<String>,
    default: Option<String>,
    generated: bool,
}

/// The columns that `is` has and `was` has not, as far as rows hold values of their own there; with a `since`, only rows
/// written from there on.
pub(super) async fn find(
    pg: &Pg,
    was: &TableState,
    is: &TableState,
    since: Option<&Horizon>,
) -> Result<Vec<Addition>, PgError> {
    let specs = new_columns(pg, was, is).await?;
    if specs.is_empty() {
        return Ok(Vec::new());
    }
    let counts = specs
        .iter()
        .map(|spec| format!("count(*) FILTER (WHERE {})", own_value(spec)));
    let later = since.map_or_else(String::new, |horizon| {
        format!(" WHERE {}", horizon.condition())
    });
    let sql = format!(
        "SELECT to_json(ARRAY[{}])::text FROM ONLY {}{later};",
        counts.collect::<Vec<_>>().join(", "),
        qualified(&is.schema, &is.name)
    );
    let lines = pg.query_long(&sql).await?;
    let counts: Vec<Vec<u64>> = pg.parse(&lines)?;
    let counts = counts.into_iter().next().unwrap_or_default();
    if counts.len() != specs.len() {
        return Err(pg.answer_error("other than one count for each column"));
    }
    let all = specs.into_iter().zip(counts);
    let all = all.map(|(spec, rows)| Addition {
        column: spec.name,
        rows,
    });
    Ok(all.filter(|each| each.rows > 0).collect())
}

/// What is true of a row that holds a value of its own in such a column; nothing when there is no such column.
pub(super) async fn condition(
    pg: &Pg,
    was: &TableState,
    is: &TableState,
) -> Result<Option<String>, PgError> {
    let specs = new_columns(pg, was, is).await?;
    let all: Vec<String> = specs.iter().map(own_value).collect();
    Ok((!all.is_empty()).then(|| all.join(" OR ")))
}

async fn new_columns(pg: &Pg, was: &TableState, is: &TableState) -> Result<Vec<Spec>, PgError> {
    let new = |name: &str| was.columns.iter().all(|c| c.name != name);
    if !is.columns.iter().any(|c| new(&c.name)) {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), \
         'missing', CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END, \
         'default', pg_get_expr(d.adbin, d.adrelid), 'generated', a.attgenerated <> '')::text \
         FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         WHERE a.attrelid = {}::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname;",
        literal(&qualified(&is.schema, &is.name))
    );
    let mut specs: Vec<Spec> = pg.rows(&sql).await?;
    // What is computed from other columns is not lost with them.
    specs.retain(|spec| new(&spec.name) && !spec.generated);
    Ok(specs)
}

/// True of a row whose value neither is NULL nor what the column gives by itself. Compared as text: not every type has an
/// equality.
fn own_value(spec: &Spec) -> String {
    let column = ident(&spec.name);
    let differs = |value: String| format!("{column}::text IS DISTINCT FROM {value}::text");
    let typed = |value: String| format!("({value})::{}", spec.type_);
    let missing = spec.missing.as_ref().map(|text| literal(text));
    let default = spec.default.clone().filter(|text| is_constant(text));
    // Where the column gave every row a value, somebody wrote the NULL.
    let given = missing.is_none().then(|| format!("{column} IS NOT NULL"));
    let values = missing.into_iter().chain(default).map(typed).map(differs);
    let all: Vec<String> = given.into_iter().chain(values).collect();
    format!("({})", all.join(" AND "))
}

/// Whether a default, as the catalogue writes it, is one literal with casts: anything else is not evaluated here, a
/// sequence would move.
fn is_constant(text: &str) -> bool {
    let text = text.trim();
    let inner = text.strip_prefix('E').unwrap_or(text);
    let Some(mut rest) = inner.strip_prefix('\'') else {
        return matches!(text, "true" | "false")
            || text.parse::<f64>().is_ok_and(f64::is_finite)
                && !text.contains(|c: char| c.is_ascii_alphabetic());
    };
    loop {
        let Some((_, after)) = rest.split_once('\'') else {
            return false;
        };
        let Some(more) = after.strip_prefix('\'') else {
            let plain = |c: char| c.is_alphanumeric() || " _.\":()[],".contains(c);
            return after.is_empty() || after.starts_with("::") && after.chars().all(plain);
        };
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_literals_are_evaluated_as_defaults() {
        for text in [
            "'x'::text",
            "'it''s'::character varying(20)",
            "E'a\\\\b'::text",
            "'open'::public.\"Status\"",
            "0",
            "-1.50",
            "true",
            "'{}'::jsonb",
        ] {
            assert!(is_constant(text), "{text}");
        }
        for text in [
            "nextval('a_seq'::regclass)",
            "now()",
            "'a'::text || f()",
            "('x'::text",
            "'x'::text, f('y')",
            "CURRENT_TIMESTAMP",
            "inf",
            "'x",
        ] {
            assert!(!is_constant(text), "{text}");
        }
    }
}
