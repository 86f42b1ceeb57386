//! Room for one more copy of a database, where the server keeps it. A full disk there stops the server itself, and so
//! the live database beside the copy.

use std::time::Duration;

use super::backup::Backup;
use super::text::literal;
use super::{Pg, PgError};
use crate::host::HostExt as _;

/// Bytes wanted beside the copy and a quarter of it, for what the live database and the server's log go on needing.
const MARGIN: u64 = 64 * 1024 * 1024;

/// Where the database lies, and how large it is now.
async fn place(pg: &Pg, like: &str) -> Result<(String, u64), PgError> {
    let sql = format!(
        "SELECT json_build_array(coalesce(nullif(pg_tablespace_location(d.dattablespace), ''), current_setting('data_directory')), \
         pg_database_size(d.oid))::text FROM pg_database d WHERE d.datname = {};",
        literal(like)
    );
    let found: Vec<(String, u64)> = pg.maintenance().rows(&sql).await?;
    let found = found.into_iter().next();
    found.ok_or_else(|| PgError::Check(format!("there is no database `{like}`")))
}

/// How many bytes a copy needs: the live database may be larger than the dump's, or emptied by a bad release. On the
/// disk a database was 1.3 times as large as its dump (measured).
fn needed(database: u64, raw_bytes: u64) -> u64 {
    let copy = database.max(raw_bytes.saturating_mul(3) / 2);
    copy.saturating_add(copy / 4).saturating_add(MARGIN)
}

/// Bytes free in the file system of a folder, as seen where the server runs.
async fn free(pg: &Pg, dir: &str) -> Result<u64, PgError> {
    let df = pg
        .beside("df")
        .args(["-P", "-k", "--", dir])
        .deadline(Duration::from_mins(2));
    let text = pg.host.run(&df).await?;
    let last = text.lines().last().unwrap_or_default();
    // The device's name may hold blanks; the numbers are counted from the percent sign back.
    let words: Vec<&str> = last.split_whitespace().collect();
    let used = words.iter().rposition(|w| w.ends_with('%'));
    let free = used.and_then(|at| words.get(at.checked_sub(1)?)?.parse::<u64>().ok());
    free.map(|k| k.saturating_mul(1024))
        .ok_or_else(|| pg.answer_error("`df` without a number of free blocks"))
}

/// Refuses when a copy of this backup would not fit beside the live database, and when that cannot be found out:
/// restoring into a disk that fills up endangers the live database. Reads only.
pub(crate) async fn check(pg: &Pg, backup: &Backup) -> Result<(), PgError> {
    let looked = async {
        let (dir, size) = place(pg, &pg.db.name).await?;
        let free = free(pg, &dir).await?;
        Ok::<_, PgError>((dir, size, free))
    };
    let (dir, size, free) = match looked.await {
        Ok(found) => found,
        Err(e) if e.is_transient() => return Err(e),
        Err(e) => {
            return Err(PgError::Check(format!(
                "how much room there is beside {} cannot be found out, so nothing was restored ({e}); role `{}` needs \
                 `pg_read_all_settings`, and `df` must run where the server does",
                pg.db.words(),
                pg.db.user
            )));
        }
    };
    let need = needed(size, backup.raw_bytes);
    if free >= need {
        return Ok(());
    }
    Err(PgError::Check(format!(
        "a copy of {} needs about {need} bytes, `{dir}` on `{}` has {free} free; nothing was restored. \
         Make room there and try again",
        pg.db.words(),
        pg.db.host
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emptied_database_still_needs_room_for_what_its_backup_holds() {
        let gib = 1 << 30;
        assert_eq!(needed(0, 4 * gib), 6 * gib + 6 * gib / 4 + MARGIN);
        assert_eq!(needed(10 * gib, gib), 12 * gib + gib / 2 + MARGIN);
        assert_eq!(needed(u64::MAX, 1), u64::MAX);
    }
}
