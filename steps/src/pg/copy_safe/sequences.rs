//! Sequences behind copied columns.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::means::psql::text::{ident, literal, qualified};
use crate::means::psql::{Pg, PgError};

#[derive(Deserialize)]
struct Sequence {
    table: (String, String),
    column: String,
    name: (String, String),
}

/// Moves the sequences behind the copied tables' columns past the largest value there, so that the next insert does
/// not meet a copied key. Never back.
pub(super) async fn advance(pg: &Pg, tables: &BTreeSet<(String, String)>) -> Result<(), PgError> {
    let all: Vec<Sequence> = pg
        .rows(
            "SELECT json_build_object('table', json_build_array(n.nspname, c.relname), 'column', a.attname, \
             'name', json_build_array(sn.nspname, s.relname))::text \
             FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace \
             JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid \
             WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i');",
        )
        .await?;
    for one in all.iter().filter(|s| tables.contains(&s.table)) {
        let sequence = qualified(&one.name.0, &one.name.1);
        let sql = format!(
            "SELECT setval({}::regclass, m.top) IS NULL FROM (SELECT max({})::int8 AS top FROM ONLY {}) AS m \
             WHERE m.top >= (SELECT last_value FROM {sequence});",
            literal(&sequence),
            ident(&one.column),
            qualified(&one.table.0, &one.table.1)
        );
        pg.query(&sql).await?;
    }
    Ok(())
}
