//! From "this table differs" to the rows: which keys were lost, which rows changed, how many are new.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::catalog::{self, TableSpec};
use super::state::{Bucket, TableState};
use crate::means::psql::text::{ident, key_in_words};
use crate::means::psql::{Pg, PgError};

/// How many keys are named.
pub(crate) const NAMED: usize = 20;
/// About how many rows of one side are held in memory at once: 32 bytes each.
const AT_ONCE: u64 = 2_000_000;

/// How many rows of each kind and table can be looked up afterwards.
pub(crate) const KEPT: usize = 10_000;

/// Two numbers and their separators are never longer.
const ROW_MAX: usize = 64;

/// What became of a table's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Drilled {
    pub(crate) lost: u64,
    pub(crate) changed: u64,
    pub(crate) new: u64,
    pub(crate) lost_keys: Vec<String>,
    pub(crate) changed_keys: Vec<String>,
    /// The hashes of those rows' keys, of as many as are kept.
    pub(crate) hashes: Hashes,
}

/// Hashes of keys, for looking rows up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hashes {
    pub(crate) lost: Vec<i64>,
    pub(crate) changed: Vec<i64>,
    pub(crate) new: Vec<i64>,
}

/// The columns both sides are compared in.
pub(crate) struct Columns {
    /// What a row holds.
    pub(crate) names: Vec<String>,
    /// What tells one row from another; nothing when that is all it holds.
    pub(crate) key: Vec<String>,
    /// The columns rows of before are named by, for people.
    pub(crate) named_by: Vec<String>,
}

/// Compares one table of two databases, row by row in those parts where their sums differ, or in all of them when
/// the sums are of other columns (`all`). Without a key, a changed row is a lost one and a new one.
pub(crate) async fn drill(
    before: &Pg,
    after: &Pg,
    states: (&TableState, &TableState),
    columns: &Columns,
    all: bool,
) -> Result<Drilled, PgError> {
    let key = format!("{}.{}", states.0.schema, states.0.name);
    let (spec_a, spec_b) = (spec(before, &key).await?, spec(after, &key).await?);
    let mut found = Drilled::default();
    let (mut lost, mut changed) = (Vec::new(), Vec::new());
    for batch in batches(&states.0.buckets, &states.1.buckets, all) {
        let mut then = read(before, &spec_a, columns, &batch).await?;
        let mut stream = Rows::start(after, &spec_b, columns, &batch).await?;
        while let Some((k, r)) = stream.next().await? {
            match then.get_mut(&k) {
                None => {
                    found.new += 1;
                    if found.hashes.new.len() < KEPT {
                        found.hashes.new.push(k);
                    }
                }
                Some(rows) => {
                    // The same row first: without a key, or with equal hashes, several rows share an entry.
                    let at = rows.iter().position(|x| *x == r);
                    if at.is_none() {
                        found.changed += 1;
                        if changed.len() < KEPT {
                            changed.push(k);
                        }
                    }
                    rows.swap_remove(at.unwrap_or(0));
                    if rows.is_empty() {
                        then.remove(&k);
                    }
                }
            }
        }
        found.lost += then.values().map(|rows| rows.len() as u64).sum::<u64>();
        lost.extend(then.into_keys().take(KEPT - lost.len()));
    }
    let first = |hashes: &Vec<i64>| hashes[..hashes.len().min(NAMED)].to_vec();
    found.lost_keys = name_keys(before, &spec_a, columns, &first(&lost)).await?;
    found.changed_keys = name_keys(before, &spec_a, columns, &first(&changed)).await?;
    found.hashes.lost = lost;
    found.hashes.changed = changed;
    Ok(found)
}

/// A table as the catalogue of that database has it.
pub(crate) async fn spec(pg: &Pg, key: &str) -> Result<TableSpec, PgError> {
    let mut session = pg.session().await?;
    let specs = catalog::compared(&mut session, true).await?;
    session.close().await?;
    specs
        .into_iter()
        .find(|s| s.key() == key)
        .ok_or_else(|| PgError::Check(format!("table {key} is not in database `{}`", pg.db.name)))
}

/// The numbers of the parts to read, a few million rows at a time.
fn batches(before: &[Bucket], after: &[Bucket], all: bool) -> Vec<Vec<u16>> {
    let now: BTreeMap<u16, &Bucket> = after.iter().map(|b| (b.0, b)).collect();
    let then: BTreeMap<u16, &Bucket> = before.iter().map(|b| (b.0, b)).collect();
    let mut numbers: Vec<u16> = then.keys().chain(now.keys()).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.retain(|n| all || then.get(n) != now.get(n));
    let mut batches = vec![Vec::new()];
    let mut rows = 0;
    for n in numbers {
        rows += then.get(&n).map_or(0, |b| b.1);
        if rows > AT_ONCE && batches.last().is_some_and(|b: &Vec<u16>| !b.is_empty()) {
            batches.push(Vec::new());
            rows = 0;
        }
        if let Some(last) = batches.last_mut() {
            last.push(n);
        }
    }
    batches.retain(|b| !b.is_empty());
    batches
}

async fn read(
    pg: &Pg,
    spec: &TableSpec,
    columns: &Columns,
    batch: &[u16],
) -> Result<HashMap<i64, Vec<i64>>, PgError> {
    let mut rows: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut stream = Rows::start(pg, spec, columns, batch).await?;
    while let Some((k, r)) = stream.next().await? {
        rows.entry(k).or_default().push(r);
    }
    Ok(rows)
}

/// Key and row hashes as they arrive.
struct Rows {
    pg: Pg,
    feed: Option<crate::means::psql::client::Feed>,
    buffer: Vec<u8>,
    at: usize,
}

impl Rows {
    async fn start(
        pg: &Pg,
        spec: &TableSpec,
        columns: &Columns,
        batch: &[u16],
    ) -> Result<Self, PgError> {
        let list: Vec<String> = batch.iter().map(u16::to_string).collect();
        let sql = format!(
            "COPY (SELECT k, r FROM (SELECT {} AS k, {} AS r FROM {}) AS t WHERE (k & 1023) IN ({})) TO STDOUT;",
            spec.key_hash(&columns.key, &columns.names),
            spec.row_hash(&columns.names),
            spec.from(),
            list.join(",")
        );
        Ok(Self {
            pg: pg.clone(),
            feed: Some(pg.stream(&sql).await?),
            buffer: Vec::new(),
            at: 0,
        })
    }

    async fn next(&mut self) -> Result<Option<(i64, i64)>, PgError> {
        loop {
            let rest = &self.buffer[self.at..];
            if let Some(end) = rest.iter().position(|b| *b == b'\n') {
                let line = std::str::from_utf8(&rest[..end]).ok();
                let pair = line.and_then(|l| l.split_once('\t'));
                let pair = pair.and_then(|(k, r)| Some((k.parse().ok()?, r.parse().ok()?)));
                self.at += end + 1;
                return match pair {
                    Some(pair) => Ok(Some(pair)),
                    None => Err(self.pg.answer_error("a row that is not two numbers")),
                };
            }
            let Some(feed) = self.feed.as_mut() else {
                return Ok(None);
            };
            let chunk: Option<Bytes> = feed.next().await;
            self.buffer.drain(..self.at);
            self.at = 0;
            if self.buffer.len() > ROW_MAX {
                return Err(self.pg.answer_error("a row that is not two numbers"));
            }
            if let Some(chunk) = chunk {
                self.buffer.extend_from_slice(&chunk);
            } else if let Some(feed) = self.feed.take() {
                feed.end().await?;
                if !self.buffer.is_empty() {
                    return Err(self.pg.answer_error("a row without an end"));
                }
            }
        }
    }
}

/// Names rows by their keys. Rows without a key stay unnamed: only the whole row would tell them. So do rows that are
/// like another one in what was compared: which of them it was cannot be told.
async fn name_keys(
    pg: &Pg,
    spec: &TableSpec,
    columns: &Columns,
    hashes: &[i64],
) -> Result<Vec<String>, PgError> {
    if hashes.is_empty() || columns.named_by.is_empty() {
        return Ok(Vec::new());
    }
    let list: Vec<String> = hashes.iter().map(i64::to_string).collect();
    let parts: Vec<String> = columns
        .named_by
        .iter()
        .map(|c| format!("{}::text", ident(c)))
        .collect();
    let sql = format!(
        "SELECT min(word) FROM (SELECT json_build_array({})::text AS word, {} AS k FROM {}) AS t \
         WHERE k IN ({}) GROUP BY k HAVING count(*) = 1 LIMIT {NAMED};",
        parts.join(", "),
        spec.key_hash(&columns.key, &columns.names),
        spec.from(),
        list.join(",")
    );
    let numbered: Vec<bool> = columns.named_by.iter().map(|c| spec.is_number(c)).collect();
    let rows: Vec<Vec<String>> = pg.rows(&sql).await?;
    let mut keys: Vec<String> = rows.iter().map(|r| key_in_words(r, &numbered)).collect();
    keys.sort_by(|a, b| a.len().cmp(&b.len()).then(a.cmp(b)));
    Ok(keys)
}
