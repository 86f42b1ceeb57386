//! The database: what it holds, its backups, and their way back.

use flow_engine::planner::{Key, Out};
use flow_steps::drift::{DeployedDrift, DriftReport, SchemaDrift, Statements};
use flow_steps::means::lease::Lease;
use flow_steps::means::psql::Database;
use flow_steps::means::read_only::freeze::Freeze;
use flow_steps::means::read_only::watchdog::Watchdog;
use flow_steps::means::reports::migrations::Checked;
use flow_steps::pg::{
    Backup, Baseline, BeforeStop, Compression, CopySafe, CountsMatch, DataPolicy, DbState,
    Expectation, ExpectedShape, Integrity, MigrationsApplied, Pending, RecordState, Restorable,
    RestoreProof, RestoreRehearsal, Rights, Room, TakeBack, TakeBackup, Thaw,
};
use flow_steps::schema::UniqueSafe;

use super::Release;
use crate::config::{Data, Place};
use crate::release::Ahead;

/// What the files of backups before a deploy begin with.
const BACKUP: &str = "pre-deploy";

/// The longest one question about production's rows may take: a table of a few hundred million rows is read once in that time.
const QUESTION_SECONDS: u64 = 300;

/// The database of an environment, reached on its host.
pub(super) fn database(place: &Place) -> Database {
    place.env.database.at(place.database_host().name)
}

/// Where backups of it go, on that host.
fn backups(place: &Place) -> String {
    place.database_host().env.backup_dir.clone()
}

impl Release<'_> {
    /// The databases that are backed up, copied and restored.
    pub(in crate::release) fn rights(&self) -> Rights {
        let copies = self.before_production().iter();
        let copies =
            copies.filter(|place| place.data == Data::Copy || place.name == self.proving().name);
        let dbs = [self.production()].into_iter().chain(copies);
        Rights {
            dbs: dbs.map(database).collect(),
        }
    }

    pub(in crate::release) fn data_policy(&self) -> DataPolicy {
        DataPolicy {
            from: database(self.production()),
            policy: self.policy.clone(),
            pending: Some(Pending {
                repo: self.repository.clone(),
                commit: self.commit.clone(),
                migrations: self.config.app.migrations.clone(),
                schema: self.production().env.database.schema.clone(),
            }),
        }
    }

    /// What is written before and during the deploy, and by its rollback.
    pub(in crate::release) fn room(&self) -> Room {
        Room {
            db: database(self.production()),
            dir: backups(self.production()),
            prefix: BACKUP.into(),
        }
    }

    pub(in crate::release) fn state(&self, at: &Place) -> RecordState {
        RecordState {
            db: database(at),
            tables: self.config.app.tables.clone(),
            except: Vec::new(),
            only_if_started: None,
            baseline: None,
        }
    }

    /// What is compared after a deploy on test and staging.
    pub(in crate::release) fn state_to_compare(&self, at: &Place) -> RecordState {
        RecordState {
            except: self.config.app.may_change.clone(),
            ..self.state(at)
        }
    }

    pub(in crate::release) fn unique_safe(&self, checked: &Out<Checked>) -> UniqueSafe {
        UniqueSafe {
            db: database(self.production()),
            schema: self.production().env.database.schema.clone(),
            safety: checked.into(),
            seconds: QUESTION_SECONDS,
        }
    }

    fn statements(&self, at: &Place) -> Statements {
        Statements {
            repo: self.repository.clone(),
            commit: self.commit.clone(),
            migrations: self.config.app.migrations.clone(),
            schema: self.config.app.schema.clone().unwrap_or_default(),
            own: at.env.database.schema.clone(),
        }
    }

    pub(in crate::release) fn drift(&self) -> SchemaDrift {
        SchemaDrift {
            of: self.statements(self.production()),
            db: database(self.production()),
            waiver_role: self.config.signoff.waived_by.clone(),
        }
    }

    pub(in crate::release) fn drift_after(
        &self,
        at: &Place,
        before: &Out<DriftReport>,
    ) -> DeployedDrift {
        DeployedDrift {
            of: self.statements(at),
            db: database(at),
            waiver_role: self.config.signoff.waived_by.clone(),
            before: before.into(),
        }
    }

    pub(in crate::release) fn state_to_restore(&self, ahead: &Ahead) -> RecordState {
        RecordState {
            only_if_started: Some((&ahead.deploy).into()),
            baseline: Some((&ahead.baseline).into()),
            ..self.state(self.production())
        }
    }

    /// What the pending migrations do to the shape of an environment's database, tried out in a copy. Production's copy is
    /// made on staging's server.
    pub(in crate::release) fn expected_shape(&self, at: &Place) -> ExpectedShape {
        let tried = if at.is_production { self.proving() } else { at };
        ExpectedShape {
            of: database(at),
            at: database(tried),
            repo: self.repository.clone(),
            commit: self.commit.clone(),
            migrations: self.config.app.migrations.clone(),
            schema: at.env.database.schema.clone(),
        }
    }

    pub(in crate::release) fn counts_match(
        &self,
        at: &Place,
        before: &Out<DbState>,
        expected: &Out<Expectation>,
    ) -> CountsMatch {
        CountsMatch {
            expected: Some(expected.into()),
            shape_allowed: self.config.app.shape_may_change.clone(),
            before: before.into(),
            db: database(at),
            allow_growth: true,
            values: true,
            allowed: self.config.app.may_change.clone(),
        }
    }

    pub(in crate::release) fn migrations_applied(&self, at: &Place) -> MigrationsApplied {
        MigrationsApplied {
            db: database(at),
            expected: self.migrations.clone(),
            schema: at.env.database.schema.clone(),
        }
    }

    pub(in crate::release) fn copy_production(&self, at: &Place) -> CopySafe {
        CopySafe {
            from: database(self.production()),
            to: database(at),
            dir: backups(at),
            policy: self.policy.clone(),
            waiver_role: self.config.signoff.waived_by.clone(),
        }
    }

    pub(in crate::release) fn take_back(&self, at: &Place) -> TakeBack {
        TakeBack {
            from: database(self.production()),
            to: database(at),
            dir: backups(at),
            migrations: self.migrations.clone(),
        }
    }

    pub(in crate::release) fn backup(&self) -> TakeBackup {
        TakeBackup {
            db: database(self.production()),
            dir: backups(self.production()),
            prefix: BACKUP.into(),
            critical: self.config.app.tables.clone(),
            compression: Compression::Zstd,
            min_free_bytes: self.free_bytes(),
        }
    }

    pub(in crate::release) fn restore_proof(&self, backup: &Out<Backup>) -> RestoreProof {
        RestoreProof {
            db: database(self.production()),
            backup: backup.into(),
        }
    }

    pub(in crate::release) fn rehearsal(&self) -> RestoreRehearsal {
        RestoreRehearsal {
            db: database(self.proving()),
            dir: backups(self.proving()),
            apart_from: Some(database(self.production())),
        }
    }

    fn watchdog(&self, at: &Place, lease: &Out<Lease>) -> Watchdog {
        let (jobs, unattended) = (&at.database_host().env.flow_dir, &self.config.window);
        let job_seconds = at.env.deploy_minutes.saturating_mul(60);
        // A timer on another host than a script's does not see it run: it waits as long as a script may take.
        let unseen = if at.env.apart.is_some() || !at.hosts().is_empty() {
            job_seconds
        } else {
            0
        };
        Watchdog {
            lease: lease.into(),
            jobs: jobs.clone(),
            seconds: unattended.unattended_seconds.saturating_add(unseen),
            job_seconds,
        }
    }

    /// `ended_by` is the step that lets writers in again, where the environment may be another run's after it.
    pub(in crate::release) fn freeze(
        &self,
        at: &Place,
        lease: &Out<Lease>,
        ended_by: Option<&Key>,
    ) -> Freeze {
        Freeze {
            db: database(at),
            ended_by: ended_by.map(String::from),
            watchdog: Some(self.watchdog(at, lease)),
        }
    }

    pub(in crate::release) fn thaw(
        &self,
        at: &Place,
        baseline: Option<&Out<Backup>>,
        lease: &Out<Lease>,
    ) -> Thaw {
        Thaw {
            db: database(at),
            look: baseline.map(|baseline| Restorable {
                backup: baseline.into(),
            }),
            watchdog: Some(self.watchdog(at, lease)),
        }
    }

    pub(in crate::release) fn baseline(
        &self,
        backup: &Out<Backup>,
        lease: &Out<Lease>,
        ahead: &Ahead,
    ) -> Baseline {
        Baseline {
            db: database(self.production()),
            dir: backups(self.production()),
            earlier: backup.into(),
            restore_if_started: (&ahead.deploy).into(),
            ask_if_started: Some((&ahead.writable).into()),
            lease: Some(lease.into()),
            watchdog: Some(self.watchdog(self.production(), lease)),
        }
    }

    /// What is looked at before services are stopped for a restore.
    pub(super) fn look_before_stop(&self, ahead: &Ahead) -> BeforeStop {
        BeforeStop {
            db: database(self.production()),
            baseline: (&ahead.baseline).into(),
            opened_by: (&ahead.writable).into(),
        }
    }

    pub(in crate::release) fn integrity(
        &self,
        baseline: &Out<Backup>,
        expected: &Out<Expectation>,
    ) -> Integrity {
        let allowed = self.config.app.may_change.clone();
        Integrity {
            expected: Some(expected.into()),
            shape_allowed: self.config.app.shape_may_change.clone(),
            db: database(self.production()),
            before: baseline.into(),
            allowed,
        }
    }
}
