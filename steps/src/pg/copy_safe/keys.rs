//! What holds tables together: foreign keys and sequences.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::super::text::{ident, literal, qualified, some_of};
use super::super::{Pg, PgError};

#[derive(Deserialize)]
struct ForeignKey {
    name: String,
    child: (String, String),
    parent: (String, String),
    columns: Vec<(String, String)>,
}

/// No row may point to a row that is not there. Needed because loading with triggers off does not look.
pub(super) async fn check_foreign_keys(pg: &Pg) -> Result<(), PgError> {
    let keys: Vec<ForeignKey> = pg
        .rows(
            "SELECT json_build_object('name', k.conname, 'child', json_build_array(n.nspname, c.relname), \
             'parent', json_build_array(pn.nspname, p.relname), \
             'columns', (SELECT json_agg(json_build_array(a.attname, b.attname)) \
               FROM unnest(k.conkey, k.confkey) AS u(x, y) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.x \
               JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.y))::text \
             FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace \
             WHERE k.contype = 'f' AND k.conparentid = 0 AND k.convalidated;",
        )
        .await?;
    let mut odd = Vec::new();
    for key in &keys {
        let both =
            |f: fn(&(String, String)) -> String| key.columns.iter().map(f).collect::<Vec<_>>();
        let filled = both(|(a, _)| format!("c.{} IS NOT NULL", ident(a))).join(" AND ");
        // Operators of types from extensions, such as citext, live in the type's own schema.
        let equal = both(|(a, b)| format!("p.{} = c.{}", ident(b), ident(a))).join(" AND ");
        let sql = format!(
            "SET search_path = pg_catalog, public, extensions;\n\
             SELECT count(*)::text FROM {} AS c WHERE {filled} AND NOT EXISTS (SELECT FROM {} AS p WHERE {equal});",
            qualified(&key.child.0, &key.child.1),
            qualified(&key.parent.0, &key.parent.1)
        );
        let count = pg.query_long(&sql).await?;
        match count.first().map(String::as_str) {
            Some("0") => {}
            Some(n) => odd.push(format!(
                "{} ({n} rows of {}.{} point to rows that {}.{} does not have)",
                key.name, key.child.0, key.child.1, key.parent.0, key.parent.1
            )),
            None => return Err(pg.answer_error("no count")),
        }
    }
    if odd.is_empty() {
        return Ok(());
    }
    Err(PgError::Check(format!(
        "staging would have rows that point nowhere, so it was left as it was: {}",
        some_of(&odd, 10)
    )))
}

#[derive(Deserialize)]
struct Sequence {
    table: (String, String),
    column: String,
    name: (String, String),
}

/// Moves the sequences behind the copied tables' columns past the largest value there, so that the next insert does
/// not meet a copied key. Never back.
pub(super) async fn advance_sequences(
    pg: &Pg,
    tables: &BTreeSet<(String, String)>,
) -> Result<(), PgError> {
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
             WHERE m.top > (SELECT last_value FROM {sequence});",
            literal(&sequence),
            ident(&one.column),
            qualified(&one.table.0, &one.table.1)
        );
        pg.query(&sql).await?;
    }
    Ok(())
}
