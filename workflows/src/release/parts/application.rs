//! The application: its deploy, its processes, its health, the watch over it.

use flow_engine::planner::{Key, Out};
use flow_steps::code::CodeSnapshot;
use flow_steps::deploy::{Deploy, InPlace, StopSpec};
use flow_steps::health::Health;
use flow_steps::means::lease::Lease;
use flow_steps::means::probes::checks::Checks;
use flow_steps::means::read_only::freeze::Freeze;
use flow_steps::means::reports::code::Deployed;
use flow_steps::means::secret;
use flow_steps::pm2::{Online, ProcessList, Processes, Released, Restarted};
use flow_steps::watch::{Mark, Reconnect, Watch};

use super::{RUNNING, Release};
use crate::config::Place;
use crate::release::Ahead;

/// How long the application has after the thaw, which ends its sessions, until lost ones are errors.
const RECONNECT_SECONDS: u64 = 10;
/// How long a healthy answer must last.
const STABLE_SECONDS: u64 = 2;

impl Release<'_> {
    /// On each environment under what holds in production: the database is read-only but for the migration.
    pub(in crate::release) fn deploy(
        &self,
        at: &Place,
        lease: &Out<Lease>,
        freeze: Option<&Freeze>,
    ) -> Deploy {
        Deploy {
            host: at.name.to_owned(),
            jobs_dir: at.env.flow_dir.clone(),
            cwd: at.env.app_dir.clone(),
            script: at
                .env
                .deploy
                .iter()
                .map(|word| word.replace("{commit}", &self.commit))
                .collect(),
            env: at
                .env
                .deploy_env
                .iter()
                .map(|(name, value)| (name.clone(), self.config.beside(value)))
                .collect(),
            frozen_elsewhere: None,
            may_migrate: true,
            freeze: freeze.cloned(),
            commit: self.commit.clone(),
            errors: self.config.watch.patterns.clone(),
            allow: self.config.watch.allow.clone(),
            lease: Some(lease.into()),
            gate: None,
            stop_on_undo: None,
            verify: at.env.deploy_verify.clone(),
            timeout_minutes: at.env.deploy_minutes,
        }
    }

    /// On a further host. The database is not there, so its freeze is looked after where it is: under the lease of the
    /// environment's own host.
    pub(in crate::release) fn deploy_host(
        &self,
        host: &Place,
        lease: &Out<Lease>,
        freeze: &Freeze,
    ) -> Deploy {
        self.deploy(host, lease, Some(freeze))
    }

    /// On production or a further host of it.
    pub(in crate::release) fn deploy_production(
        &self,
        at: &Place,
        lease: &Out<Lease>,
        ahead: &Ahead,
    ) -> Deploy {
        Deploy {
            // On the database's host the start itself looks, in the same call.
            frozen_elsewhere: (at.name != self.production().database_host().name)
                .then(|| super::database::database(self.production())),
            gate: Some(self.promotion_rule()),
            stop_on_undo: Some(StopSpec {
                pm2: at.env.program(),
                application: at.env.application(),
                look: Some(self.look_before_stop(ahead)),
            }),
            ..self.deploy(at, lease, None)
        }
    }

    /// What was deployed is still there after people looked at it.
    pub(in crate::release) fn in_place(&self, at: &Place) -> InPlace {
        InPlace {
            host: at.name.to_owned(),
            cwd: at.env.app_dir.clone(),
            commit: self.commit.clone(),
            verify: at.env.deploy_verify.clone(),
        }
    }

    /// The secrets its deploy script gets, by name: a file's path is beside `flow.toml`.
    pub(in crate::release) fn secrets(&self, at: &Place) -> Vec<String> {
        let values = at.env.deploy_env.values();
        values
            .filter(|value| secret::is_name(value))
            .map(|value| self.config.beside(value))
            .collect()
    }

    #[expect(
        clippy::unused_self,
        reason = "read in the protocol like every other step"
    )]
    pub(in crate::release) fn code(&self, at: &Place, deploy: &Key) -> CodeSnapshot {
        let prod = at.env;
        CodeSnapshot {
            host: at.name.to_owned(),
            dir: prod.app_dir.clone(),
            backups: prod.backup_dir.clone(),
            untracked: prod.untracked.clone(),
            revert_if_started: deploy.into(),
            install: prod.install.clone(),
        }
    }

    /// What a rollback restarts on production, as it was defined.
    pub(in crate::release) fn processes(&self, at: &Place, deploy: &Key) -> Processes {
        Processes {
            restart_if_started: Some(deploy.into()),
            health: at.has_health.then(|| self.check(at)),
            keep_in: Some(at.env.backup_dir.clone()),
            newer: Some(at.key(RUNNING)),
            ..self.processes_seen(at)
        }
    }

    /// The same right before the deploy: days may have passed since, and what people did to them is not the release's.
    pub(in crate::release) fn processes_now(
        &self,
        at: &Place,
        before: &Out<ProcessList>,
    ) -> Processes {
        Processes {
            keep_in: Some(at.env.backup_dir.clone()),
            since: Some(before.key().to_owned()),
            ..self.processes_seen(at)
        }
    }

    /// What runs before a deploy, to compare with afterwards; no rollback touches it.
    pub(in crate::release) fn processes_seen(&self, at: &Place) -> Processes {
        Processes {
            host: at.name.to_owned(),
            pm2: at.env.program(),
            application: at.env.application(),
            restart_if_started: None,
            settle_seconds: self.config.watch.settle_seconds,
            health: None,
            keep_in: None,
            since: None,
            newer: None,
        }
    }

    pub(in crate::release) fn restarted(
        &self,
        at: &Place,
        before: &Out<ProcessList>,
        script: &Out<Deployed>,
    ) -> Restarted {
        Restarted {
            host: at.name.to_owned(),
            pm2: at.env.program(),
            application: at.env.application(),
            before: before.into(),
            settle_seconds: self.config.watch.settle_seconds,
            released: Some(Released {
                folder: at.env.app_dir.clone(),
                commit: self.commit.clone(),
                is_checkout: at.env.deploy_verify.is_none(),
            }),
            script: Some(script.into()),
            removed: None,
        }
    }

    /// As on staging; what staging's release removed may be gone here too.
    pub(in crate::release) fn restarted_in_production(
        &self,
        before: &Out<ProcessList>,
        script: &Out<Deployed>,
        on_stage: Option<&Out<ProcessList>>,
    ) -> Restarted {
        Restarted {
            removed: on_stage.map(Into::into),
            ..self.restarted(self.production(), before, script)
        }
    }

    pub(in crate::release) fn online(
        &self,
        at: &Place,
        before: &Out<ProcessList>,
        restarted: &Out<ProcessList>,
    ) -> Online {
        Online {
            host: at.name.to_owned(),
            pm2: at.env.program(),
            application: at.env.application(),
            expected: before.into(),
            since: Some(restarted.into()),
            settle_seconds: self.config.watch.settle_seconds,
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "read in the protocol like every other step"
    )]
    pub(in crate::release) fn reconnect(&self, at: &Place, writable: &Key) -> Reconnect {
        Reconnect {
            host: at.name.to_owned(),
            pm2: at.env.program(),
            application: at.env.application(),
            thaw: writable.into(),
            seconds: RECONNECT_SECONDS,
        }
    }

    /// From the restart on. What the frozen database refused and what the thaw ended is forgiven until the application has
    /// had its time to connect again, and not a line later.
    pub(in crate::release) fn watch(
        &self,
        at: &Place,
        restarted: &Out<ProcessList>,
        mark: &Out<Mark>,
    ) -> Watch {
        let watch = &self.config.watch;
        Watch {
            host: at.name.to_owned(),
            pm2: at.env.program(),
            application: at.env.application(),
            apps: watch.apps.clone(),
            seconds: watch.seconds,
            errors: watch.patterns.clone(),
            allow: watch.allow.clone(),
            health: at.has_health.then(|| self.check(at)),
            max_restarts: 0,
            since: Some(restarted.into()),
            thaw: Some(mark.into()),
        }
    }

    fn check(&self, at: &Place) -> Checks {
        self.config.check(at)
    }

    pub(in crate::release) fn health(&self, at: &Place) -> Health {
        Health {
            check: self.check(at),
            within_seconds: self.config.watch.healthy_within_seconds,
            stable_for_seconds: STABLE_SECONDS,
        }
    }
}
