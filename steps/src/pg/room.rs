//! Room for what a release and its rollback write, as one question.

use flow_engine::step::{Cx, StepError};
use serde::{Deserialize, Serialize};

use super::{backup, space};
use crate::means::host::Hosts;
use crate::means::psql::{Database, Pg, PgError};

/// Where a release writes. A release needs room for two dumps (after the freeze, and of a failed state) and for one copy
/// of the database beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The database whose size and whose server's disk count.
    pub db: Database,
    /// The folder of dumps on its host.
    pub dir: String,
    /// What the earlier backups' names begin with: the newest is the measure.
    pub prefix: String,
}

/// Whether there is room, in words. Reads only.
///
/// # Errors
/// [`StepError`] when there is none, or it cannot be found out.
pub async fn room(hosts: &Hosts, asked: &Room) -> Result<String, StepError> {
    let host = hosts.get(&asked.db.host).map_err(PgError::from)?;
    Ok(look(&Pg::new(host, asked.db.clone())?, asked).await?)
}

async fn look(pg: &Pg, asked: &Room) -> Result<String, PgError> {
    let last = backup::last(pg, &asked.dir, &asked.prefix, "").await;
    space::before_release(pg, &asked.dir, last).await
}

impl Room {
    /// As a check among others: the inner error is a no.
    pub(crate) async fn judge(&self, cx: &Cx) -> Result<Result<String, String>, StepError> {
        let pg = self.db.open(cx)?;
        match look(&pg, self).await {
            Ok(words) => Ok(Ok(words)),
            Err(e @ PgError::Check(_)) => Ok(Err(e.to_string())),
            Err(e) => Err(e.into()),
        }
    }
}
