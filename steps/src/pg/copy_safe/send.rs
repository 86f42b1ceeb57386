//! The rows of one table, from one database to another.

use super::super::catalog::TableSpec;
use crate::means::psql::text::ident;
use crate::means::psql::text::literal;
use crate::means::psql::{Pg, PgError};

/// Where rows come from.
pub(super) struct Source<'a> {
    pub(super) pg: &'a Pg,
    /// The snapshot to read in; the newest state without one.
    pub(super) snapshot: Option<&'a str>,
}

/// Replaces a table's rows, in one transaction, and says how many came. `COMMIT` is sent only after the source ended
/// well; until then the end of the stream rolls everything back.
pub(super) async fn send(
    source: &Source<'_>,
    copy: &Pg,
    spec: &TableSpec,
    columns: &[String],
) -> Result<u64, PgError> {
    let columns: Vec<String> = columns.iter().map(|c| ident(c)).collect();
    let (table, columns) = (spec.qualified(), columns.join(", "));
    let mut rows_from = source
        .pg
        .stream(&format!(
            "{}\nCOPY (SELECT {columns} FROM ONLY {table}) TO STDOUT;\nCOMMIT;",
            in_snapshot(source.snapshot)
        ))
        .await?;
    let sink = copy.feed().await?;
    let list = if columns.is_empty() {
        String::new()
    } else {
        format!(" ({columns})")
    };
    let begin = format!("BEGIN;\nDELETE FROM ONLY {table};\nCOPY {table}{list} FROM stdin;\n");
    sink.send(begin.into()).await;
    let mut rows = 0;
    let mut guard = LineGuard::default();
    while let Some(chunk) = rows_from.next().await {
        rows += guard.take(&chunk).map_err(|()| {
            source
                .pg
                .answer_error("an end-of-data line inside of the data")
        })?;
        if !sink.send(chunk).await {
            sink.end().await?;
            return Err(copy.sql_error("psql stopped reading"));
        }
    }
    rows_from.end().await?;
    sink.send("\\.\nCOMMIT;\n".into()).await;
    sink.end().await?;
    Ok(rows)
}

/// Counts lines and refuses the line `\.`, after which `psql` would take data for statements.
#[derive(Default)]
struct LineGuard {
    line: Vec<u8>,
}

impl LineGuard {
    fn take(&mut self, chunk: &[u8]) -> Result<u64, ()> {
        let mut lines = 0;
        for piece in chunk.split_inclusive(|b| *b == b'\n') {
            let room = 4 - self.line.len().min(4);
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                if self.line.starts_with(b"\\.\n") || self.line.starts_with(b"\\.\r") {
                    return Err(());
                }
                lines += 1;
                self.line.clear();
            }
        }
        Ok(lines)
    }
}

/// The words that make a session read in a snapshot of another one.
pub(super) fn in_snapshot(snapshot: Option<&str>) -> String {
    let set = snapshot.map_or(String::new(), |name| {
        format!(" SET TRANSACTION SNAPSHOT {};", literal(name))
    });
    format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;{set}")
}
