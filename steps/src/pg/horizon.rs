//! Rows written after the release's own script had ended, in a database that is read-only: somebody overrides that.
//!
//! `default_transaction_read_only` yields to `BEGIN READ WRITE`. What such a client writes while the script runs cannot be
//! told from the script's own rows; what it writes afterwards can, by the number of the transaction.

use flow_engine::step::{Cx, StepError};
use serde::{Deserialize, Serialize};

use super::catalog;
use crate::means::psql::text::{literal, rows};
use crate::means::psql::{Pg, PgError};

/// The first transaction that began after the script had ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Horizon {
    pub(super) xid: u32,
}

impl Horizon {
    /// What is true of a row of a transaction from here on.
    pub(super) fn condition(&self) -> String {
        format!("age(xmin) <= age({}::xid)", literal(&self.xid.to_string()))
    }
}

/// Notes it, the first time the step that comes right after the script runs.
pub(super) async fn note(cx: &Cx, pg: &Pg) -> Result<(), StepError> {
    if cx.noted::<Horizon>()?.is_some() {
        return Ok(());
    }
    let horizon = now(pg).await?;
    cx.note(&horizon).await
}

pub(super) async fn now(pg: &Pg) -> Result<Horizon, PgError> {
    let sql = "SELECT (pg_snapshot_xmax(pg_current_snapshot())::text::numeric % 4294967296)::text;";
    let found: Vec<u32> = pg.rows(sql).await?;
    let xid = found.into_iter().next();
    let xid = xid.ok_or_else(|| pg.answer_error("no transaction number"))?;
    Ok(Horizon { xid })
}

/// Tables with rows of transactions from the horizon on, and how many.
pub(super) async fn written(pg: &Pg, horizon: &Horizon) -> Result<Vec<String>, PgError> {
    let mut session = pg.session().await?;
    let mut found = Vec::new();
    for spec in catalog::tables(&mut session).await? {
        let sql = format!(
            "SELECT count(*)::text FROM ONLY {} WHERE {};",
            spec.qualified(),
            horizon.condition()
        );
        let count: Vec<u64> = session.rows(&sql).await?;
        match count.first() {
            Some(0) => {}
            Some(n) => found.push(format!("{}: {}", spec.key(), rows(*n))),
            None => return Err(pg.answer_error("no count")),
        }
    }
    session.close().await?;
    Ok(found)
}
