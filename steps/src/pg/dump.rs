//! From `pg_dump` to a file, through this program.

use std::collections::BTreeMap;
use std::io::Write as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::catalog::LARGE_OBJECTS;
use super::manifest::Compression;
use super::scan::DumpScanner;
use super::state::DbState;
use crate::means::host::Command;
use crate::means::psql::client::{Feed, LONG};
use crate::means::psql::text::some_of;
use crate::means::psql::{Pg, PgError};

impl Pg {
    /// `pg_dump` of this database, without a word about what of it.
    pub(crate) fn dump_command(&self) -> Command {
        self.tool("pg_dump")
            .args([
                "-w",
                "-U",
                &self.db.user,
                "--encoding=UTF8",
                "--lock-wait-timeout=60000",
            ])
            .arg(format!("--dbname={}", self.conninfo()))
            .deadline(LONG)
    }
}

/// What a dump became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dumped {
    pub(crate) bytes: u64,
    pub(crate) raw_bytes: u64,
    /// Of the file.
    pub(crate) sha256: String,
    /// Of the dump before it was compressed.
    pub(crate) raw_sha256: String,
    pub(crate) rows: BTreeMap<String, u64>,
}

/// Compresses into memory, which is emptied after every piece.
enum Encoder {
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
}

impl Encoder {
    fn new(compression: Compression) -> std::io::Result<Self> {
        Ok(match compression {
            Compression::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3)?;
                encoder.include_checksum(true)?;
                Self::Zstd(Box::new(encoder))
            }
            Compression::Gzip => Self::Gzip(flate2::write::GzEncoder::new(
                Vec::new(),
                flate2::Compression::new(6),
            )),
        })
    }

    fn push(&mut self, chunk: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Zstd(e) => {
                e.write_all(chunk)?;
                Ok(std::mem::take(e.get_mut()))
            }
            Self::Gzip(e) => {
                e.write_all(chunk)?;
                Ok(std::mem::take(e.get_mut()))
            }
        }
    }

    fn finish(self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Zstd(e) => e.finish(),
            Self::Gzip(e) => e.finish(),
        }
    }
}

/// The hashes and sizes of both sides.
struct Gauge {
    scanner: DumpScanner,
    raw: Sha256,
    packed: Sha256,
    bytes: u64,
}

impl Gauge {
    fn packed(&mut self, bytes: Vec<u8>) -> Bytes {
        self.packed.update(&bytes);
        self.bytes += bytes.len() as u64;
        bytes.into()
    }
}

/// Dumps the snapshot into `part`, synced. On any failure the file is worthless; the caller removes it.
///
/// Both processes must end with 0, the dump must carry its closing line, and every table must have as many rows in it
/// as were counted in the same snapshot.
pub(crate) async fn dump(
    pg: &Pg,
    snapshot: &str,
    counted: &DbState,
    part: &str,
    compression: Compression,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Dumped, PgError> {
    let command = pg.dump_command().arg(format!("--snapshot={snapshot}"));
    let source = pg.start(&command).await?;
    let target = pg.write(part).await?;
    let mut gauge = Gauge {
        scanner: DumpScanner::default(),
        raw: Sha256::new(),
        packed: Sha256::new(),
        bytes: 0,
    };
    move_all(source, target, &mut gauge, (part, compression), progress).await?;
    check(&gauge.scanner, counted)?;
    let size = pg.size(part).await?;
    if size != Some(gauge.bytes) {
        return Err(PgError::Check(format!(
            "`{part}` has {size:?} bytes on the disk, {} were written",
            gauge.bytes
        )));
    }
    Ok(Dumped {
        bytes: gauge.bytes,
        raw_bytes: gauge.scanner.bytes(),
        sha256: hex::encode(gauge.packed.finalize()),
        raw_sha256: hex::encode(gauge.raw.finalize()),
        rows: gauge.scanner.rows().clone(),
    })
}

/// Moves everything and ends both processes well, or says which one did not.
async fn move_all(
    mut source: Feed,
    target: Feed,
    gauge: &mut Gauge,
    (part, compression): (&str, Compression),
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), PgError> {
    let encoder = pass(&mut source, &target, gauge, compression, progress).await;
    let encoder = match encoder {
        Ok(Some(encoder)) => encoder,
        // The writer stopped reading: its own words tell why.
        Ok(None) => {
            target.end().await?;
            return Err(PgError::Check(format!(
                "`{part}` could not be written to its end"
            )));
        }
        Err(e) => {
            return Err(PgError::Check(format!(
                "the dump could not be compressed: {e}"
            )));
        }
    };
    // First the source: only a dump that ended well is worth finishing the file for.
    source.end().await?;
    let last = encoder
        .finish()
        .map_err(|e| PgError::Check(format!("the dump could not be compressed: {e}")))?;
    let last = gauge.packed(last);
    target.send(last).await;
    target.end().await
}

/// Moves everything; nothing when the target stopped reading.
async fn pass(
    source: &mut Feed,
    target: &Feed,
    gauge: &mut Gauge,
    compression: Compression,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> std::io::Result<Option<Encoder>> {
    let mut encoder = Encoder::new(compression)?;
    let mut told = 0;
    while let Some(chunk) = source.next().await {
        gauge.scanner.take(&chunk);
        gauge.raw.update(&chunk);
        let packed = encoder.push(&chunk)?;
        if !packed.is_empty() {
            let packed = gauge.packed(packed);
            if !target.send(packed).await {
                return Ok(None);
            }
        }
        if gauge.scanner.bytes() - told > 8 * 1024 * 1024 {
            told = gauge.scanner.bytes();
            progress(told);
        }
    }
    Ok(Some(encoder))
}

fn check(scanner: &DumpScanner, counted: &DbState) -> Result<(), PgError> {
    if !scanner.is_complete() {
        return Err(PgError::Check(
            "the dump lacks its closing line: it is not whole".into(),
        ));
    }
    let odd: Vec<String> = counted
        .tables
        .iter()
        // Large objects are in a dump, and not as rows; the restore that proves it compares them.
        .filter(|(key, _)| *key != LARGE_OBJECTS)
        .filter_map(|(key, table)| {
            let dumped = scanner.rows().get(key);
            (dumped != Some(&table.rows)).then(|| match dumped {
                Some(n) => format!(
                    "{key}: {n} rows in the dump, {} in the database",
                    table.rows
                ),
                None => format!(
                    "{key}: not in the dump, {} rows in the database",
                    table.rows
                ),
            })
        })
        .collect();
    if odd.is_empty() {
        Ok(())
    } else {
        Err(PgError::Check(format!(
            "the dump does not hold what the database held in the same snapshot: {}",
            some_of(&odd, 10)
        )))
    }
}
