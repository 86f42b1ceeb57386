//! Staging's database made anew with production's schema.
//!
//! A release that was cancelled or rolled back leaves its schema on staging. The next one would meet it there: columns
//! production does not have, migrations that count as applied. So where the two differ, the copy begins from
//! production's schema and takes staging's own rows, owners and rights over into it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::catalog::{self, TableSpec};
use super::super::policy::HISTORY;
use super::super::scan::DumpScanner;
use super::super::scratch::{self, Mark};
use super::super::{capture, load};
use super::send::{self, Source};
use crate::means::psql::text::some_of;
use crate::means::psql::{Pg, PgError};

/// What production's schema and staging's differ in, in words; nothing when both are the same and have the same
/// migrations. Owners and extensions may differ.
pub(super) async fn differences(from: &Pg, to: &Pg) -> Result<Vec<String>, PgError> {
    let (prod, stage) = (shape(from).await?, shape(to).await?);
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>, place: &str| {
        let lines = a.difference(b);
        lines
            .map(|line| format!("{line} (only on {place})"))
            .collect::<Vec<_>>()
    };
    let mut found = only(&prod, &stage, "production");
    found.extend(only(&stage, &prod, "staging"));
    Ok(found)
}

async fn shape(pg: &Pg) -> Result<BTreeSet<String>, PgError> {
    let mut snapshot = capture::snapshot(pg).await?;
    let mut lines = catalog::shape_without_owners(&mut snapshot.session).await?;
    lines.retain(|line| !line.starts_with("extension ") && !line.starts_with("schema "));
    for spec in catalog::tables(&mut snapshot.session).await? {
        if spec.name == HISTORY && spec.has("migration_name") && spec.has("finished_at") {
            let sql = format!(
                "SELECT to_json('migration ' || migration_name)::text FROM {} WHERE finished_at IS NOT NULL;",
                spec.qualified()
            );
            lines.extend(snapshot.session.rows::<String>(&sql).await?);
        }
    }
    snapshot.session.close().await?;
    Ok(lines)
}

/// An empty database of that name beside staging's, with production's schema as it is in the snapshot, and with
/// staging's owners and rights.
pub(super) async fn empty(
    from: &Pg,
    snapshot: &str,
    to: &Pg,
    name: &str,
    mark: &Mark,
) -> Result<Pg, PgError> {
    scratch::drop_own(to, name, &mark.run).await?;
    let copy = scratch::create(to, &to.db.name, name, mark).await?;
    let dump = from
        .dump_command()
        .args(["--schema-only", "--no-owner", "--no-privileges"])
        .args([
            "--no-publications",
            "--no-subscriptions",
            "--no-tablespaces",
            "--no-security-labels",
        ])
        .arg(format!("--snapshot={snapshot}"));
    let mut source = from.start(&dump).await?;
    let sink = copy.feed_dump().await?;
    let mut scanner = DumpScanner::default();
    while let Some(chunk) = source.next().await {
        scanner.take(&chunk);
        if !sink.send(chunk).await {
            let ended = sink.end().await;
            return Err(load::explain(ended, &scanner, 1)
                .unwrap_or_else(|| copy.sql_error("psql stopped reading")));
        }
    }
    source.end().await?;
    if !scanner.is_complete() {
        return Err(PgError::Check(
            "production's schema was not dumped to its end; staging is as it was".into(),
        ));
    }
    if let Some(e) = load::explain(sink.end().await, &scanner, 1) {
        return Err(e);
    }
    give_rights(from, to, &copy).await?;
    Ok(copy)
}

type Line = (String, Option<String>, String);

/// Gives what is on both sides staging's owners and rights, and what is new production's, as far as staging has
/// those roles.
async fn give_rights(from: &Pg, to: &Pg, copy: &Pg) -> Result<(), PgError> {
    let sql = include_str!("grants.sql");
    let ours: Vec<Line> = to.rows(sql).await?;
    let theirs: Vec<Line> = from.rows(sql).await?;
    let there: Vec<Line> = copy.rows(sql).await?;
    let roles: Vec<String> = to
        .rows("SELECT to_json(rolname)::text FROM pg_roles;")
        .await?;
    let there: BTreeSet<&str> = there.iter().map(|line| line.0.as_str()).collect();
    let known: BTreeSet<&str> = ours.iter().map(|line| line.0.as_str()).collect();
    let has_role = |line: &&Line| line.1.as_ref().is_none_or(|role| roles.contains(role));
    let new = theirs
        .iter()
        .filter(|line| !known.contains(line.0.as_str()) && there.contains(line.0.as_str()))
        .filter(has_role);
    let kept = ours
        .iter()
        .filter(|line| there.contains(line.0.as_str()) || line.0.starts_with("DEFAULTS"));
    let sql: Vec<&str> = kept.chain(new).map(|line| line.2.as_str()).collect();
    copy.query(&format!("BEGIN;\n{}\nCOMMIT;", sql.join("\n")))
        .await?;
    Ok(())
}

/// The own rows of those tables that are `kept`, in the columns both schemas have.
pub(super) async fn keep_rows(
    to: &Pg,
    copy: &Pg,
    kept: &(dyn Fn(&TableSpec) -> bool + Sync),
) -> Result<(), PgError> {
    let (ours, there) = (specs(to).await?, specs(copy).await?);
    for (key, table) in there.iter().filter(|(_, table)| kept(table)) {
        let Some(own) = ours.get(key) else {
            continue;
        };
        let columns: Vec<String> = table
            .columns
            .iter()
            .filter(|c| !c.generated && own.has(&c.name))
            .map(|c| c.name.clone())
            .collect();
        let source = Source {
            pg: to,
            snapshot: None,
        };
        send::send(&source, copy, table, &columns).await.map_err(|e| {
            if e.is_transient() {
                return e;
            }
            PgError::Check(format!(
                "the own rows of {key} do not fit production's schema, to which {} is taken back, so it was left as it \
                 was: {e}. Correct or delete these rows there",
                to.db.words()
            ))
        })?;
    }
    Ok(())
}

/// Production's list of migrations: it is about the schema that was taken over. What failed migrations logged may quote
/// rows and stays behind.
pub(super) async fn take_history(from: &Pg, snapshot: &str, copy: &Pg) -> Result<(), PgError> {
    let there = specs(copy).await?;
    for table in there.values().filter(|table| table.name == HISTORY) {
        let columns: Vec<String> = table
            .columns
            .iter()
            .filter(|c| !c.generated && c.name != "logs")
            .map(|c| c.name.clone())
            .collect();
        let source = Source {
            pg: from,
            snapshot: Some(snapshot),
        };
        send::send(&source, copy, table, &columns).await?;
    }
    Ok(())
}

async fn specs(pg: &Pg) -> Result<BTreeMap<String, TableSpec>, PgError> {
    let mut session = pg.session().await?;
    let specs = catalog::tables(&mut session).await?;
    session.close().await?;
    Ok(specs.into_iter().map(|s| (s.key(), s)).collect())
}

/// One line about why staging was made anew, for the log.
pub(super) fn in_words(differences: &[String]) -> String {
    format!(
        "staging's schema was not production's and was taken back to it: {}",
        some_of(differences, 20)
    )
}
