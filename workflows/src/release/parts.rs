//! The steps of the release with their parameters filled in from `flow.toml`.

use flow_engine::planner::Out;
use flow_steps::code::CodeSnapshot;
use flow_steps::deploy::{Deploy, StopSpec};
use flow_steps::gate::{BackupFresh, BackupRule, Free, Preflight, Promotion, PromotionRule};
use flow_steps::health::{Body, Check, Health};
use flow_steps::identity::Identity;
use flow_steps::lease::{HostLease, Lease, ReleaseLease};
use flow_steps::mail::Notify;
use flow_steps::people::{Checklist, SignOff, items};
use flow_steps::pg::{
    Backup, Baseline, Compression, CopySafe, CountsMatch, Database, DbState, Freeze, Integrity,
    MigrationsApplied, Policy, RecordState, RestoreProof, RestoreRehearsal, TakeBackup, Thaw,
};
use flow_steps::pm2::{Online, ProcessList, Processes, Restarted};
use flow_steps::schema::MigrationSafety;
use flow_steps::watch::Watch;

use crate::config::{Config, Environment};

/// The deploying step: what has not passed it has not changed production.
const DEPLOY: &str = "prod/deploy";
/// Tells the migration to write although the database is read-only while it is frozen.
const MIGRATE_OPTIONS: &str = "FLOW_MIGRATE_PGOPTIONS";
/// What PostgreSQL says to a write while the database is frozen (SQLSTATE 25006).
const READ_ONLY: &str = "in a read-only transaction";
/// How long a healthy answer must last.
const STABLE_SECONDS: u64 = 2;

/// Everything a release needs to know before its first step.
pub struct Release<'a> {
    /// The team's configuration.
    pub config: &'a Config,
    /// The local checkout.
    pub repository: String,
    /// What is released: 40 hexadecimal digits.
    pub commit: String,
    /// The migrations of that commit, by name.
    pub migrations: Vec<String>,
    /// Which columns may leave production.
    pub policy: Policy,
}

impl Release<'_> {
    fn env(&self, name: &str) -> &Environment {
        match name {
            "test" => &self.config.env.test,
            "stage" => &self.config.env.stage,
            _ => &self.config.env.prod,
        }
    }

    fn database(&self, name: &str) -> Database {
        let database = &self.env(name).database;
        Database {
            host: name.into(),
            exec: database.exec.clone(),
            user: database.user.clone(),
            name: database.name.clone(),
            maintenance: database.maintenance.clone(),
            bin: None,
        }
    }

    pub(super) fn roles(&self) -> &[String] {
        &self.config.signoff.roles
    }

    pub(super) fn smoke_minutes(&self) -> u64 {
        self.config.signoff.smoke_minutes
    }

    pub(super) fn machines(&self) -> Identity {
        let hosts = self
            .config
            .environments()
            .map(|(name, env)| (name.to_owned(), env.machine_id.clone()));
        Identity {
            hosts: hosts.into(),
            distinct: self.config.gates.distinct_machines,
        }
    }

    pub(super) fn migration_safety(&self) -> MigrationSafety {
        let database = &self.env("prod").database;
        let mut psql = database.exec.clone();
        psql.extend(["psql", "-U", &database.user, "-d", &database.name].map(String::from));
        MigrationSafety {
            repo: self.repository.clone(),
            commit: self.commit.clone(),
            migrations: self.config.app.migrations.clone(),
            host: "prod".into(),
            psql,
            schema: "public".into(),
            script: self.config.app.migration_check.clone(),
            waiver_role: self.config.signoff.waived_by.clone(),
        }
    }

    pub(super) fn state(&self, env: &str) -> RecordState {
        RecordState {
            db: self.database(env),
            tables: self.config.app.tables.clone(),
            only_if_started: None,
            baseline: None,
        }
    }

    pub(super) fn state_to_restore(&self) -> RecordState {
        RecordState {
            only_if_started: Some(DEPLOY.into()),
            baseline: Some("prod/baseline".into()),
            ..self.state("prod")
        }
    }

    pub(super) fn counts_match(&self, env: &str, before: &Out<DbState>) -> CountsMatch {
        CountsMatch {
            before: before.into(),
            db: self.database(env),
            allow_growth: true,
        }
    }

    pub(super) fn deploy(&self, env: &str) -> Deploy {
        let at = self.env(env);
        Deploy {
            host: env.into(),
            jobs_dir: at.flow_dir.clone(),
            cwd: at.app_dir.clone(),
            script: at
                .deploy
                .iter()
                .map(|word| word.replace("{commit}", &self.commit))
                .collect(),
            env: at.deploy_env.clone(),
            commit: self.commit.clone(),
            errors: self.config.watch.patterns.clone(),
            allow: self.config.watch.allow.clone(),
            lease: None,
            gate: None,
            stop_on_undo: None,
            verify: at.deploy_verify.clone(),
            timeout_minutes: at.deploy_minutes,
        }
    }

    pub(super) fn deploy_production(&self, lease: &Out<Lease>) -> Deploy {
        let mut deploy = self.deploy("prod");
        deploy.env.insert(
            MIGRATE_OPTIONS.into(),
            "-c default_transaction_read_only=off".into(),
        );
        deploy.lease = Some(lease.into());
        deploy.gate = Some(self.promotion_rule());
        deploy.stop_on_undo = Some(StopSpec {
            pm2: self.env("prod").pm2.clone(),
        });
        deploy
    }

    pub(super) fn migrations_applied(&self, env: &str) -> MigrationsApplied {
        MigrationsApplied {
            db: self.database(env),
            expected: self.migrations.clone(),
        }
    }

    fn check(&self, env: &str) -> Check {
        let at = self.env(env);
        let ca = at
            .health_ca
            .as_ref()
            .map(|path| self.config.path(path).display().to_string());
        let value = serde_json::Value::String(at.healthy.value.clone());
        Check {
            body: Body::Json {
                pointer: at.healthy.pointer.clone(),
                value,
            },
            ca_file: ca,
            ..Check::ok(&at.health)
        }
    }

    pub(super) fn health(&self, env: &str) -> Health {
        Health {
            check: self.check(env),
            within_seconds: self.config.watch.healthy_within_seconds,
            stable_for_seconds: STABLE_SECONDS,
        }
    }

    pub(super) fn checklist(
        &self,
        title: &str,
        texts: &[(&'static str, &'static str)],
        who: &str,
        deadline_minutes: Option<u64>,
    ) -> Checklist {
        let title = format!("{title} ({})", self.config.app.name);
        Checklist {
            title,
            items: items::items(texts),
            who: who.into(),
            deadline_minutes,
        }
    }

    pub(super) fn copy_production(&self) -> CopySafe {
        CopySafe {
            from: self.database("prod"),
            to: self.database("stage"),
            dir: self.env("stage").backup_dir.clone(),
            policy: self.policy.clone(),
        }
    }

    pub(super) fn lease(&self) -> HostLease {
        HostLease {
            host: "prod".into(),
            dir: self.env("prod").flow_dir.clone(),
        }
    }

    pub(super) fn release_lease(&self) -> ReleaseLease {
        ReleaseLease {
            host: "prod".into(),
            dir: self.env("prod").flow_dir.clone(),
        }
    }

    /// What a rollback restarts on production.
    pub(super) fn processes(&self) -> Processes {
        Processes {
            restart_if_started: Some(DEPLOY.into()),
            health: Some(self.check("prod")),
            ..self.processes_seen("prod")
        }
    }

    /// What runs before a deploy, to compare with afterwards; no rollback touches it.
    pub(super) fn processes_seen(&self, env: &str) -> Processes {
        Processes {
            host: env.into(),
            pm2: self.env(env).pm2.clone(),
            restart_if_started: None,
            settle_seconds: self.config.watch.settle_seconds,
            health: None,
        }
    }

    pub(super) fn code(&self) -> CodeSnapshot {
        let prod = self.env("prod");
        CodeSnapshot {
            host: "prod".into(),
            dir: prod.app_dir.clone(),
            backups: prod.backup_dir.clone(),
            untracked: prod.untracked.clone(),
            revert_if_started: DEPLOY.into(),
            install: prod.install.clone(),
        }
    }

    fn free_bytes(&self) -> u64 {
        self.config.gates.free_mib.saturating_mul(1 << 20)
    }

    pub(super) fn backup(&self) -> TakeBackup {
        TakeBackup {
            db: self.database("prod"),
            dir: self.env("prod").backup_dir.clone(),
            prefix: "pre-deploy".into(),
            critical: self.config.app.tables.clone(),
            compression: Compression::Zstd,
            min_free_bytes: self.free_bytes(),
        }
    }

    pub(super) fn restore_proof(&self, backup: &Out<Backup>) -> RestoreProof {
        RestoreProof {
            db: self.database("prod"),
            backup: backup.into(),
        }
    }

    pub(super) fn rehearsal(&self) -> RestoreRehearsal {
        RestoreRehearsal {
            db: self.database("stage"),
            dir: self.env("stage").backup_dir.clone(),
        }
    }

    pub(super) fn sign_off(&self, role: &str) -> SignOff {
        SignOff {
            role: role.into(),
            valid_hours: self.config.signoff.valid_hours,
        }
    }

    fn promotion_rule(&self) -> PromotionRule {
        PromotionRule {
            commit: self.commit.clone(),
            phases: vec!["test".into(), "stage".into()],
            max_age_hours: self.config.gates.promotion_max_age_hours,
        }
    }

    pub(super) fn promotion(&self) -> Promotion {
        Promotion {
            rule: self.promotion_rule(),
        }
    }

    fn backup_rule(&self) -> BackupRule {
        BackupRule {
            host: "prod".into(),
            backup_step: "prod/backup".into(),
            proof_step: "prod/backup-verified".into(),
            max_age_hours: self.config.gates.backup_max_age_hours,
            rehearsal_steps: vec!["stage/rollback-rehearsal".into()],
            rehearsal_max_age_days: self.config.gates.restore_max_age_days,
        }
    }

    pub(super) fn backup_fresh(&self) -> BackupFresh {
        BackupFresh {
            rule: self.backup_rule(),
            bootstrap: false,
        }
    }

    pub(super) fn preflight(&self, lease: &Out<Lease>, earlier: &[&str]) -> Preflight {
        let folder = &self.env("prod").backup_dir;
        Preflight {
            host: "prod".into(),
            promotion: self.promotion_rule(),
            backup: self.backup_rule(),
            phases: earlier.iter().map(|phase| (*phase).to_owned()).collect(),
            roles: self.roles().to_vec(),
            lease: lease.into(),
            free: vec![Free {
                path: folder.clone(),
                bytes: self.free_bytes(),
            }],
        }
    }

    pub(super) fn notify(&self) -> Notify {
        Notify {
            environment: "prod".into(),
            window: self.config.window.when.clone(),
            downtime: self.config.window.downtime.clone(),
            contact: self.config.window.contact.clone(),
            changes: self.migrations.iter().rev().take(5).cloned().collect(),
        }
    }

    pub(super) fn freeze(&self) -> Freeze {
        Freeze {
            db: self.database("prod"),
        }
    }

    pub(super) fn thaw(&self) -> Thaw {
        Thaw {
            db: self.database("prod"),
        }
    }

    pub(super) fn baseline(&self, backup: &Out<Backup>) -> Baseline {
        Baseline {
            db: self.database("prod"),
            dir: self.env("prod").backup_dir.clone(),
            earlier: backup.into(),
            restore_if_started: DEPLOY.into(),
            ask_if_started: Some("prod/writable".into()),
        }
    }

    pub(super) fn restarted(&self, env: &str, before: &Out<ProcessList>) -> Restarted {
        Restarted {
            host: env.into(),
            pm2: self.env(env).pm2.clone(),
            before: before.into(),
            settle_seconds: self.config.watch.settle_seconds,
        }
    }

    pub(super) fn online(&self, before: &Out<ProcessList>) -> Online {
        Online {
            host: "prod".into(),
            pm2: self.env("prod").pm2.clone(),
            expected: before.into(),
            settle_seconds: self.config.watch.settle_seconds,
        }
    }

    /// From the restart on: while the database is frozen the application may complain that it cannot write, and only
    /// that is forgiven.
    pub(super) fn watch(&self, restarted: &Out<ProcessList>) -> Watch {
        let watch = &self.config.watch;
        let mut allow = watch.allow.clone();
        allow.push(READ_ONLY.into());
        Watch {
            host: "prod".into(),
            pm2: self.env("prod").pm2.clone(),
            apps: watch.apps.clone(),
            seconds: watch.seconds,
            errors: watch.patterns.clone(),
            allow,
            health: Some(self.check("prod")),
            max_restarts: 0,
            since: Some(restarted.into()),
        }
    }

    pub(super) fn integrity(&self, baseline: &Out<Backup>) -> Integrity {
        let allowed = self.config.app.may_change.clone();
        Integrity {
            db: self.database("prod"),
            before: baseline.into(),
            allowed,
        }
    }
}
