//! The point a rollback goes back to, taken after writing has stopped.

use async_trait::async_trait;
use flow_engine::planner::Arg;
use flow_engine::retry::Policy;
use flow_engine::run::{Status, Undo};
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::backup::{self, HOURS, Order as Dump, bytes_shown};
use super::capture::{self, Look};
use super::manifest::Backup;
use super::{proof, restore};
use crate::means::freezes::before;
use crate::means::lease::Lease;
use crate::means::lease::store::lock_state;
use crate::means::notes::{RestoreNotes, has_begun};
use crate::means::psql::text::some_of;
use crate::means::psql::{Database, Pg, PgError};
use crate::means::read_only::freeze::Freeze;
use crate::means::read_only::watchdog::{Guarded, Watchdog};
use crate::means::{kinds, reach, read_only};

mod asking;

/// How many backups are tried until one holds what is there right after it.
const TRIES: u32 = 3;

/// Makes sure that a proven backup holds exactly what the database holds now, after the freeze: the earlier one when
/// nothing changed since, else a new one, proven as well. Its undo is the protocol's restore.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Baseline {
    /// The database that is frozen by now, and that the undo replaces.
    pub db: Database,
    /// Where a new backup and the dump of a failed state go.
    pub dir: String,
    /// The backup taken and proven before the freeze.
    pub earlier: Arg<Backup>,
    /// The key of the step that changes production. The undo restores only when that has started.
    pub restore_if_started: String,
    /// The key of the step that lets writers in again. After that the database may hold what customers wrote since, and
    /// a rollback that no person ordered asks before it sets that aside.
    #[serde(default)]
    pub ask_if_started: Option<String>,
    /// The lease of the environment, when there is one: the undo restores nothing while another run holds it.
    #[serde(default)]
    pub lease: Option<Arg<Lease>>,
    /// What ends read-only mode when nobody drives the run.
    #[serde(default)]
    pub watchdog: Option<Watchdog>,
}

impl Baseline {
    /// A freeze ended by somebody else let writers in between, and no backup holds what they go on writing. That is no
    /// evidence against the release, which has not begun: a person is asked, and a retry freezes the database again.
    async fn still_frozen(&self, cx: &Cx, pg: &Pg) -> Result<(), StepError> {
        if !was_thawed(cx, pg).await? {
            return Ok(());
        }
        let noted: RestoreNotes = cx.noted()?.unwrap_or_default();
        let found_open = Some(cx.attempt());
        cx.note(&RestoreNotes {
            found_open,
            ..noted
        })
        .await?;
        Err(StepError::ask(format!(
            "writers were let in: {} was frozen for the release and is not read-only any more, which this run did not do. \
             Nothing of the release is in production, which serves as before",
            self.db.words()
        ))
        .hint(format!(
            "find out who ended read-only mode; then: flow retry {} (freezes it again and takes the baseline anew)",
            cx.run_id()
        ))
        .hint(format!(
            "or end the release here: flow rollback {} --reason …",
            cx.run_id()
        )))
    }

    /// Read-only mode that was ended before there was a baseline is begun again, because nothing relied on it yet: by
    /// itself where its own timer ended it, by a person's order where somebody else did.
    async fn frozen_again(&self, cx: &Cx, pg: &Pg) -> Result<(), StepError> {
        if !was_thawed(cx, pg).await? {
            return Ok(());
        }
        let noted: RestoreNotes = cx.noted()?.unwrap_or_default();
        let ordered = noted.found_open.is_some_and(|n| n < cx.attempt());
        let opened = match &self.watchdog {
            Some(watchdog) => match watchdog.look(cx, pg).await? {
                Guarded::Opened(opening) => Some(opening.in_words()),
                _ => None,
            },
            None => None,
        };
        let why = match opened {
            Some(opening) => opening,
            None if ordered => "a retry was ordered after read-only mode was found ended".into(),
            None => return Ok(()),
        };
        cx.log(why);
        let freeze = Freeze {
            db: self.db.clone(),
            ended_by: None,
            watchdog: self.watchdog.clone(),
        };
        freeze.again(cx).await
    }

    /// The restore, guarded like the freeze: writers are held off, and whoever drives it may die.
    async fn guarded(
        &self,
        cx: &Cx,
        pg: &Pg,
        backup: &Backup,
        let_in: bool,
    ) -> Result<String, StepError> {
        let run = cx.run_id().as_str();
        if let Some(watchdog) = &self.watchdog {
            let was = match read_only::setting(pg).await? {
                Some((_, true)) => before(cx, &self.db),
                off => off.map(|(value, _)| value),
            };
            watchdog.arm(cx, pg, was.as_deref(), true).await?;
        }
        let hold = restore::hold(pg, run).await?;
        let done = self.take_back(cx, pg, backup, let_in).await;
        let opened = hold.let_go(pg, run).await;
        if let (Some(watchdog), Ok(()), Ok(false)) =
            (&self.watchdog, &opened, read_only::is_on(pg).await)
        {
            watchdog.disarm(cx, pg).await?;
        }
        match (done, opened) {
            (Ok(report), Ok(())) => Ok(report),
            (Ok(_), Err(e)) => Err(e.into()),
            (Err(e), Ok(())) => Err(e),
            (Err(e), Err(opened)) => Err(e.hint(format!(
                "{} was made read-only for the restore and could not be opened again: {opened}",
                self.db.words()
            ))),
        }
    }

    /// The earlier backup, when it is still there as it was proven: whole, unchanged, with its manifest.
    async fn whole(&self, cx: &Cx, pg: &Pg, earlier: &Backup) -> Result<bool, StepError> {
        match backup::check_whole(pg, earlier).await {
            Ok(()) => Ok(true),
            Err(PgError::Check(why) | PgError::Damaged(why)) => {
                cx.log(format!("{why}: taking and proving a new one"));
                Ok(false)
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Restoring over another run's release would destroy what it does.
    async fn still_ours(&self, cx: &Cx) -> Result<(), StepError> {
        let Some(Ok(lease)) = self.lease.as_ref().map(|l| cx.arg(l)) else {
            return Ok(());
        };
        let host = reach::unguarded(cx, &lease.host)?;
        let held = lock_state(&*host, &lease.dir).await?.held;
        match held.filter(|h| h.run != cx.run_id().as_str()) {
            None => Ok(()),
            Some(other) => Err(StepError::ask(format!(
                "the lease of `{}` is held by run {} ({}), not by this run: restoring {} would undo what it does; nothing was restored",
                lease.host,
                other.run,
                other.holder,
                self.db.words()
            ))
            .hint(format!(
                "let run {} end first, then: flow retry {}",
                other.run,
                cx.run_id()
            ))
            .hint(format!(
                "when its release is to stay: flow skip {} {} --reason …",
                cx.run_id(),
                cx.key()
            ))),
        }
    }

    /// The restore, with writers held off.
    async fn take_back(
        &self,
        cx: &Cx,
        pg: &Pg,
        backup: &Backup,
        let_in: bool,
    ) -> Result<String, StepError> {
        let unasked = self.unasked(cx, pg, backup, let_in).await?;
        if !unasked.is_empty() {
            let orders = Some(cx.run().orders.len());
            let noted: RestoreNotes = cx.noted()?.unwrap_or_default();
            cx.note(&RestoreNotes {
                orders,
                let_in,
                ..noted
            })
            .await?;
            let how = if let_in {
                "after the database accepted writes again"
            } else {
                "although the database is read-only, after the release's own script had ended: a client overrides it"
            };
            return Err(StepError::ask(format!(
                "rows were written {how} ({}); restoring would set them aside, \
                 and nobody has said so. Services are stopped, nothing was restored",
                some_of(&unasked, 8)
            ))
            .hint(format!(
                "to restore all the same (the replaced database is kept, with those rows in it): flow retry {}",
                cx.run_id()
            ))
            .hint(format!(
                "to leave the database as it is and undo the rest: flow skip {} {} --reason …",
                cx.run_id(),
                cx.key()
            )));
        }
        let progress = bytes_shown(cx);
        let plan = restore::Plan {
            backup,
            dir: &self.dir,
            prefix: "baseline",
            run: cx.run_id().as_str(),
            progress: &progress,
        };
        let done = restore::restore(pg, &plan).await;
        let noted: RestoreNotes = cx.noted()?.unwrap_or_default();
        let closed = match &done {
            Ok(_) => false,
            Err(PgError::Cut(..)) => true,
            // It did not come as far as to the door.
            Err(_) => noted.closed,
        };
        if closed != noted.closed {
            cx.note(&RestoreNotes { closed, ..noted }).await?;
        }
        done.map_err(|e| {
            StepError::from(e).hint(format!(
                "the backup is {} on `{}`; nothing is ever dropped; to go on where it stopped: flow retry {}",
                backup.path, self.db.host, cx.run_id()
            ))
        })
    }

    /// A backup of what is there now. One an earlier life finished counts only while it still holds just that.
    async fn fresh(
        &self,
        pg: &Pg,
        cx: &Cx,
        earlier: &Backup,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Backup, StepError> {
        let mut odd = Vec::new();
        for n in 1..=TRIES {
            let made_by = format!("{}/{n}", cx.idempotency_key());
            let order = Dump {
                dir: &self.dir,
                prefix: "baseline",
                compression: earlier.compression,
                min_free_bytes: earlier.bytes,
                critical: &[],
                made_by: &made_by,
                progress,
            };
            let backup = backup::take_for_copy(pg, &order).await?;
            let now = capture::capture(pg, Look::All).await?;
            if restore::exactly(&backup.state, &now) {
                return Ok(backup);
            }
            odd = backup.state.differences(&now, true);
        }
        Err(StepError::fail(format!(
            "{} is still being written to: {}",
            self.db.words(),
            some_of(&odd, 10)
        ))
        .hint("stop the writers or freeze the database before the baseline"))
    }
}

/// Whether this run froze the database, has not let writers in again, and it is not read-only any more.
pub(super) async fn was_thawed(cx: &Cx, pg: &Pg) -> Result<bool, PgError> {
    let db = serde_json::to_value(&pg.db).ok();
    let mut steps = cx.plan().nodes.iter().zip(&cx.run().steps);
    let frozen = steps.any(|(node, state)| {
        node.kind == kinds::FREEZE
            && node.params.get("db") == db.as_ref()
            && state.status == Status::Done
            && state.undo != Undo::Undone
    });
    Ok(frozen && !read_only::is_on(pg).await?)
}

#[async_trait]
impl Step for Baseline {
    const KIND: &'static str = kinds::BASELINE;
    type Output = Backup;

    fn summary(&self) -> String {
        format!(
            "make sure a proven backup holds exactly what {} holds now",
            self.db.words()
        )
    }

    fn undo_in_words(&self) -> Option<String> {
        Some(
            "dump the failed state, restore into a fresh database, verify, swap by rename; keep the failed one"
                .into(),
        )
    }

    fn policy(&self) -> Policy {
        Policy::within(HOURS)
    }

    async fn run(&self, cx: &Cx) -> Result<Backup, StepError> {
        let earlier = cx.arg(&self.earlier)?;
        let pg = self.db.begin(cx).await?;
        self.frozen_again(cx, &pg).await?;
        self.still_frozen(cx, &pg).await?;
        let now = capture::capture(&pg, Look::All).await?;
        if !restore::exactly(&earlier.state, &now) {
            cx.log("rows or schema changed since the last backup: taking and proving a new one");
        } else if self.whole(cx, &pg, &earlier).await? {
            self.still_frozen(cx, &pg).await?;
            cx.log(format!(
                "nothing changed since {}: that backup is the baseline",
                earlier.path
            ));
            return Ok(earlier);
        }
        let progress = bytes_shown(cx);
        let backup = self.fresh(&pg, cx, &earlier, &progress).await?;
        proof::prove(&pg, &backup, cx.run_id().as_str(), &progress).await?;
        self.still_frozen(cx, &pg).await?;
        cx.log(backup::in_words(&backup));
        Ok(backup)
    }

    async fn undo(&self, cx: &Cx, done: Option<Backup>) -> Result<String, StepError> {
        if !has_begun(cx.run(), &self.restore_if_started) {
            return Ok("production was not changed, nothing restored".into());
        }
        let Some(backup) = done else {
            return Err(StepError::ask(format!(
                "`{}` has started although this step never finished: there is no baseline to restore, nothing was changed",
                self.restore_if_started
            ))
            .hint("restore by hand from the backup named in the journal, or give this undo up with a reason"));
        };
        self.still_ours(cx).await?;
        let pg = self.db.begin(cx).await?;
        let let_in = self.let_in(cx, &pg).await?;
        let report = self.guarded(cx, &pg, &backup, let_in).await?;
        cx.log(&report);
        Ok(report)
    }
}
