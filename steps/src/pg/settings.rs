//! What hangs on a database's name plate and not in its dump: settings, access rights, connection limit, comment.

use serde::Deserialize;

use super::text::{ident, literal};
use super::{Pg, PgError};

/// Set by [`Freeze`](super::Freeze), and never carried over: a restored database must not come up read-only.
pub(crate) const READ_ONLY: &str = "default_transaction_read_only";

/// Settings whose stored value is a list that is quoted already (`GUC_LIST_QUOTE`; the list of `pg_dump`). Quoting them
/// again would make one odd schema name out of `"$user", public`.
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

#[derive(Deserialize)]
struct Plate {
    limit: i32,
    comment: Option<String>,
    default_acl: bool,
    acl: Vec<Grant>,
    settings: Vec<Setting>,
}

#[derive(Deserialize)]
struct Grant {
    to: Option<String>,
    what: String,
    grantable: bool,
}

#[derive(Deserialize)]
struct Setting {
    role: Option<String>,
    text: String,
}

/// The statements that give `to` what `from` has, but for the comment, which is returned apart: until the swap it is
/// flow's. May be run twice.
pub(crate) async fn copy(pg: &Pg, from: &str, to: &str) -> Result<Option<String>, PgError> {
    let plate = read(pg, from).await?;
    let target = ident(to);
    let mut sql = vec![format!(
        "ALTER DATABASE {target} CONNECTION LIMIT {};\nALTER DATABASE {target} RESET ALL;",
        plate.limit
    )];
    if !plate.default_acl {
        sql.push(format!("REVOKE ALL ON DATABASE {target} FROM PUBLIC;"));
    }
    for grant in &plate.acl {
        // The privilege is one of three words of the server's; anything else is not sent.
        if !["CREATE", "CONNECT", "TEMPORARY"].contains(&grant.what.as_str()) {
            return Err(pg.answer_error("an unknown right on a database"));
        }
        let to = grant.to.as_deref().map_or("PUBLIC".to_owned(), ident);
        let option = if grant.grantable {
            " WITH GRANT OPTION"
        } else {
            ""
        };
        sql.push(format!(
            "GRANT {} ON DATABASE {target} TO {to}{option};",
            grant.what
        ));
    }
    for setting in &plate.settings {
        let Some((name, value)) = setting.text.split_once('=') else {
            return Err(pg.answer_error("a setting without a value"));
        };
        if name == READ_ONLY {
            continue;
        }
        let whom = match &setting.role {
            None => format!("ALTER DATABASE {target}"),
            Some(role) => format!("ALTER ROLE {} IN DATABASE {target}", ident(role)),
        };
        let parts: Vec<String> = name.split('.').map(ident).collect();
        let word = parts.join(".");
        if LISTS.contains(&name) {
            sql.push(format!(
                "SELECT set_config({}, {}, false) IS NULL;\n{whom} SET {word} FROM CURRENT;\nRESET {word};",
                literal(name),
                literal(value)
            ));
        } else {
            sql.push(format!("{whom} SET {word} = {};", literal(value)));
        }
    }
    pg.maintenance().query(&sql.join("\n")).await?;
    Ok(plate.comment)
}

async fn read(pg: &Pg, name: &str) -> Result<Plate, PgError> {
    let sql = format!(
        "SELECT json_build_object('limit', d.datconnlimit, 'comment', shobj_description(d.oid, 'pg_database'), \
         'default_acl', d.datacl IS NULL, \
         'acl', (SELECT coalesce(json_agg(json_build_object('to', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END, \
           'what', a.privilege_type, 'grantable', a.is_grantable AND a.grantee <> d.datdba)), '[]'::json) FROM aclexplode(d.datacl) AS a), \
         'settings', (SELECT coalesce(json_agg(json_build_object('role', CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole) END, \
           'text', c.one)), '[]'::json) FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c(one) WHERE s.setdatabase = d.oid))::text \
         FROM pg_database d WHERE d.datname = {};",
        literal(name)
    );
    let plates: Vec<Plate> = pg.maintenance().rows(&sql).await?;
    let plate = plates.into_iter().next();
    plate.ok_or_else(|| PgError::Check(format!("there is no database `{name}`")))
}
