//! Foreign keys and triggers held off while tables are filled one after the other.
//!
//! By what a table's owner may do: `session_replication_role` would be shorter and is a superuser's.

use serde::Deserialize;

use crate::means::psql::text::{ident, literal, qualified, some_of};
use crate::means::psql::{Pg, PgError};

/// What is to be put back. The database is a copy of this run's own, so what is lost by a kill is made anew with it.
pub(super) struct Quiet {
    keys: Vec<ForeignKey>,
    triggers: Vec<Trigger>,
}

#[derive(Deserialize)]
struct ForeignKey {
    name: String,
    child: (String, String),
    parent: (String, String),
    columns: Vec<(String, String)>,
    valid: bool,
    definition: String,
    comment: Option<String>,
}

#[derive(Deserialize)]
struct Trigger {
    table: (String, String),
    name: String,
    /// `O`, `R` or `A`, as `pg_trigger` has it.
    when: String,
}

const KEYS: &str = "SELECT json_build_object('name', k.conname, 'child', json_build_array(n.nspname, c.relname), \
    'parent', json_build_array(pn.nspname, p.relname), 'valid', k.convalidated, 'definition', pg_get_constraintdef(k.oid), \
    'comment', obj_description(k.oid, 'pg_constraint'), \
    'columns', (SELECT json_agg(json_build_array(a.attname, b.attname)) \
      FROM unnest(k.conkey, k.confkey) AS u(x, y) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.x \
      JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.y))::text \
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace \
    WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY n.nspname, c.relname, k.conname;";

const TRIGGERS: &str = "SELECT json_build_object('table', json_build_array(n.nspname, c.relname), 'name', t.tgname, 'when', t.tgenabled)::text \
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND c.relkind IN ('r', 'p') ORDER BY n.nspname, c.relname, t.tgname;";

fn table(of: &(String, String)) -> String {
    qualified(&of.0, &of.1)
}

/// Takes foreign keys out and switches triggers off: triggers must not invent rows, and keys are looked at once, at the
/// end, over all tables.
pub(super) async fn hold(copy: &Pg) -> Result<Quiet, PgError> {
    let quiet = Quiet {
        keys: copy.rows(KEYS).await?,
        triggers: copy.rows(TRIGGERS).await?,
    };
    let mut sql = vec!["BEGIN;".to_owned()];
    for key in &quiet.keys {
        let child = table(&key.child);
        sql.push(format!(
            "ALTER TABLE {child} DROP CONSTRAINT {};",
            ident(&key.name)
        ));
    }
    for trigger in &quiet.triggers {
        let of = table(&trigger.table);
        sql.push(format!(
            "ALTER TABLE ONLY {of} DISABLE TRIGGER {};",
            ident(&trigger.name)
        ));
    }
    sql.push("COMMIT;".to_owned());
    copy.query(&sql.join("\n")).await?;
    Ok(quiet)
}

impl Quiet {
    /// No row may point to a row that is not there; then keys and triggers are as they were.
    pub(super) async fn let_go(&self, copy: &Pg) -> Result<(), PgError> {
        self.check(copy).await?;
        let mut sql = vec!["BEGIN;".to_owned()];
        for key in &self.keys {
            let (child, name) = (table(&key.child), ident(&key.name));
            sql.push(format!(
                "ALTER TABLE {child} ADD CONSTRAINT {name} {};",
                key.definition
            ));
            if let Some(comment) = &key.comment {
                sql.push(format!(
                    "COMMENT ON CONSTRAINT {name} ON {child} IS {};",
                    literal(comment)
                ));
            }
        }
        for trigger in &self.triggers {
            let word = match trigger.when.as_str() {
                "R" => "REPLICA ",
                "A" => "ALWAYS ",
                _ => "",
            };
            let (of, name) = (table(&trigger.table), ident(&trigger.name));
            sql.push(format!(
                "ALTER TABLE ONLY {of} ENABLE {word}TRIGGER {name};"
            ));
        }
        sql.push("COMMIT;".to_owned());
        copy.query_long(&sql.join("\n")).await?;
        Ok(())
    }

    async fn check(&self, copy: &Pg) -> Result<(), PgError> {
        let mut odd = Vec::new();
        for key in self.keys.iter().filter(|key| key.valid) {
            let both =
                |f: fn(&(String, String)) -> String| key.columns.iter().map(f).collect::<Vec<_>>();
            let filled = both(|(a, _)| format!("c.{} IS NOT NULL", ident(a))).join(" AND ");
            // Operators of types from extensions, such as citext, live in the type's own schema.
            let equal = both(|(a, b)| format!("p.{} = c.{}", ident(b), ident(a))).join(" AND ");
            let sql = format!(
                "SET search_path = pg_catalog, public, extensions;\n\
                 SELECT count(*)::text FROM {} AS c WHERE {filled} AND NOT EXISTS (SELECT FROM {} AS p WHERE {equal});",
                table(&key.child),
                table(&key.parent)
            );
            let count = copy.query_long(&sql).await?;
            match count.first().map(String::as_str) {
                Some("0") => {}
                Some(n) => odd.push(format!(
                    "{} ({n} rows of {}.{} point to rows that {}.{} does not have)",
                    key.name, key.child.0, key.child.1, key.parent.0, key.parent.1
                )),
                None => return Err(copy.answer_error("no count")),
            }
        }
        if odd.is_empty() {
            return Ok(());
        }
        Err(PgError::Check(format!(
            "staging would have rows that point nowhere, so it was left as it was: {}. A table whose rows point to a table \
             that is not copied cannot be copied without it: give one of its columns another class than `keep`, or put \
             the rows it points to on staging",
            some_of(&odd, 10)
        )))
    }
}
