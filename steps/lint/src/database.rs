//! `--database URL`: what a database has applied, and whether it is what the files say.

use std::process::Command;

use serde::de::DeserializeOwned;

use crate::baseline::Baseline;
use crate::migration::history::{self, History, Place};
use crate::source::Source;
use crate::url::Url;

/// Why a database cannot be asked what it has applied. No message quotes the URL.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The text is no URL of PostgreSQL, or names a schema that cannot be one.
    #[error("it is no URL of PostgreSQL: {0}")]
    Url(&'static str),
    /// `psql` does not run on this machine.
    #[error("psql does not run here")]
    NoPsql(#[source] std::io::Error),
    /// The server, or `psql` on the way there, refuses.
    #[error("{0}")]
    Refused(String),
    /// The answer is not what was asked for.
    #[error("the answer cannot be read")]
    Answer(#[from] serde_json::Error),
}

/// Asks the database which migrations it has applied, and compares them with the files. Reads only, within 30 s a query, by
/// `psql`, which gets the URL's parts from its environment, where no list of processes shows them.
pub fn compare(source: &Source, url: &str) -> Result<Baseline, DatabaseError> {
    let (connection, schema) = connection(url)?;
    let history = applied(&connection, schema)?;
    let compared = history::compare(&source.migrations, &history);
    Ok(Baseline {
        new: compared.pending,
        schema: Some(history.schema),
        faults: compared.faults,
        tables: if history.place.history {
            history.place.tables
        } else {
            std::collections::BTreeSet::new()
        },
    })
}

/// What `psql` reads from its environment, where no list of processes shows it.
type Connection = Vec<(&'static str, String)>;

/// The connection, and the schema that Prisma keeps its history in.
fn connection(url: &str) -> Result<(Connection, String), DatabaseError> {
    let Ok(url) = url.parse::<Url>() else {
        return Err(DatabaseError::Url(
            "postgresql://user@host:5432/database?schema=public is one",
        ));
    };
    let mut all = vec![
        ("PGUSER", url.user),
        ("PGPASSWORD", url.password),
        ("PGHOST", url.host),
        (
            "PGPORT",
            url.port.map(|port| port.to_string()).unwrap_or_default(),
        ),
        ("PGDATABASE", url.database),
    ];
    let mut schema = "public".to_owned();
    for (key, value) in url.query {
        match key.as_str() {
            "schema" if history::is_schema(&value) => schema = value,
            "schema" => {
                return Err(DatabaseError::Url(
                    "no schema can have the name in `schema=`",
                ));
            }
            "sslmode" => all.push(("PGSSLMODE", value)),
            _ => {}
        }
    }
    let options = "-c default_transaction_read_only=on -c statement_timeout=30000";
    all.push(("PGOPTIONS", options.to_owned()));
    all.retain(|(_, value)| !value.is_empty());
    Ok((all, schema))
}

fn applied(connection: &Connection, schema: String) -> Result<History, DatabaseError> {
    let place: Place = read(connection, &history::place_sql(&schema))?;
    let rows = if place.history {
        read(connection, &history::rows_sql(&schema))?
    } else {
        Vec::new()
    };
    Ok(History {
        schema,
        place,
        rows,
    })
}

fn read<T: DeserializeOwned>(connection: &Connection, query: &str) -> Result<T, DatabaseError> {
    let output = Command::new("psql")
        .args(["-XAtqw", "-v", "ON_ERROR_STOP=1", "-c", query])
        .env("PGCONNECT_TIMEOUT", "10")
        .envs(connection.iter().cloned())
        .output()
        .map_err(DatabaseError::NoPsql)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(DatabaseError::Refused(said.trim().to_owned()));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_an_environment_and_never_an_argument() {
        let url = "postgresql://app:p%40ss@db.example.org:6432/shop?schema=app&sslmode=require";
        let (all, schema) = connection(url).expect("a URL");
        let get = |name| {
            all.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(get("PGUSER"), Some("app"));
        assert_eq!(get("PGPASSWORD"), Some("p@ss"));
        assert_eq!(
            (get("PGHOST"), get("PGPORT")),
            (Some("db.example.org"), Some("6432"))
        );
        assert_eq!(
            (get("PGDATABASE"), get("PGSSLMODE")),
            (Some("shop"), Some("require"))
        );
        assert_eq!(schema, "app");
        assert!(connection("mysql://x").is_err());
        let named = |name: &str| {
            connection(&format!("postgres://h/d?schema={name}"))
                .ok()
                .map(|(_, schema)| schema)
        };
        assert_eq!(named("App").as_deref(), Some("App"));
        assert_eq!(named("my-app").as_deref(), Some("my-app"));
        assert_eq!(named("a;%22b").as_deref(), Some("a;\"b"));
        assert_eq!(named("a%0Ab"), None);
        assert_eq!(connection("postgres://h/d").expect("a URL").1, "public");
    }
}
