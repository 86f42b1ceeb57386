//! The steps of the release with their parameters filled in from `flow.toml`.

use flow_engine::planner::Out;
use flow_steps::code::Snapshot;
use flow_steps::gate::{
    BackupFresh, BackupRule, CodeBefore, Free, Preflight, Promotion, PromotionRule,
};
use flow_steps::identity::Identity;
use flow_steps::lease::{HostLease, Lease, ReleaseLease};
use flow_steps::mail::Notify;
use flow_steps::people::items;
use flow_steps::people::{Checklist, Keys, SignOff, Starter};
use flow_steps::pg::Policy;
use flow_steps::schema::{Checked, MigrationReview, MigrationSafety, MigrationsAgain, Replay};
use flow_steps::schema::{CodeAt, EnumUsage, NullableAccess};

use crate::config::{Config, Environment};

mod application;
mod database;

/// The deploying step: what has not passed it has not changed production.
const DEPLOY: &str = "prod/deploy";
/// What ran right before it.
pub(super) const RUNNING: &str = "prod/running";
/// Production, as an environment and as a host.
const PROD: &str = "prod";

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
    /// Whether who starts it may not answer for it.
    pub bars_starter: bool,
}

impl Release<'_> {
    fn env(&self, name: &str) -> &Environment {
        match name {
            "test" => &self.config.env.test,
            "stage" => &self.config.env.stage,
            _ => &self.config.env.prod,
        }
    }

    pub(in crate::release) fn roles(&self) -> &[String] {
        &self.config.signoff.roles
    }

    pub(in crate::release) fn smoke_minutes(&self) -> u64 {
        self.config.signoff.smoke_minutes
    }

    /// Where the roster bars them.
    pub(in crate::release) fn starter(&self) -> Option<Starter> {
        self.bars_starter.then_some(Starter {})
    }

    pub(in crate::release) fn machines(&self) -> Identity {
        let hosts = self
            .config
            .environments()
            .map(|(name, env)| (name.to_owned(), env.machine_id.clone()));
        Identity {
            hosts: hosts.into(),
            distinct: self.config.gates.distinct_machines,
        }
    }

    pub(in crate::release) fn keys(&self) -> Keys {
        Keys {
            host: "prod".into(),
            dir: self.env("prod").app_dir.clone(),
        }
    }

    pub(in crate::release) fn migration_safety(&self) -> MigrationSafety {
        let database = &self.env("prod").database;
        let mut psql = database.exec.clone();
        psql.extend(["psql", "-U", &database.user, "-d", &database.name].map(String::from));
        MigrationSafety {
            repo: self.repository.clone(),
            commit: self.commit.clone(),
            migrations: self.config.app.migrations.clone(),
            host: "prod".into(),
            psql,
            schema: database.schema.clone(),
            script: self.config.app.migration_check.clone(),
            waiver_role: self.config.signoff.waived_by.clone(),
        }
    }

    pub(in crate::release) fn migration_review(&self, checked: &Out<Checked>) -> MigrationReview {
        MigrationReview {
            repo: self.repository.clone(),
            commit: self.commit.clone(),
            migrations: self.config.app.migrations.clone(),
            checked: checked.into(),
            role: self.config.signoff.reviewer().to_owned(),
        }
    }

    /// The code, as it is released and as it runs.
    fn code_at(&self) -> CodeAt {
        self.config.code_at(&self.repository, &self.commit)
    }

    pub(in crate::release) fn nullable_access(&self) -> NullableAccess {
        NullableAccess {
            code: self.code_at(),
            waiver_role: self.config.signoff.waived_by.clone(),
        }
    }

    pub(in crate::release) fn enum_usage(&self) -> EnumUsage {
        EnumUsage {
            code: self.code_at(),
            waiver_role: self.config.signoff.waived_by.clone(),
        }
    }

    /// Where the team asks for it.
    pub(in crate::release) fn replay(&self, checked: &Out<Checked>) -> Option<Replay> {
        self.config.gates.replay.then(|| Replay {
            repo: self.repository.clone(),
            commit: self.commit.clone(),
            migrations: self.config.app.migrations.clone(),
            setup: self.config.gates.replay_setup.clone(),
            safety: checked.into(),
        })
    }

    pub(in crate::release) fn checklist(
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

    /// Of a database, wherever each project keeps its own files.
    pub(in crate::release) fn lease(&self, name: &str) -> HostLease {
        let env = self.env(name);
        HostLease {
            db: Some(self.database(name)),
            folders: vec![env.flow_dir.clone(), env.backup_dir.clone()],
            locks: name == PROD,
            ..HostLease::in_folder(name, &env.flow_dir)
        }
    }

    /// After the wait for people.
    pub(in crate::release) fn lease_again(&self) -> HostLease {
        HostLease {
            again: true,
            ..self.lease(PROD)
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "read in the protocol like every other step"
    )]
    pub(in crate::release) fn release_lease(&self, lease: &Out<Lease>) -> ReleaseLease {
        ReleaseLease {
            host: PROD.into(),
            dir: String::new(),
            lease: Some(lease.into()),
            for_good: false,
        }
    }

    /// Of test or staging, once people have looked at it: nothing done there is undone under the lease.
    pub(in crate::release) fn leave(&self, name: &str, lease: &Out<Lease>) -> ReleaseLease {
        ReleaseLease {
            host: name.into(),
            for_good: true,
            ..self.release_lease(lease)
        }
    }

    fn free_bytes(&self) -> u64 {
        self.config.gates.free_mib.saturating_mul(1 << 20)
    }

    pub(in crate::release) fn sign_off(&self, role: &str) -> SignOff {
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

    pub(in crate::release) fn promotion(&self) -> Promotion {
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

    pub(in crate::release) fn backup_fresh(&self) -> BackupFresh {
        BackupFresh {
            rule: self.backup_rule(),
            bootstrap: false,
        }
    }

    pub(in crate::release) fn migrations_again(&self, checked: &Out<Checked>) -> MigrationsAgain {
        MigrationsAgain {
            safety: self.migration_safety(),
            checked: checked.into(),
        }
    }

    pub(in crate::release) fn preflight(
        &self,
        lease: &Out<Lease>,
        code: &Out<Snapshot>,
        earlier: &[&str],
    ) -> Preflight {
        let prod = self.env(PROD);
        let folder = &prod.backup_dir;
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
            room: Some(self.room()),
            code: Some(CodeBefore {
                dir: prod.app_dir.clone(),
                snapshot: code.into(),
            }),
            secrets: self.secrets(PROD),
        }
    }

    pub(in crate::release) fn notify(&self) -> Notify {
        Notify {
            environment: "prod".into(),
            window: self.config.window.when.clone(),
            downtime: self.config.window.downtime.clone(),
            contact: self.config.window.contact.clone(),
            changes: Vec::new(),
            checked: Some("schema/migration-safety".into()),
        }
    }
}
