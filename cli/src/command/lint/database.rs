//! `--database URL`: what a database has applied, and whether it is what the files say.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

use super::Compared;
use super::source::Source;
use crate::diagnostic::Diagnostic;

/// A migration that was rolled back and applied again has two.
#[derive(Deserialize)]
struct Row {
    name: String,
    /// SHA-256 (hex) of the file's bytes when it was applied.
    checksum: String,
    finished: bool,
}

/// Whether there is Prisma's table; a database without it has applied none.
const THERE: &str = "select to_regclass('_prisma_migrations') is not null";
/// Migrations that were begun and not marked as rolled back; Prisma ignores those that were.
const APPLIED: &str = "select coalesce(json_agg(json_build_object('name', migration_name, 'checksum', checksum, \
    'finished', finished_at is not null)), '[]') from _prisma_migrations where rolled_back_at is null";

pub(super) fn compare(source: &Source, url: &str) -> Result<Compared, Diagnostic> {
    let url = match url.strip_prefix("env:") {
        None => url.to_owned(),
        Some(name) => std::env::var(name).map_err(|_| {
            Diagnostic::usage(format!("the environment variable {name} is not set"))
        })?,
    };
    let connection = connection(&url).ok_or_else(|| {
        Diagnostic::usage("--database is no URL of PostgreSQL")
            .hint("postgresql://user@host:5432/database?schema=public")
    })?;
    let (done, stuck): (Vec<Row>, Vec<Row>) = applied(&connection)?
        .into_iter()
        .partition(|row| row.finished);
    let holds: BTreeMap<String, String> = done
        .into_iter()
        .map(|row| (row.name, row.checksum))
        .collect();
    let mut compared = Compared {
        new: BTreeSet::new(),
        edited: Vec::new(),
    };
    compared.edited.extend(stuck.into_iter().map(|row| {
        let why = "this migration was begun in the database and never finished: `migrate deploy` refuses to go on (P3009) until it is \
            resolved as applied or rolled back";
        (row.name, why.to_owned())
    }));
    for migration in &source.migrations {
        match holds.get(&migration.name) {
            None => {
                compared.new.insert(migration.name.clone());
            }
            Some(checksum) if *checksum != migration.sha256() => compared.edited.push((
                migration.name.clone(),
                "this migration was changed after it was applied: its checksum is not the one in _prisma_migrations".to_owned(),
            )),
            Some(_) => {}
        }
    }
    let names = source.names();
    let gone = holds.keys().filter(|name| !names.contains(*name));
    compared.edited.extend(gone.map(|name| {
        let why = "this migration is applied to the database, and its file is not there".to_owned();
        (name.clone(), why)
    }));
    Ok(compared)
}

/// What `psql` reads from its environment, where no list of processes shows it.
type Connection = Vec<(&'static str, String)>;

fn connection(url: &str) -> Option<Connection> {
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
    let mut options = "-c default_transaction_read_only=on -c statement_timeout=30000".to_owned();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("schema", schema)) => {
                let schema = decoded(schema)?;
                if !schema
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_')
                {
                    return None;
                }
                options.push_str(" -c search_path=");
                options.push_str(&schema);
            }
            Some(("sslmode", mode)) => all.push(("PGSSLMODE", decoded(mode)?)),
            Some(("host", host)) => all.push(("PGHOST", decoded(host)?)),
            _ => {}
        }
    }
    all.push(("PGOPTIONS", options));
    all.retain(|(_, value)| !value.is_empty());
    Some(all)
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

fn applied(connection: &Connection) -> Result<Vec<Row>, Diagnostic> {
    if ask(connection, THERE)?.trim_ascii() != b"t" {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&ask(connection, APPLIED)?).map_err(|e| failed(&e.to_string()))
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
        let all = connection(url).expect("a URL");
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
        assert!(get("PGOPTIONS").is_some_and(|options| options.ends_with("search_path=app")));
        assert!(connection("mysql://x").is_none());
        assert!(connection("postgres://h/d?schema=a;b").is_none());
    }
}
