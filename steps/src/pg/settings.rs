//! What hangs on a database's name plate and not in its dump: settings, access rights, connection limit, comment.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::means::psql::client::Session;
use crate::means::psql::text::{ident, literal};
use crate::means::psql::{Pg, PgError};
use crate::means::read_only::READ_ONLY;

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

/// What a database's name plate says. Read-only mode is not on it. Settings may be secrets, so it lies beside the backup on
/// its host, and in no journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plate {
    limit: i32,
    comment: Option<String>,
    /// Nobody ever changed the rights: `acl` is what everybody has then.
    default_acl: bool,
    acl: BTreeSet<Grant>,
    settings: BTreeSet<Setting>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Grant {
    /// The role; nothing for everybody.
    to: Option<String>,
    what: String,
    grantable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Setting {
    /// The role it is for; nothing for everybody.
    role: Option<String>,
    /// `name=value`
    text: String,
}

impl Setting {
    fn name(&self) -> &str {
        self.text.split('=').next().unwrap_or_default()
    }
}

impl Plate {
    /// What another plate of the same database says otherwise: settings and rights by name, without their values.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut odd: Vec<String> = self
            .settings
            .symmetric_difference(&other.settings)
            .map(|one| match &one.role {
                Some(role) => format!("{} for {role}", one.name()),
                None => one.name().to_owned(),
            })
            .collect();
        let rights = self.acl.symmetric_difference(&other.acl);
        odd.extend(rights.map(|one| {
            let to = one.to.as_deref().unwrap_or("PUBLIC");
            format!("{} to {to}", one.what)
        }));
        odd.sort();
        odd.dedup();
        odd
    }

    /// Roles that it names.
    fn roles(&self) -> BTreeSet<&str> {
        let to = self.acl.iter().filter_map(|one| one.to.as_deref());
        let by = self.settings.iter().filter_map(|one| one.role.as_deref());
        to.chain(by).collect()
    }
}

/// Gives `to` what `from` has, but for the comment, which is returned apart: until the swap it is flow's. May be run twice.
pub(crate) async fn copy(pg: &Pg, from: &str, to: &str) -> Result<Option<String>, PgError> {
    let plate = read(pg, from).await?;
    give(pg, &plate, to).await
}

/// Gives `to` what a plate says, as [`copy`]. What it says of roles that are gone is left out.
pub(crate) async fn give(pg: &Pg, plate: &Plate, to: &str) -> Result<Option<String>, PgError> {
    let gone = gone(pg, plate).await?;
    let there = |role: &Option<String>| role.as_ref().is_none_or(|role| !gone.contains(role));
    let target = ident(to);
    let mut sql = vec![format!(
        "ALTER DATABASE {target} CONNECTION LIMIT {};\nALTER DATABASE {target} RESET ALL;",
        plate.limit
    )];
    if !plate.default_acl {
        sql.push(format!("REVOKE ALL ON DATABASE {target} FROM PUBLIC;"));
    }
    let meant = |one: &&Grant| !plate.default_acl && there(&one.to);
    for grant in plate.acl.iter().filter(meant) {
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
    for setting in plate.settings.iter().filter(|one| there(&one.role)) {
        let Some((name, value)) = setting.text.split_once('=') else {
            return Err(pg.answer_error("a setting without a value"));
        };
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
    Ok(plate.comment.clone())
}

/// Roles that a plate names and that are there no more.
async fn gone(pg: &Pg, plate: &Plate) -> Result<BTreeSet<String>, PgError> {
    let named: Vec<String> = plate.roles().into_iter().map(literal).collect();
    if named.is_empty() {
        return Ok(BTreeSet::new());
    }
    let sql = format!(
        "SELECT to_json(r)::text FROM unnest(ARRAY[{}]::text[]) AS r WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r);",
        named.join(", ")
    );
    let gone: Vec<String> = pg.maintenance().rows(&sql).await?;
    Ok(gone.into_iter().collect())
}

/// What the plate of a database says now.
pub(crate) async fn read(pg: &Pg, name: &str) -> Result<Plate, PgError> {
    let plates: Vec<Plate> = pg.maintenance().rows(&question(&literal(name))).await?;
    let plate = plates.into_iter().next().map(without_read_only);
    plate.ok_or_else(|| PgError::Check(format!("there is no database `{name}`")))
}

/// What the plate of the session's own database says.
pub(crate) async fn of_session(session: &mut Session) -> Result<Option<Plate>, PgError> {
    let plates: Vec<Plate> = session.rows(&question("current_database()")).await?;
    Ok(plates.into_iter().next().map(without_read_only))
}

fn without_read_only(mut plate: Plate) -> Plate {
    plate.settings.retain(|one| one.name() != READ_ONLY);
    plate
}

fn question(name: &str) -> String {
    format!(
        "SELECT json_build_object('limit', d.datconnlimit, 'comment', shobj_description(d.oid, 'pg_database'), \
         'default_acl', d.datacl IS NULL, \
         'acl', (SELECT coalesce(json_agg(json_build_object('to', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END, \
           'what', a.privilege_type, 'grantable', a.is_grantable AND a.grantee <> d.datdba)), '[]'::json) FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a), \
         'settings', (SELECT coalesce(json_agg(json_build_object('role', CASE WHEN s.setrole <> 0 THEN pg_get_userbyid(s.setrole) END, \
           'text', c.one)), '[]'::json) FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS c(one) WHERE s.setdatabase = d.oid))::text \
         FROM pg_database d WHERE d.datname = {name};"
    )
}
