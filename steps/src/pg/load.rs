//! From a file into a fresh database, through this program.

use std::io::Write as _;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::loadable;
use super::manifest::{Backup, Compression};
use super::scan::DumpScanner;
use crate::means::psql::{Pg, PgError};

enum Decoder {
    Zstd(Box<zstd::stream::write::Decoder<'static, Vec<u8>>>),
    Gzip(Box<flate2::write::GzDecoder<Vec<u8>>>),
}

impl Decoder {
    fn new(compression: Compression) -> std::io::Result<Self> {
        Ok(match compression {
            Compression::Zstd => {
                Self::Zstd(Box::new(zstd::stream::write::Decoder::new(Vec::new())?))
            }
            Compression::Gzip => Self::Gzip(Box::new(flate2::write::GzDecoder::new(Vec::new()))),
        })
    }

    fn push(&mut self, chunk: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Zstd(d) => {
                d.write_all(chunk)?;
                d.flush()?;
                Ok(std::mem::take(d.get_mut()))
            }
            Self::Gzip(d) => {
                d.write_all(chunk)?;
                Ok(std::mem::take(d.get_mut()))
            }
        }
    }

    /// The last bytes of a gzip file; its own checksum is tested here.
    fn finish(self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Zstd(mut d) => Ok(std::mem::take(d.get_mut())),
            Self::Gzip(d) => d.finish(),
        }
    }
}

/// Reads the file again and compares its SHA-256 with what was noted when it was written.
pub(crate) async fn check_file(pg: &Pg, backup: &Backup) -> Result<(), PgError> {
    let Some(size) = pg.size(&backup.path).await? else {
        return Err(PgError::Damaged(format!(
            "the backup `{}` is not there any more",
            backup.path
        )));
    };
    if size != backup.bytes {
        return Err(PgError::Damaged(format!(
            "the backup `{}` has {size} bytes, {} were written: it was cut or changed",
            backup.path, backup.bytes
        )));
    }
    let now = pg.sha256(&backup.path).await?;
    if now != backup.sha256 {
        return Err(PgError::Damaged(format!(
            "the backup `{}` has the SHA-256 {now}, {} was written: it is damaged",
            backup.path, backup.sha256
        )));
    }
    Ok(())
}

/// Lines that are sent ahead of the dump.
const LINES_BEFORE: u64 = 2;

/// Restores a backup into `target`, which must be fresh, and stops at the first error. On any failure the target is
/// worthless; the caller drops it.
///
/// The end of the stream ends a `COPY` that was cut as if it were whole, so `psql`'s status alone proves nothing: the
/// file's digest and the dump's closing line are tested as well.
pub(crate) async fn load(
    target: &Pg,
    backup: &Backup,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), PgError> {
    let damaged = |e: std::io::Error| {
        PgError::Damaged(format!(
            "the backup `{}` cannot be unpacked: {e}",
            backup.path
        ))
    };
    let mut source = target.read(&backup.path).await?;
    let sink = target.feed_dump().await?;
    // The target is thrown away unless it is proven whole, and the rename that makes it count is synced.
    sink.send("SET synchronous_commit = off; SET lock_timeout = 0;\n".into())
        .await;
    let mut decoder = Decoder::new(backup.compression).map_err(damaged)?;
    let mut scanner = DumpScanner::default();
    let mut digest = Sha256::new();
    let mut told = 0;
    while let Some(chunk) = source.next().await {
        digest.update(&chunk);
        let plain = decoder.push(&chunk).map_err(damaged)?;
        scanner.take(&plain);
        if !plain.is_empty() && !sink.send(Bytes::from(plain)).await {
            let ended = sink.end().await;
            return Err(explain(ended, &scanner, LINES_BEFORE).unwrap_or_else(|| {
                target.sql_error("psql stopped reading before the end of the backup")
            }));
        }
        if scanner.bytes() - told > 8 * 1024 * 1024 {
            told = scanner.bytes();
            progress(told);
        }
    }
    source.end().await?;
    let last = decoder.finish().map_err(damaged)?;
    scanner.take(&last);
    sink.send(last.into()).await;
    if hex::encode(digest.finalize()) != backup.sha256 || !scanner.is_complete() {
        return Err(PgError::Damaged(format!(
            "the backup `{}` changed while it was read, or is not whole",
            backup.path
        )));
    }
    if let Some(e) = explain(sink.end().await, &scanner, LINES_BEFORE) {
        return Err(e);
    }
    target.query_long("ANALYZE;").await?;
    Ok(())
}

/// Why a dump could not be loaded, with the object it stopped at and what may be done. `before` is the number of lines
/// that were sent ahead of the dump.
pub(crate) fn explain(
    ended: Result<(), PgError>,
    scanner: &DumpScanner,
    before: u64,
) -> Option<PgError> {
    let (host, database, message) = match ended {
        Ok(()) => return None,
        Err(PgError::Sql {
            host,
            database,
            message,
        }) => (host, database, message),
        Err(e) => return Some(e),
    };
    let (line, message) = numbered(&message);
    let object = line.and_then(|line| scanner.object_at(line.saturating_sub(before)));
    let Some(object) = object else {
        return Some(PgError::Sql {
            host,
            database,
            message: message.to_owned(),
        });
    };
    Some(PgError::Sql {
        host,
        database,
        message: format!(
            "the dump cannot be loaded, it stops at {object}: {message}. {}",
            cure(message)
        ),
    })
}

/// The line an error is in, and its words without that: `psql:<stdin>:17: ERROR: …`.
fn numbered(message: &str) -> (Option<u64>, &str) {
    let parts = message.split_once(":<stdin>:");
    let parts = parts.and_then(|(_, rest)| rest.split_once(": "));
    match parts.map(|(line, words)| (line.parse(), words)) {
        Some((Ok(line), words)) => (Some(line), words),
        _ => (None, message),
    }
}

fn cure(message: &str) -> String {
    if message.contains("does not exist") {
        format!(
            "A dump is loaded with an empty search_path: {}",
            loadable::cure(&[])
        )
    } else {
        "`flow doctor` names the rights that are missing; another backup cannot help".to_owned()
    }
}
