//! The steps of the release with their parameters filled in from `flow.toml`.

use flow_engine::planner::Out;
use flow_steps::gate::{BackupFresh, BackupRule, CodeBefore, Free, Preflight, Promotion};
use flow_steps::identity::Identity;
use flow_steps::lease::{HostLease, ReleaseLease};
use flow_steps::mail::Notify;
use flow_steps::means::checklist::Checklist;
use flow_steps::means::lease::Lease;
use flow_steps::means::migrations::MigrationReview;
use flow_steps::means::promotion::PromotionRule;
use flow_steps::means::reports::code::Snapshot;
use flow_steps::means::reports::migrations::Checked;
use flow_steps::means::signature::sign_off::SignOff;
use flow_steps::means::signature::starter::Starter;
use flow_steps::people::Keys;
use flow_steps::pg::Policy;
use flow_steps::schema::{
    CodeAt, EnumUsage, MigrationSafety, MigrationsAgain, NullableAccess, Replay,
};

use super::checklists;
use crate::config::{Config, Environments, Place};

mod application;
mod database;

use database::database;

/// The deploying step in production: what has not passed it has not changed production.
pub(super) const DEPLOY: &str = "deploy";
/// What ran right before it.
pub(super) const RUNNING: &str = "running";
/// The decisive backup.
pub(super) const BASELINE: &str = "baseline";
/// Where writers are let in again.
pub(super) const WRITABLE: &str = "writable";

/// The phases after those of the environments before production, which are numbered on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    Prepare,
    Deploy,
    Verify,
}

/// Everything a release needs to know before its first step.
pub struct Release<'a> {
    /// The team's configuration.
    pub config: &'a Config,
    /// Its environments, by what they are for.
    pub environments: Environments<'a>,
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
    /// Production, as an environment and as a host.
    pub(in crate::release) fn production(&self) -> &Place<'_> {
        &self.environments.production
    }

    /// Where production is tried out.
    pub(in crate::release) fn proving(&self) -> &Place<'_> {
        &self.environments.proving
    }

    /// The environments before production, in their order.
    pub(in crate::release) fn before_production(&self) -> &[Place<'_>] {
        &self.environments.before
    }

    /// The title of an environment's phase. Phase 1 is the schema's.
    pub(in crate::release) fn title(&self, at: &Place) -> String {
        let names = self.before_production().iter().map(|place| place.name);
        let number = names.take_while(|name| *name != at.name).count() + 2;
        match at.name {
            "test" => format!("Phase {number}: test environment"),
            "stage" => format!("Phase {number}: staging"),
            name => format!("Phase {number}: {name}"),
        }
    }

    pub(in crate::release) fn numbered(&self, phase: Phase, words: &str) -> String {
        let number = self.before_production().len() + 2 + phase as usize;
        format!("Phase {number}: {words}")
    }

    pub(in crate::release) fn roles(&self) -> &[String] {
        &self.config.signoff.roles
    }

    /// Where the roster bars them.
    pub(in crate::release) fn starter(&self) -> Option<Starter> {
        self.bars_starter.then_some(Starter {})
    }

    pub(in crate::release) fn machines(&self) -> Identity {
        let hosts = self
            .config
            .machines()
            .into_iter()
            .map(|(name, env)| (name.to_owned(), env.machine_id.clone()));
        Identity {
            hosts: hosts.collect(),
            distinct: self.config.gates.distinct_machines,
        }
    }

    pub(in crate::release) fn keys(&self) -> Keys {
        Keys {
            host: self.production().name.to_owned(),
            dir: self.production().env.app_dir.clone(),
        }
    }

    pub(in crate::release) fn migration_safety(&self) -> MigrationSafety {
        let database = &self.production().env.database;
        MigrationSafety {
            repo: self.repository.clone(),
            commit: self.commit.clone(),
            migrations: self.config.app.migrations.clone(),
            host: self.production().database_host().name.to_owned(),
            psql: database.psql(),
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
        self.config
            .code_at(&self.repository, &self.commit, self.production())
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

    /// What people look at there: the last part of the step's key, and the list.
    pub(in crate::release) fn checklists(&self, at: &Place) -> Vec<(String, Checklist)> {
        checklists::of(self.config, at)
    }

    /// Of a database, wherever each project keeps its own files.
    #[expect(
        clippy::unused_self,
        reason = "read in the protocol like every other step"
    )]
    pub(in crate::release) fn lease(&self, place: &Place) -> HostLease {
        let store = place.database_host();
        let env = store.env;
        HostLease {
            db: Some(database(place)),
            folders: vec![env.flow_dir.clone(), env.backup_dir.clone()],
            locks: place.is_production,
            ..HostLease::in_folder(store.name, &env.flow_dir)
        }
    }

    /// Of a host that has no database, a further one or the application's own: in its own folder. After a rollback the lock of the environment keeps
    /// releases out; it lies beside the database.
    #[expect(
        clippy::unused_self,
        reason = "read in the protocol like every other step"
    )]
    pub(in crate::release) fn lease_of_host(&self, host: &Place) -> HostLease {
        let env = host.env;
        HostLease {
            folders: vec![env.flow_dir.clone(), env.backup_dir.clone()],
            locks: false,
            ..HostLease::in_folder(host.name, &env.flow_dir)
        }
    }

    /// After the wait for people.
    #[expect(
        clippy::unused_self,
        reason = "read in the protocol like every other step"
    )]
    pub(in crate::release) fn again(&self, lease: HostLease) -> HostLease {
        HostLease {
            again: true,
            ..lease
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "read in the protocol like every other step"
    )]
    pub(in crate::release) fn release_lease(&self, at: &Place, lease: &Out<Lease>) -> ReleaseLease {
        ReleaseLease {
            host: at.name.to_owned(),
            dir: String::new(),
            lease: Some(lease.into()),
            for_good: false,
        }
    }

    /// Of test or staging, once people have looked at it: nothing done there is undone under the lease.
    pub(in crate::release) fn leave(&self, at: &Place, lease: &Out<Lease>) -> ReleaseLease {
        ReleaseLease {
            for_good: true,
            ..self.release_lease(at, lease)
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
        let before = self.before_production().iter();
        PromotionRule {
            commit: self.commit.clone(),
            phases: before.map(|place| place.name.to_owned()).collect(),
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
            host: self.production().database_host().name.to_owned(),
            backup_step: self.production().key("backup"),
            proof_step: self.production().key("backup-verified"),
            max_age_hours: self.config.gates.backup_max_age_hours,
            rehearsal_steps: vec![self.proving().key("rollback-rehearsal")],
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

    /// `code`: what a rollback puts back there; nothing on the database's own host, where nothing is deployed.
    pub(in crate::release) fn preflight(
        &self,
        at: &Place,
        lease: &Out<Lease>,
        code: Option<&Out<Snapshot>>,
        earlier: &[&str],
    ) -> Preflight {
        let prod = at.env;
        let folder = &prod.backup_dir;
        Preflight {
            host: at.name.to_owned(),
            promotion: self.promotion_rule(),
            backup: self.backup_rule(),
            phases: earlier
                .iter()
                .chain(&["prepare"])
                .map(|phase| (*phase).to_owned())
                .collect(),
            roles: self.roles().to_vec(),
            lease: lease.into(),
            free: vec![Free {
                path: folder.clone(),
                bytes: self.free_bytes(),
            }],
            room: (at.name == self.production().database_host().name).then(|| self.room()),
            code: code.map(|code| CodeBefore {
                dir: prod.app_dir.clone(),
                snapshot: code.into(),
            }),
            secrets: code.map_or_else(Vec::new, |_| self.secrets(at)),
        }
    }

    pub(in crate::release) fn notify(&self) -> Notify {
        Notify {
            environment: self.production().name.to_owned(),
            window: self.config.window.when.clone(),
            downtime: self.config.window.downtime.clone(),
            contact: self.config.window.contact.clone(),
            changes: Vec::new(),
            checked: Some("schema/migration-safety".into()),
        }
    }
}
