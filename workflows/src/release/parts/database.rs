//! The database: what it holds, its backups, and their way back.

use flow_engine::planner::Out;
use flow_steps::drift::{DeployedDrift, DriftReport, SchemaDrift, Statements};
use flow_steps::lease::Lease;
use flow_steps::pg::{
    Backup, Baseline, BeforeStop, Compression, CopySafe, CountsMatch, DataPolicy, Database,
    DbState, Expectation, ExpectedShape, Freeze, Integrity, MigrationsApplied, Pending,
    RecordState, Restorable, RestoreProof, RestoreRehearsal, Rights, Room, TakeBack, TakeBackup,
    Thaw, Watchdog,
};

use flow_steps::schema::{Checked, UniqueSafe};

use super::{DEPLOY, PROD, Release};

/// What the files of backups before a deploy begin with.
const BACKUP: &str = "pre-deploy";

/// The longest one question about production's rows may take: a table of a few hundred million rows is read once in that time.
const QUESTION_SECONDS: u64 = 300;

impl Release<'_> {
    pub(super) fn database(&self, name: &str) -> Database {
        self.env(name).database.at(name)
    }

    /// The databases that are backed up, copied and restored.
    pub(in crate::release) fn rights(&self) -> Rights {
        Rights {
            dbs: vec![self.database("prod"), self.database("stage")],
        }
    }

    pub(in crate::release) fn data_policy(&self) -> DataPolicy {
        DataPolicy {
            from: self.database("prod"),
            policy: self.policy.clone(),
            pending: Some(Pending {
                repo: self.repository.clone(),
                commit: self.commit.clone(),
                migrations: self.config.app.migrations.clone(),
                schema: self.env(PROD).database.schema.clone(),
            }),
        }
    }

    /// What is written before and during the deploy, and by its rollback.
    pub(in crate::release) fn room(&self) -> Room {
        Room {
            db: self.database("prod"),
            dir: self.env("prod").backup_dir.clone(),
            prefix: BACKUP.into(),
        }
    }

    pub(in crate::release) fn state(&self, env: &str) -> RecordState {
        RecordState {
            db: self.database(env),
            tables: self.config.app.tables.clone(),
            except: Vec::new(),
            only_if_started: None,
            baseline: None,
        }
    }

    /// What is compared after a deploy on test and staging.
    pub(in crate::release) fn state_to_compare(&self, env: &str) -> RecordState {
        RecordState {
            except: self.config.app.may_change.clone(),
            ..self.state(env)
        }
    }

    pub(in crate::release) fn unique_safe(&self, checked: &Out<Checked>) -> UniqueSafe {
        UniqueSafe {
            db: self.database("prod"),
            schema: self.env("prod").database.schema.clone(),
            safety: checked.into(),
            seconds: QUESTION_SECONDS,
        }
    }

    fn statements(&self, env: &str) -> Statements {
        Statements {
            repo: self.repository.clone(),
            commit: self.commit.clone(),
            migrations: self.config.app.migrations.clone(),
            schema: self.config.app.schema.clone().unwrap_or_default(),
            own: self.env(env).database.schema.clone(),
        }
    }

    pub(in crate::release) fn drift(&self) -> SchemaDrift {
        SchemaDrift {
            of: self.statements("prod"),
            db: self.database("prod"),
            waiver_role: self.config.signoff.waived_by.clone(),
        }
    }

    pub(in crate::release) fn drift_after(
        &self,
        env: &str,
        before: &Out<DriftReport>,
    ) -> DeployedDrift {
        DeployedDrift {
            of: self.statements(env),
            db: self.database(env),
            waiver_role: self.config.signoff.waived_by.clone(),
            before: before.into(),
        }
    }

    pub(in crate::release) fn state_to_restore(&self) -> RecordState {
        RecordState {
            only_if_started: Some(DEPLOY.into()),
            baseline: Some("prod/baseline".into()),
            ..self.state("prod")
        }
    }

    /// What the pending migrations do to the shape of an environment's database, tried out in a copy. Production's copy is
    /// made on staging's server.
    pub(in crate::release) fn expected_shape(&self, env: &str) -> ExpectedShape {
        let at = if env == "prod" { "stage" } else { env };
        ExpectedShape {
            of: self.database(env),
            at: self.database(at),
            repo: self.repository.clone(),
            commit: self.commit.clone(),
            migrations: self.config.app.migrations.clone(),
            schema: self.env(env).database.schema.clone(),
        }
    }

    pub(in crate::release) fn counts_match(
        &self,
        env: &str,
        before: &Out<DbState>,
        expected: &Out<Expectation>,
    ) -> CountsMatch {
        CountsMatch {
            expected: Some(expected.into()),
            shape_allowed: self.config.app.shape_may_change.clone(),
            before: before.into(),
            db: self.database(env),
            allow_growth: true,
            values: true,
            allowed: self.config.app.may_change.clone(),
        }
    }

    pub(in crate::release) fn migrations_applied(&self, env: &str) -> MigrationsApplied {
        MigrationsApplied {
            db: self.database(env),
            expected: self.migrations.clone(),
            schema: self.env(env).database.schema.clone(),
        }
    }

    pub(in crate::release) fn copy_production(&self) -> CopySafe {
        CopySafe {
            from: self.database("prod"),
            to: self.database("stage"),
            dir: self.env("stage").backup_dir.clone(),
            policy: self.policy.clone(),
            waiver_role: self.config.signoff.waived_by.clone(),
        }
    }

    pub(in crate::release) fn take_back(&self) -> TakeBack {
        TakeBack {
            from: self.database("prod"),
            to: self.database("test"),
            dir: self.env("test").backup_dir.clone(),
            migrations: self.migrations.clone(),
        }
    }

    pub(in crate::release) fn backup(&self) -> TakeBackup {
        TakeBackup {
            db: self.database("prod"),
            dir: self.env("prod").backup_dir.clone(),
            prefix: BACKUP.into(),
            critical: self.config.app.tables.clone(),
            compression: Compression::Zstd,
            min_free_bytes: self.free_bytes(),
        }
    }

    pub(in crate::release) fn restore_proof(&self, backup: &Out<Backup>) -> RestoreProof {
        RestoreProof {
            db: self.database("prod"),
            backup: backup.into(),
        }
    }

    pub(in crate::release) fn rehearsal(&self) -> RestoreRehearsal {
        RestoreRehearsal {
            db: self.database("stage"),
            dir: self.env("stage").backup_dir.clone(),
            apart_from: Some(self.database("prod")),
        }
    }

    fn watchdog(&self, name: &str, lease: &Out<Lease>) -> Watchdog {
        let env = self.env(name);
        Watchdog {
            lease: lease.into(),
            jobs: env.flow_dir.clone(),
            seconds: self.config.window.unattended_seconds,
            job_seconds: env.deploy_minutes.saturating_mul(60),
        }
    }

    pub(in crate::release) fn freeze(&self, env: &str, lease: &Out<Lease>) -> Freeze {
        Freeze {
            db: self.database(env),
            ended_by: (env != PROD).then(|| format!("{env}/writable")),
            watchdog: Some(self.watchdog(env, lease)),
        }
    }

    pub(in crate::release) fn thaw(
        &self,
        env: &str,
        baseline: Option<&Out<Backup>>,
        lease: &Out<Lease>,
    ) -> Thaw {
        Thaw {
            db: self.database(env),
            look: baseline.map(|baseline| Restorable {
                backup: baseline.into(),
            }),
            watchdog: Some(self.watchdog(env, lease)),
        }
    }

    pub(in crate::release) fn baseline(
        &self,
        backup: &Out<Backup>,
        lease: &Out<Lease>,
    ) -> Baseline {
        Baseline {
            db: self.database("prod"),
            dir: self.env("prod").backup_dir.clone(),
            earlier: backup.into(),
            restore_if_started: DEPLOY.into(),
            ask_if_started: Some("prod/writable".into()),
            lease: Some(lease.into()),
            watchdog: Some(self.watchdog(PROD, lease)),
        }
    }

    /// What is looked at before services are stopped for a restore.
    pub(super) fn look_before_stop(&self) -> BeforeStop {
        BeforeStop {
            db: self.database(PROD),
            baseline: "prod/baseline".into(),
            opened_by: "prod/writable".into(),
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
            db: self.database("prod"),
            before: baseline.into(),
            allowed,
        }
    }
}
