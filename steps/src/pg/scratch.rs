//! Databases of flow's own making. Only these are ever dropped.

use serde::{Deserialize, Serialize};

use crate::means::psql::text::{database_name, ident, literal};
use crate::means::psql::{Pg, PgError};

/// What every database made here is called in front.
const PREFIX: &str = "flow_";

/// What flow writes as a database's comment: whose it is, and how far it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Always 1; tells the comment from somebody else's.
    pub(crate) flow: u8,
    pub(crate) run: String,
    pub(crate) purpose: String,
    /// `loading`, `ready`, `replaced`.
    pub(crate) stage: String,
    /// For people: what is in it, what was found.
    pub(crate) note: String,
}

impl Mark {
    pub(crate) fn new(run: &str, purpose: &str, stage: &str, note: &str) -> Self {
        Self {
            flow: 1,
            run: run.into(),
            purpose: purpose.into(),
            stage: stage.into(),
            note: note.into(),
        }
    }

    pub(crate) fn sql(&self, database: &str) -> Result<String, PgError> {
        let text = serde_json::to_string(self)
            .map_err(|e| PgError::Check(format!("a comment cannot be written: {e}")))?;
        Ok(format!(
            "COMMENT ON DATABASE {} IS {};",
            ident(database),
            literal(&text)
        ))
    }
}

/// What is known of a database by its name.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Found {
    pub(crate) comment: Option<String>,
    pub(crate) connectable: bool,
}

impl Found {
    /// Flow's comment, when that is what it has.
    pub(crate) fn mark(&self) -> Option<Mark> {
        let mark: Mark = serde_json::from_str(self.comment.as_deref()?).ok()?;
        (mark.flow == 1).then_some(mark)
    }
}

/// The name of a run's database for a purpose.
pub(crate) fn name_for(purpose: &str, run: &str) -> String {
    database_name(&format!("{PREFIX}{purpose}"), run)
}

/// Looks a database up.
pub(crate) async fn find(pg: &Pg, name: &str) -> Result<Option<Found>, PgError> {
    let sql = format!(
        "SELECT json_build_object('comment', shobj_description(d.oid, 'pg_database'), 'connectable', d.datallowconn)::text \
         FROM pg_database d WHERE d.datname = {};",
        literal(name)
    );
    let found: Vec<Found> = pg.maintenance().rows(&sql).await?;
    Ok(found.into_iter().next())
}

/// Makes a fresh, empty database like `like`: same owner, encoding, locale and tablespace. One of that name that this
/// run left behind is dropped first.
pub(crate) async fn create(pg: &Pg, like: &str, name: &str, mark: &Mark) -> Result<Pg, PgError> {
    drop_own(pg, name, &mark.run).await?;
    let options = options(pg, like).await?;
    let sql = format!(
        "CREATE DATABASE {} TEMPLATE template0{options};\n{}",
        ident(name),
        mark.sql(name)?
    );
    pg.maintenance().query(&sql).await?;
    Ok(pg.on(name))
}

/// Drops a database when its name has flow's prefix and its comment says that this run made it, and refuses to
/// otherwise. A missing one is fine.
pub(crate) async fn drop_own(pg: &Pg, name: &str, run: &str) -> Result<(), PgError> {
    let Some(found) = find(pg, name).await? else {
        return Ok(());
    };
    let own = found.mark().is_some_and(|m| m.run == run);
    // Killed between making it and commenting on it: then it has this run's name and nothing in it.
    let unborn = !own && found.comment.is_none() && is_empty(&pg.on(name)).await?;
    if !name.starts_with(PREFIX) || !(own || unborn) {
        return Err(PgError::Check(format!(
            "database `{name}` is in the way and was not made by this run; flow does not drop it. Rename or drop it by hand"
        )));
    }
    let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE);", ident(name));
    pg.maintenance().query(&sql).await?;
    Ok(())
}

async fn is_empty(pg: &Pg) -> Result<bool, PgError> {
    let sql = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';";
    Ok(pg.query(sql).await?.first().is_some_and(|n| n == "0"))
}

/// What `CREATE DATABASE` must say for a database like another one; servers differ in which columns they have. The
/// tablespace only when it is not the template's: spelled out, it needs a right of its own.
async fn options(pg: &Pg, like: &str) -> Result<String, PgError> {
    let sql = format!(
        "SELECT (to_jsonb(d) || jsonb_build_object('owner', pg_get_userbyid(d.datdba), 'enc', pg_encoding_to_char(d.encoding), \
         'space', (SELECT spcname FROM pg_tablespace s WHERE s.oid = d.dattablespace AND s.oid <> \
           (SELECT t.dattablespace FROM pg_database t WHERE t.datname = 'template0'))) - 'datacl')::text \
         FROM pg_database d WHERE d.datname = {};",
        literal(like)
    );
    let rows: Vec<serde_json::Value> = pg.maintenance().rows(&sql).await?;
    let Some(row) = rows.into_iter().next() else {
        return Err(PgError::Check(format!("there is no database `{like}`")));
    };
    let text = |key: &str| row.get(key).and_then(serde_json::Value::as_str);
    let mut sql = vec![String::new()];
    for (word, key) in [("OWNER", "owner"), ("TABLESPACE", "space")] {
        if let Some(value) = text(key) {
            sql.push(format!("{word} {}", ident(value)));
        }
    }
    for (word, key) in [
        ("ENCODING", "enc"),
        ("LC_COLLATE", "datcollate"),
        ("LC_CTYPE", "datctype"),
    ] {
        if let Some(value) = text(key) {
            sql.push(format!("{word} {}", literal(value)));
        }
    }
    match text("datlocprovider") {
        Some("i") => {
            let locale = text("datlocale").or_else(|| text("daticulocale"));
            let locale = locale.unwrap_or_default();
            sql.push(format!(
                "LOCALE_PROVIDER icu ICU_LOCALE {}",
                literal(locale)
            ));
        }
        Some("b") => {
            let locale = text("datlocale").unwrap_or_default();
            sql.push(format!(
                "LOCALE_PROVIDER builtin BUILTIN_LOCALE {}",
                literal(locale)
            ));
        }
        _ => {}
    }
    Ok(sql.join(" "))
}
