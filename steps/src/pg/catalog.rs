//! What the catalogue says: tables, and the shape of the schema.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::means::psql::PgError;
use crate::means::psql::client::Session;
use crate::means::psql::text::{ident, qualified};
use sha2::{Digest as _, Sha256};

/// Which schemas and relations are the user's: nothing of the system's, nothing temporary, nothing that belongs to an
/// extension (`pg_dump` leaves those out as well).
macro_rules! user_relation {
    () => {
        "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't' \
         AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"
    };
}

/// Every table that holds rows itself: ordinary tables and the leaves of partitioned ones.
///
/// `raw` marks the types whose built-in hash means the same in every database. Others are hashed as text: an enum's
/// built-in hash is of its OID, which differs after a restore; `citext` hashes without case; json has none.
const TABLES: &str = concat!(
    "SELECT json_build_object('schema', n.nspname, 'name', c.relname, \
     'columns', (SELECT coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), \
       'raw', (CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END) IN ('bool'::regtype, 'int2'::regtype, 'int4'::regtype, \
         'int8'::regtype, 'text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'uuid'::regtype, 'date'::regtype, \
         'timestamp'::regtype, 'timestamptz'::regtype, 'time'::regtype, 'bytea'::regtype, 'jsonb'::regtype, 'name'::regtype, \
         'numeric'::regtype, 'float4'::regtype, 'float8'::regtype), \
       'collated', a.attcollation <> 0, 'generated', a.attgenerated <> '') ORDER BY a.attname), '[]'::json) \
       FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), \
     'key', (SELECT coalesce(json_agg(a.attname ORDER BY k.place), '[]'::json) FROM pg_index i \
       CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) \
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum WHERE i.indrelid = c.oid AND i.indisprimary))::text \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND ",
    user_relation!(),
    " ORDER BY n.nspname, c.relname"
);

/// One line for each thing the schema is made of, but for indexes that a failed `CREATE INDEX CONCURRENTLY` left invalid:
/// `pg_dump` leaves them out, so no copy has them. The part that survives a dump and a restore letter by letter, and
/// the rest (expressions are re-written by a restore: `IN` over `varchar` gets other casts).
const SHAPE: &str = concat!(
    "SELECT json_build_array(shape, rest)::text FROM (\
     SELECT concat_ws(' ', 'column', n.nspname, c.relname, c.relkind, row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), \
       a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated) AS shape, \
       pg_get_expr(ad.adbin, ad.adrelid) AS rest \
       FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
       LEFT JOIN pg_attrdef ad ON ad.adrelid = c.oid AND ad.adnum = a.attnum \
       WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped AND ",
    user_relation!(),
    " UNION ALL SELECT concat_ws(' ', 'relation', n.nspname, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, \
       pg_get_userbyid(c.relowner)), CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END \
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND ",
    user_relation!(),
    " UNION ALL SELECT concat_ws(' ', 'index', n.nspname, c.relname, i.indrelid::regclass, i.indisunique, i.indisprimary, i.indisvalid, i.indnatts), \
       pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
       JOIN pg_class ic ON ic.oid = i.indrelid WHERE (i.indisvalid OR ic.relkind = 'p') AND i.indisready AND ",
    user_relation!(),
    " UNION ALL SELECT concat_ws(' ', 'constraint', n.nspname, c.relname, k.conname, k.contype, k.convalidated, k.condeferrable, k.confdeltype, \
       (SELECT string_agg(a.attname, ',' ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY AS u(attnum, place) \
       JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum)), pg_get_constraintdef(k.oid) \
       FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ",
    user_relation!(),
    " UNION ALL SELECT concat_ws(' ', 'trigger', n.nspname, c.relname, t.tgname, t.tgenabled), pg_get_triggerdef(t.oid) \
       FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND ",
    user_relation!(),
    " UNION ALL SELECT concat_ws(' ', 'policy', n.nspname, c.relname, p.polname, p.polcmd, p.polpermissive), \
       concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) \
       FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ",
    user_relation!(),
    " UNION ALL SELECT concat_ws(' ', 'enum', n.nspname, t.typname, string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder)), NULL \
       FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace GROUP BY n.nspname, t.typname \
     UNION ALL SELECT concat_ws(' ', 'function', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), md5(p.prosrc)), NULL \
       FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e') \
     UNION ALL SELECT concat_ws(' ', 'schema', n.nspname), NULL FROM pg_namespace n WHERE n.nspname !~ '^pg_' \
     UNION ALL SELECT concat_ws(' ', 'extension', e.extname), e.extversion FROM pg_extension e) AS things"
);

/// A table as the catalogue describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct TableSpec {
    pub(crate) schema: String,
    pub(crate) name: String,
    /// Sorted by name, so that the order of creation does not matter.
    pub(crate) columns: Vec<ColumnSpec>,
    /// The primary key's columns, in its order; empty without one.
    pub(crate) key: Vec<String>,
    /// What to read instead of a table of that name.
    #[serde(skip)]
    source: Option<&'static str>,
}

/// What large objects are called where tables are listed.
pub(crate) const LARGE_OBJECTS: &str = "pg_catalog.pg_largeobject";

/// Large objects as a table: one row for each, with all it holds.
const EACH_OBJECT: &str =
    "(SELECT m.oid AS loid, lo_get(m.oid) AS data FROM pg_largeobject_metadata AS m) AS o";

/// A column as the catalogue describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ColumnSpec {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) type_: String,
    /// Whether the type's own hash means the same everywhere.
    pub(crate) raw: bool,
    /// Whether it has a collation. One that is not deterministic would hash `Bob` and `bob` alike.
    pub(crate) collated: bool,
    pub(crate) generated: bool,
}

impl TableSpec {
    /// `schema.table`, for people and as a map key.
    pub(crate) fn key(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// What stands behind `FROM`.
    pub(crate) fn from(&self) -> String {
        match self.source {
            Some(source) => source.to_owned(),
            None => format!("ONLY {}", self.qualified()),
        }
    }

    pub(crate) fn qualified(&self) -> String {
        qualified(&self.schema, &self.name)
    }

    pub(crate) fn columns(&self) -> Vec<Column> {
        let one = |c: &ColumnSpec| Column {
            name: c.name.clone(),
            type_: c.type_.clone(),
        };
        self.columns.iter().map(one).collect()
    }

    /// `ROW(…)` over these columns; a column that does not exist is left out.
    fn row(&self, names: &[String]) -> String {
        let column = |name: &String| {
            let c = self.columns.iter().find(|c| c.name == *name)?;
            let cast = match (c.raw, c.collated) {
                (true, false) => "",
                (true, true) => " COLLATE pg_catalog.\"C\"",
                (false, _) => "::text COLLATE pg_catalog.\"C\"",
            };
            Some(format!("{}{cast}", ident(&c.name)))
        };
        let columns: Vec<_> = names.iter().filter_map(column).collect();
        format!("ROW({})", columns.join(", "))
    }

    /// The hash of a row over these columns. Without any, all rows are alike.
    pub(crate) fn row_hash(&self, names: &[String]) -> String {
        format!("hash_record_extended({}, 0)", self.row(names))
    }

    /// The hash of the key over these key columns, or of the whole row without a key.
    pub(crate) fn key_hash(&self, key: &[String], names: &[String]) -> String {
        self.row_hash(if key.is_empty() { names } else { key })
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.columns.iter().map(|c| c.name.clone()).collect()
    }

    /// Columns that mark a row as deleted by their name, whatever the spelling (`deletedAt`, `deleted_at`, `isDeleted`),
    /// each with the condition under which it does: a flag that is set, a moment that is given.
    pub(crate) fn soft_deletes(&self) -> Vec<(String, String)> {
        let marks = |c: &&ColumnSpec| {
            let plain = c.name.replace('_', "").to_ascii_lowercase();
            ["deletedat", "isdeleted", "deleted", "deletedon"].contains(&plain.as_str())
        };
        let condition = |c: &ColumnSpec| {
            let name = ident(&c.name);
            let marked = match c.type_.as_str() {
                "boolean" => format!("coalesce({name}, false)"),
                "smallint" | "integer" | "bigint" => format!("coalesce({name}, 0) <> 0"),
                _ => format!("{name} IS NOT NULL"),
            };
            (c.name.clone(), marked)
        };
        self.columns.iter().filter(marks).map(condition).collect()
    }

    /// Whether a column holds whole numbers.
    pub(crate) fn is_number(&self, column: &str) -> bool {
        let number = |t: &str| ["smallint", "integer", "bigint", "oid"].contains(&t);
        let mut these = self.columns.iter().filter(|c| c.name == column);
        these.any(|c| number(&c.type_))
    }

    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|c| c.name == column)
    }
}

/// The user's tables, in the session's snapshot.
pub(crate) async fn tables(session: &mut Session) -> Result<Vec<TableSpec>, PgError> {
    session.rows(&format!("{TABLES};")).await
}

/// Everything that is compared: the user's tables, and large objects where there are some or they are `asked` for.
pub(crate) async fn compared(
    session: &mut Session,
    asked: bool,
) -> Result<Vec<TableSpec>, PgError> {
    let mut specs = tables(session).await?;
    let some = session
        .ask("SELECT EXISTS (SELECT FROM pg_largeobject_metadata);")
        .await?;
    if asked || some.first().is_some_and(|x| x == "t") {
        specs.push(large_objects());
    }
    Ok(specs)
}

fn large_objects() -> TableSpec {
    let column = |name: &str, type_: &str, raw| ColumnSpec {
        name: name.into(),
        type_: type_.into(),
        raw,
        collated: false,
        generated: false,
    };
    TableSpec {
        schema: "pg_catalog".into(),
        name: "pg_largeobject".into(),
        columns: vec![column("data", "bytea", true), column("loid", "oid", false)],
        key: vec!["loid".into()],
        source: Some(EACH_OBJECT),
    }
}

/// Rows of the tables that extensions keep settings or secrets in and give into a dump (`cron.job`, `vault.secrets`): of
/// those that may be read, by `schema.table`.
pub(crate) async fn extension_rows(
    session: &mut Session,
) -> Result<BTreeMap<String, u64>, PgError> {
    let sql = "SELECT json_build_array(n.nspname, c.relname)::text FROM pg_extension e CROSS JOIN LATERAL unnest(e.extconfig) AS t(oid) \
               JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind = 'r' AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AND NOT c.relrowsecurity;";
    let names: Vec<(String, String)> = session.rows(sql).await?;
    let mut found = BTreeMap::new();
    for (schema, name) in names {
        let sql = format!(
            "SELECT count(*)::text FROM ONLY {};",
            qualified(&schema, &name)
        );
        let count: Vec<u64> = session.rows(&sql).await?;
        if let Some(n) = count.first() {
            found.insert(format!("{schema}.{name}"), *n);
        }
    }
    Ok(found)
}

/// The schema in two digests: with every expression, and only with what survives a dump and a restore.
pub(crate) async fn schema_digests(session: &mut Session) -> Result<(String, String), PgError> {
    let lines: Vec<(String, Option<String>)> = session.rows(&format!("{SHAPE};")).await?;
    let full: BTreeSet<String> = lines
        .iter()
        .map(|(shape, rest)| format!("{shape} {}", rest.as_deref().unwrap_or_default()))
        .collect();
    let shape: BTreeSet<&String> = lines.iter().map(|(shape, _)| shape).collect();
    Ok((digest(full.iter()), digest(shape.into_iter())))
}

/// The part of the schema that survives a dump and a restore, line by line, whoever owns it.
pub(crate) async fn shape_without_owners(
    session: &mut Session,
) -> Result<BTreeSet<String>, PgError> {
    let sql = SHAPE.replace("pg_get_userbyid(c.relowner)", "NULL");
    let lines: Vec<(String, Option<String>)> = session.rows(&format!("{sql};")).await?;
    Ok(lines.into_iter().map(|(shape, _)| shape).collect())
}

fn digest<'a>(lines: impl Iterator<Item = &'a String>) -> String {
    let mut hasher = Sha256::new();
    for line in lines {
        hasher.update(line.as_bytes());
        hasher.update([0]);
    }
    hex::encode(hasher.finalize())
}

/// A column of a table whose rows were counted and summed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, unquoted.
    pub name: String,
    /// Its type as SQL.
    #[serde(rename = "type")]
    pub type_: String,
}
