//! Sessions that outlived the life of a step that opened them.
//!
//! `docker exec` does not end what it started when its client is cut off: a dump, a load or a snapshot goes on in the
//! server beside the next attempt. So every session says which step of which run it belongs to, and a step that begins
//! anew ends those of its earlier lives, and no others.

use flow_engine::step::{Cx, StepError};
use sha2::{Digest as _, Sha256};

use crate::means::psql::marker::random;
use crate::means::psql::text::literal;
use crate::means::psql::{Database, Pg, PgError};

/// What the sessions of one life of one step call themselves (`application_name`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionName {
    /// The same in every life of the step.
    step: String,
    life: String,
    run: String,
}

impl SessionName {
    /// Of something that is no step.
    pub(crate) fn none() -> Self {
        Self {
            step: String::new(),
            life: String::new(),
            run: String::new(),
        }
    }

    pub(crate) fn of(run: &str, key: &str) -> Result<Self, PgError> {
        let step = hex::encode(Sha256::digest(key.as_bytes()));
        Ok(Self {
            step: format!("flow {}", &step[..12]),
            life: hex::encode(random()?)[..8].to_owned(),
            run: run.to_owned(),
        })
    }

    /// At most 63 bytes, where PostgreSQL cuts.
    pub(crate) fn in_words(&self) -> String {
        if self.step.is_empty() {
            return "flow".into();
        }
        let words = format!("{}.{} {}", self.step, self.life, self.run);
        words.chars().take(63).collect()
    }
}

impl Database {
    /// As [`Database::open`], for a step that may have begun before: what its earlier lives left running is ended first.
    pub(crate) async fn begin(&self, cx: &Cx) -> Result<Pg, StepError> {
        let pg = self.open(cx)?;
        let ended = end(&pg).await?;
        if ended > 0 {
            cx.log(format!(
                "{}: {ended} sessions of an earlier life of this step were still there and were ended",
                self.words()
            ));
        }
        Ok(pg)
    }
}

/// Ends the sessions of earlier lives on the whole server, and says how many there were.
pub(crate) async fn end(pg: &Pg) -> Result<usize, PgError> {
    if pg.session.step.is_empty() {
        return Ok(0);
    }
    let sql = format!(
        "WITH orphans AS MATERIALIZED (SELECT pid FROM pg_stat_activity WHERE usename = current_user \
         AND starts_with(application_name, {}) AND application_name <> {} AND pid <> pg_backend_pid()) \
         SELECT pg_terminate_backend(pid, 5000)::text FROM orphans;",
        literal(&format!("{}.", pg.session.step)),
        literal(&pg.session.in_words())
    );
    Ok(pg.maintenance().query(&sql).await?.len())
}
