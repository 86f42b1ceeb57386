//! Read-only mode looked at and ended from outside a run: for `flow doctor` and `flow thaw`.

use std::sync::Arc;

use super::scratch;
use crate::means::host::Host;
use crate::means::psql::text::ident;
use crate::means::psql::{Database, Pg, PgError};
use crate::means::read_only;
use crate::means::read_only::watchdog;
use crate::means::read_only::watchdog::Guardian;

/// Whether a database lets writers in, and whose freeze it is when it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mode {
    /// Its own setting makes new sessions read-only.
    pub read_only: bool,
    /// Nobody can connect to it.
    pub closed: bool,
    /// The run that froze it and has not opened it again, as its host knows it.
    pub guardian: Option<Guardian>,
}

/// Read-only mode could not be looked at or ended.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ModeError(#[from] PgError);

impl Mode {
    /// Whether anything keeps writers out.
    pub fn is_shut(&self) -> bool {
        self.read_only || self.closed
    }

    /// In words, as the rest of a sentence about the database.
    pub fn in_words(&self) -> String {
        let what = match (self.closed, self.read_only) {
            (true, _) => "closed: nobody can connect",
            (false, true) => "READ-ONLY",
            (false, false) => return "lets writers in".into(),
        };
        match &self.guardian {
            None => format!("{what}; no run's timer guards it"),
            Some(g) if g.alive => format!("{what}; frozen by run {}, whose timer watches", g.run),
            Some(g) => format!(
                "{what}; frozen by run {}, whose timer is gone (was the host restarted?)",
                g.run
            ),
        }
    }
}

/// Looks. `lease` is the folder of the environment's lease on that host. Changes nothing.
///
/// # Errors
/// [`ModeError`] when the host or the server does not answer.
pub async fn look(host: Arc<dyn Host>, db: &Database, lease: &str) -> Result<Mode, ModeError> {
    let pg = Pg::new(host, db.clone())?;
    let live = scratch::find(&pg, &pg.db.name).await?;
    Ok(Mode {
        read_only: read_only::is_on(&pg).await?,
        closed: live.is_some_and(|live| !live.connectable),
        guardian: watchdog::whose(&*pg.host, lease).await?,
    })
}

/// Opens a database for writers, proves it by a write, ends the timer of the run that froze it and keeps why. Run twice,
/// the second finds it open. Gives the sessions that may stay read-only because they are not ours to end.
///
/// # Errors
/// [`ModeError`]; opening it again is safe.
pub async fn open(
    host: Arc<dyn Host>,
    db: &Database,
    lease: &str,
    (by, reason): (&str, &str),
) -> Result<Vec<String>, ModeError> {
    let pg = Pg::new(host, db.clone())?;
    let guardian = watchdog::whose(&*pg.host, lease).await?;
    pg.maintenance()
        .query(&format!(
            "ALTER DATABASE {} ALLOW_CONNECTIONS true;",
            ident(&pg.db.name)
        ))
        .await?;
    let open = read_only::thaw(&pg).await?;
    if let Some(guardian) = guardian {
        watchdog::disarm(&*pg.host, lease, &guardian.run).await?;
    }
    let reason: String = reason
        .chars()
        .filter(|c| !c.is_control())
        .take(500)
        .collect();
    watchdog::note(&*pg.host, lease, format!("opened by {by}: {reason}")).await?;
    Ok(open.unbound)
}
