//! Giving a proven database the name of the live one, in one transaction.

use std::time::Duration;

use super::scratch::{self, Mark};
use crate::means::psql::sessions::{Whom, end};
use crate::means::psql::text::{ident, literal};
use crate::means::psql::{Pg, PgError};
use crate::means::read_only::READ_ONLY;

/// How often sessions are ended and the renames tried, a second apart.
const TRIES: u32 = 4;

/// `object_in_use`: somebody is connected. The words depend on the server's language, the code does not.
const IN_USE: &str = "55006";

/// The live database becomes `old`, `fresh` becomes the live one: both or neither. Nothing is dropped.
///
/// `old_mark` becomes the replaced one's comment in the same transaction, by which a later life knows that it
/// happened; `comment` becomes the new one's. The replaced one is left readable, with writing off by default.
pub(crate) async fn swap(
    pg: &Pg,
    fresh: &str,
    old: &str,
    old_mark: &Mark,
    comment: Option<&str>,
) -> Result<(), PgError> {
    let live = &pg.db.name;
    let (live_q, fresh_q, old_q) = (ident(live), ident(fresh), ident(old));
    let comment = comment.map_or("NULL".to_owned(), literal);
    let renames = format!(
        "\\set VERBOSITY verbose\nBEGIN;\nALTER DATABASE {live_q} RENAME TO {old_q};\nALTER DATABASE {fresh_q} RENAME TO {live_q};\n{}\n\
         COMMENT ON DATABASE {live_q} IS {comment};\nCOMMIT;",
        old_mark.sql(old)?
    );
    let server = pg.maintenance();
    let cut = |e: PgError| {
        if e.is_transient() {
            PgError::Cut(Box::new(e), live.clone())
        } else {
            e
        }
    };
    // The only barrier that stops superusers as well.
    server
        .query(&format!("ALTER DATABASE {live_q} ALLOW_CONNECTIONS false;"))
        .await
        .map_err(cut)?;
    let mut tries = 0;
    loop {
        tries += 1;
        let left = end(pg, live, Whom::All).await.map_err(cut)?;
        end(pg, fresh, Whom::All).await.map_err(cut)?;
        match server.query(&renames).await {
            Ok(_) => break,
            Err(e) if tries < TRIES && e.to_string().contains(IN_USE) => {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(e) if e.is_transient() => return Err(cut(e)),
            Err(e) => {
                server
                    .query(&format!("ALTER DATABASE {live_q} ALLOW_CONNECTIONS true;"))
                    .await?;
                return Err(PgError::Check(format!(
                    "database `{live}` could not be renamed, it is as it was, and the restored copy waits as `{fresh}`: {e}; \
                     still connected: {}",
                    if left.is_empty() {
                        "nobody seen".to_owned()
                    } else {
                        left.join(", ")
                    }
                )));
            }
        }
    }
    keep(pg, old).await
}

/// Undoes what a run left behind when it was killed between closing a database to connections and renaming it. Only a
/// database of which this run has a copy `fresh` waiting, and that was not replaced yet, is opened again.
pub(crate) async fn reopen(pg: &Pg, run: &str, fresh: &str, old: &str) -> Result<(), PgError> {
    let ours = scratch::find(pg, fresh)
        .await?
        .and_then(|found| found.mark())
        .is_some_and(|mark| mark.run == run);
    let closed = scratch::find(pg, &pg.db.name)
        .await?
        .is_some_and(|found| !found.connectable);
    if ours && closed && scratch::find(pg, old).await?.is_none() {
        let live = ident(&pg.db.name);
        pg.maintenance()
            .query(&format!("ALTER DATABASE {live} ALLOW_CONNECTIONS true;"))
            .await?;
    }
    Ok(())
}

/// What a replaced database is kept as: readable, not written to by accident. May be run twice.
pub(crate) async fn keep(pg: &Pg, old: &str) -> Result<(), PgError> {
    let old = ident(old);
    pg.maintenance()
        .query(&format!(
            "ALTER DATABASE {old} SET {READ_ONLY} = on;\nALTER DATABASE {old} ALLOW_CONNECTIONS true;"
        ))
        .await?;
    Ok(())
}
