//! `--database URL`: what a database has applied, and whether it is what the files say.

use std::process::Command;

use flow_lint::migration::history::{self, History, Place};
use serde::de::DeserializeOwned;

use super::Compared;
use super::source::Source;
use crate::diagnostic::Diagnostic;

pub(super) fn compare(source: &Source, url: &str) -> Result<Compared, Diagnostic> {
    let url = match url.strip_prefix("env:") {
        None => url.to_owned(),
        Some(name) => std::env::var(name).map_err(|_| {
            Diagnostic::usage(format!("the environment variable {name} is not set"))
        })?,
    };
    let (connection, schema) = connection(&url).ok_or_else(|| {
        Diagnostic::usage("--database is no URL of PostgreSQL")
            .hint("postgresql://user@host:5432/database?schema=public")
    })?;
    let history = applied(&connection, schema)?;
    let compared = history::compare(&source.migrations, &history);
    Ok(Compared {
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
fn connection(url: &str) -> Option<(Connection, String)> {
    let rest = url
        .strip_prefix("postgresql://")
        .or_else(|| url.strip_prefix("postgres://"))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) => (host, port),
        _ => (place, ""),
    };
    let mut all = vec![
        ("PGUSER", decoded(user)?),
        ("PGPASSWORD", decoded(password)?),
        ("PGHOST", decoded(host.trim_matches(['[', ']']))?),
        ("PGPORT", port.to_owned()),
        ("PGDATABASE", decoded(database)?),
    ];
    let mut schema = "public".to_owned();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("schema", named)) => {
                schema = decoded(named).filter(|name| history::is_schema(name))?;
            }
            Some(("sslmode", mode)) => all.push(("PGSSLMODE", decoded(mode)?)),
            Some(("host", host)) => all.push(("PGHOST", decoded(host)?)),
            _ => {}
        }
    }
    let options = "-c default_transaction_read_only=on -c statement_timeout=30000";
    all.push(("PGOPTIONS", options.to_owned()));
    all.retain(|(_, value)| !value.is_empty());
    Some((all, schema))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn applied(connection: &Connection, schema: String) -> Result<History, Diagnostic> {
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

fn read<T: DeserializeOwned>(connection: &Connection, query: &str) -> Result<T, Diagnostic> {
    serde_json::from_slice(&ask(connection, query)?).map_err(|e| failed(&e.to_string()))
}

fn failed(why: &str) -> Diagnostic {
    let why = why.trim();
    Diagnostic::usage(format!(
        "the database cannot be asked what it has applied: {why}"
    ))
}

fn ask(connection: &Connection, query: &str) -> Result<Vec<u8>, Diagnostic> {
    let output = Command::new("psql")
        .args(["-XAtqw", "-v", "ON_ERROR_STOP=1", "-c", query])
        .env("PGCONNECT_TIMEOUT", "10")
        .envs(connection.iter().cloned())
        .output()
        .map_err(|e| failed(&e.to_string()))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(output.stdout)
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
        assert!(connection("mysql://x").is_none());
        let named = |name: &str| Some(connection(&format!("postgres://h/d?schema={name}"))?.1);
        assert_eq!(named("App").as_deref(), Some("App"));
        assert_eq!(named("my-app").as_deref(), Some("my-app"));
        assert_eq!(named("a;%22b").as_deref(), Some("a;\"b"));
        assert_eq!(named("a%0Ab"), None);
        assert_eq!(connection("postgres://h/d").expect("a URL").1, "public");
    }
}
