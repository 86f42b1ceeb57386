//! Room for one more dump and one more copy of a database, asked for before the first byte is written. A full disk
//! stops the server itself, and so the live database beside the copy.

use std::time::Duration;

use super::manifest::Backup;
use crate::means::host::{Command, Host, HostExt as _};
use crate::means::psql::text::literal;
use crate::means::psql::{Pg, PgError};

/// Bytes wanted beside a copy and a quarter of it, for what the live database and the server's log go on needing.
const MARGIN: u64 = 64 * 1024 * 1024;

/// What a backup became: the measure for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Of the file.
    pub(crate) bytes: u64,
    /// Before it was compressed.
    pub(crate) raw_bytes: u64,
}

/// Something that will be written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Demand {
    what: String,
    dir: String,
    bytes: u64,
    disk: Disk,
}

/// A file system. Two folders with one size lie on the same one, as far as can be told from inside and outside of a
/// container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Disk {
    size: u64,
    free: u64,
}

/// What the server says about a database.
struct Facts {
    /// Where it lies.
    dir: String,
    data: String,
    bytes: u64,
    /// The most of the write-ahead log that stays, when nothing holds it back.
    wal_max: u64,
    /// Whether an archive or a replication slot may hold it back.
    wal_held: bool,
}

async fn facts(pg: &Pg) -> Result<Facts, PgError> {
    let sql = format!(
        "SELECT json_build_array(coalesce(nullif(pg_tablespace_location(d.dattablespace), ''), current_setting('data_directory')), \
         current_setting('data_directory'), pg_database_size(d.oid), pg_size_bytes(current_setting('max_wal_size')), \
         current_setting('archive_mode') <> 'off' OR EXISTS (SELECT FROM pg_replication_slots))::text \
         FROM pg_database d WHERE d.datname = {};",
        literal(&pg.db.name)
    );
    let found: Vec<(String, String, u64, u64, bool)> = pg.maintenance().rows(&sql).await?;
    let found = found.into_iter().next();
    let found =
        found.ok_or_else(|| PgError::Check(format!("there is no database `{}`", pg.db.name)))?;
    Ok(Facts {
        dir: found.0,
        data: found.1,
        bytes: found.2,
        wal_max: found.3,
        wal_held: found.4,
    })
}

/// How large a copy becomes: the live database may be larger than the dump's, or emptied by a bad release. On the disk
/// a database was 1.3 times as large as its dump (measured).
fn copy_bytes(database: u64, raw_bytes: u64) -> u64 {
    database.max(raw_bytes.saturating_mul(3) / 2)
}

/// How large a dump's file becomes. Without an earlier one nothing is known of how well the rows compress, so they
/// count as they lie in their tables; with one, as much as it, a quarter more, and more in proportion when the
/// tables have grown.
fn dump_bytes(tables: u64, last: Option<Sizes>) -> u64 {
    let Some(last) = last else {
        return tables;
    };
    let grown = u128::from(last.bytes) * u128::from(tables) / u128::from(last.raw_bytes.max(1));
    let grown = u64::try_from(grown).unwrap_or(u64::MAX).min(tables);
    grown.max(last.bytes.saturating_add(last.bytes / 4))
}

/// The tables' own size, without indexes: those are not in a dump.
async fn tables(pg: &Pg) -> Result<u64, PgError> {
    let sql = "SELECT coalesce(sum(pg_table_size(oid)), 0)::int8 FROM pg_class WHERE relkind IN ('r', 'm') AND relpersistence <> 't';";
    let text = pg.query(sql).await?;
    let number = text.first().and_then(|n| n.parse().ok());
    number.ok_or_else(|| pg.answer_error("no size of the tables"))
}

/// What `df` says of a folder.
async fn disk(pg: &Pg, host: &dyn Host, df: Command) -> Result<Disk, PgError> {
    let text = host.run(&df.deadline(Duration::from_mins(2))).await?;
    let last = text.lines().last().unwrap_or_default();
    // The device's name may hold blanks; the numbers are counted from the percent sign back.
    let words: Vec<&str> = last.split_whitespace().collect();
    let used = words.iter().rposition(|w| w.ends_with('%'));
    let number = |back: usize| -> Option<u64> {
        let kib: u64 = words.get(used?.checked_sub(back)?)?.parse().ok()?;
        Some(kib.saturating_mul(1024))
    };
    match (number(3), number(1)) {
        (Some(size), Some(free)) => Ok(Disk { size, free }),
        _ => Err(pg.answer_error("`df` without a number of free blocks")),
    }
}

/// As seen where the server runs.
async fn servers_disk(pg: &Pg, dir: &str) -> Result<Disk, PgError> {
    let df = pg.beside("df").args(["-P", "-k", "--", dir]);
    disk(pg, &*pg.host, df).await
}

/// As seen by the host, where dumps are written. A folder that is not made yet will lie where the one above it does.
async fn hosts_disk(pg: &Pg, dir: &str) -> Result<Disk, PgError> {
    let script =
        "d=$1; while [ ! -e \"$d\" ]; do d=$(dirname -- \"$d\"); done; exec df -P -k -- \"$d\"";
    disk(pg, &*pg.host, Command::script(script).args(["sh", dir])).await
}

/// What a copy writes: the database, and the log of writing it.
async fn for_copy(pg: &Pg, raw_bytes: u64) -> Result<Vec<Demand>, PgError> {
    let facts = facts(pg).await?;
    let copy = copy_bytes(facts.bytes, raw_bytes);
    let log = if facts.wal_held {
        copy
    } else {
        copy.min(facts.wal_max)
    };
    let data = servers_disk(pg, &facts.dir).await?;
    let wal_dir = format!("{}/pg_wal", facts.data);
    // Who is not the server's user may not look there; then it counts as being where the data is.
    let wal = match servers_disk(pg, &wal_dir).await {
        Ok(disk) => Some(disk).filter(|disk| disk.size != data.size),
        Err(e) if e.is_transient() => return Err(e),
        Err(_) => None,
    };
    let beside = if wal.is_some() {
        copy / 4
    } else {
        log.max(copy / 4)
    };
    let mut all = vec![Demand {
        what: "a copy".into(),
        dir: facts.dir,
        bytes: copy.saturating_add(beside).saturating_add(MARGIN),
        disk: data,
    }];
    all.extend(wal.map(|disk| Demand {
        what: "its write-ahead log".into(),
        dir: wal_dir,
        bytes: log.saturating_add(MARGIN),
        disk,
    }));
    Ok(all)
}

/// Names every disk on which not all of it fits.
fn too_small(demands: &[Demand]) -> Vec<String> {
    let mut odd = Vec::new();
    for (n, first) in demands.iter().enumerate() {
        if demands[..n].iter().any(|d| d.disk.size == first.disk.size) {
            continue;
        }
        let same: Vec<&Demand> = demands[n..]
            .iter()
            .filter(|d| d.disk.size == first.disk.size)
            .collect();
        let bytes = same.iter().fold(0u64, |sum, d| sum.saturating_add(d.bytes));
        if bytes > first.disk.free {
            let each: Vec<String> = same
                .iter()
                .map(|d| format!("{} in `{}` about {}", d.what, d.dir, d.bytes))
                .collect();
            odd.push(format!(
                "{bytes} bytes are needed ({}), and {} are free there",
                each.join(", "),
                first.disk.free
            ));
        }
    }
    odd
}

/// Copies that flow left or keeps: what may be dropped first.
async fn copies(pg: &Pg) -> Result<String, PgError> {
    let found: Vec<(String, Option<String>)> = pg
        .maintenance()
        .rows(
            "SELECT json_build_array(d.datname, CASE WHEN has_database_privilege(d.oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE') \
             THEN pg_size_pretty(pg_database_size(d.oid)) END)::text FROM pg_database d \
             WHERE shobj_description(d.oid, 'pg_database') LIKE '{\"flow\":1,%' ORDER BY d.datname;",
        )
        .await?;
    let one = |(name, size): &(String, Option<String>)| {
        format!("`{name}` ({})", size.as_deref().unwrap_or("size hidden"))
    };
    let all: Vec<String> = found.iter().map(one).collect();
    Ok(if all.is_empty() {
        String::new()
    } else {
        format!(
            "; flow's own copies that are still there: {}",
            all.join(", ")
        )
    })
}

async fn judge(pg: &Pg, demands: Vec<Demand>) -> Result<(), PgError> {
    let odd = too_small(&demands);
    if odd.is_empty() {
        return Ok(());
    }
    Err(PgError::Check(format!(
        "there is no room for it beside {}: {}. Nothing was begun; make room there and try again{}",
        pg.db.words(),
        odd.join("; "),
        copies(pg).await?
    )))
}

/// What cannot be found out is no room.
fn unknown(pg: &Pg, e: PgError) -> PgError {
    if e.is_transient() {
        return e;
    }
    PgError::Check(format!(
        "how much room there is beside {} cannot be found out, so nothing was begun ({e}); role `{user}` needs \
         `GRANT pg_read_all_settings TO {user};`, and `df` must run where the server does",
        pg.db.words(),
        user = pg.db.user
    ))
}

/// Refuses when a copy of this backup would not fit beside the live database, and when that cannot be found out:
/// restoring into a disk that fills up endangers the live database. Reads only.
pub(crate) async fn check(pg: &Pg, backup: &Backup) -> Result<(), PgError> {
    let demands = for_copy(pg, backup.raw_bytes).await;
    judge(pg, demands.map_err(|e| unknown(pg, e))?).await
}

/// Refuses when a dump would not fit into its folder, which exists; with `copy`, when it and a copy beside the live
/// database would not. Reads only.
pub(crate) async fn before_dump(
    pg: &Pg,
    dir: &str,
    last: Option<Sizes>,
    copy: bool,
) -> Result<(), PgError> {
    let mut demands = for_dumps(pg, dir, last, 1).await?;
    if copy {
        let raw = last.map_or(0, |last| last.raw_bytes);
        let more = for_copy(pg, raw).await;
        demands.extend(more.map_err(|e| unknown(pg, e))?);
    }
    judge(pg, demands).await
}

async fn for_dumps(
    pg: &Pg,
    dir: &str,
    last: Option<Sizes>,
    times: u64,
) -> Result<Vec<Demand>, PgError> {
    let bytes = dump_bytes(tables(pg).await?, last);
    Ok(vec![Demand {
        what: if times == 1 {
            "a dump".into()
        } else {
            format!("{times} dumps")
        },
        dir: dir.to_owned(),
        bytes: bytes.saturating_mul(times),
        disk: hosts_disk(pg, dir).await?,
    }])
}

/// Refuses when what a release and its rollback may write would not fit: the dump after the freeze, the dump of a
/// failed state, and one copy at a time beside the live database. Reads only.
pub(crate) async fn before_release(
    pg: &Pg,
    dir: &str,
    last: Option<Sizes>,
) -> Result<String, PgError> {
    let mut demands = for_dumps(pg, dir, last, 2).await?;
    let raw = last.map_or(0, |last| last.raw_bytes);
    let more = for_copy(pg, raw).await;
    demands.extend(more.map_err(|e| unknown(pg, e))?);
    let bytes = demands
        .iter()
        .fold(0u64, |sum, d| sum.saturating_add(d.bytes));
    judge(pg, demands).await?;
    Ok(format!(
        "about {} MiB needed for dumps and one copy, and they fit",
        bytes >> 20
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn demand(size: u64, free: u64, bytes: u64) -> Demand {
        Demand {
            what: "a dump".into(),
            dir: "/d".into(),
            bytes,
            disk: Disk { size, free },
        }
    }

    #[test]
    fn an_emptied_database_still_needs_room_for_what_its_backup_holds() {
        assert_eq!(copy_bytes(0, 4 * GIB), 6 * GIB);
        assert_eq!(copy_bytes(10 * GIB, GIB), 10 * GIB);
    }

    #[test]
    fn a_dump_is_measured_by_the_last_one_and_by_how_the_tables_grew() {
        assert_eq!(dump_bytes(10 * GIB, None), 10 * GIB);
        let last = Some(Sizes {
            bytes: GIB,
            raw_bytes: 5 * GIB,
        });
        assert_eq!(dump_bytes(5 * GIB, last), GIB + GIB / 4);
        assert_eq!(dump_bytes(50 * GIB, last), 10 * GIB);
        assert_eq!(dump_bytes(0, last), GIB + GIB / 4);
    }

    #[test]
    fn what_goes_to_one_disk_is_added_up() {
        assert!(too_small(&[demand(9, 5, 3), demand(8, 5, 4)]).is_empty());
        let odd = too_small(&[demand(9, 5, 3), demand(8, 5, 4), demand(9, 5, 3)]);
        assert_eq!(odd.len(), 1, "{odd:?}");
        assert!(odd[0].starts_with("6 bytes are needed"), "{odd:?}");
        assert!(odd[0].ends_with("5 are free there"), "{odd:?}");
    }
}
