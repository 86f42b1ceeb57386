//! Breaking a sandbox on purpose, and mending it.

use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use rustix::process::Signal;

use crate::error::SandboxError;
use crate::probe::answers;
use crate::process::{run, send};
use crate::sandbox::Sandbox;

impl Sandbox {
    /// Cuts every ssh connection to a host and returns how many processes that were. What the sessions run goes on;
    /// new connections are accepted.
    ///
    /// # Errors
    /// [`SandboxError::Unknown`] for a host that is not there.
    pub fn cut_ssh(&self, host: &str) -> Result<usize, SandboxError> {
        let plan = self.plan(host)?;
        let sessions = self.ground.scope(Some(plan.name)).sessions();
        for pid in &sessions {
            send(*pid, Signal::KILL);
        }
        Ok(sessions.len())
    }

    /// A power cut: ends every process of a host at once, without a goodbye.
    ///
    /// # Errors
    /// [`SandboxError::Timeout`] when some process would not end.
    pub fn kill_host(&self, host: &str) -> Result<(), SandboxError> {
        let plan = self.plan(host)?;
        self.ground.scope(Some(plan.name)).end(Duration::ZERO)?;
        self.bury();
        Ok(())
    }

    /// Boots a host after [`Sandbox::kill_host`]: database, sshd, the application. Nothing to do for what runs.
    ///
    /// # Errors
    /// [`SandboxError`] when a part does not come up.
    pub fn start_host(&self, host: &str) -> Result<(), SandboxError> {
        let plan = self.plan(host)?;
        if !self.ground.powered(plan) {
            let child = self.ground.power_on(plan)?;
            self.children
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(child);
        }
        if plan.role.has_database() {
            self.ground.start_database(plan)?;
        }
        if !answers(plan) {
            self.ground.start_application(plan)?;
        }
        Self::wait_for(plan)
    }

    /// Puts a host's backups on a disk of their own, with this many MiB; what lay there is hidden until the host ends.
    ///
    /// # Errors
    /// [`SandboxError::Isolation`] for plain hosts, which share this machine's disks; [`SandboxError::Command`].
    pub fn small_backup_disk(&self, host: &str, mib: u32) -> Result<(), SandboxError> {
        let plan = self.plan(host)?;
        if self.ground.kit.is_none() {
            let why = "a disk of a host's own needs hosts in containers".to_owned();
            return Err(SandboxError::Isolation(why));
        }
        let mut mount = self.ground.command(plan, Path::new("/"), "mount")?;
        mount.args([
            "-t",
            "tmpfs",
            "-o",
            &format!("mode=755,size={mib}m"),
            "tmpfs",
        ]);
        mount.arg(self.ground.data(plan).join("backups"));
        run(&format!("a small disk on {host}"), &mut mount).map(drop)
    }

    /// Stops only the database of a host, as `docker stop` does.
    ///
    /// # Errors
    /// [`SandboxError::Command`].
    pub fn stop_database(&self, host: &str) -> Result<(), SandboxError> {
        self.ground.database(self.plan(host)?, "stop")
    }

    /// Starts the database of a host again.
    ///
    /// # Errors
    /// [`SandboxError::Command`].
    pub fn start_database(&self, host: &str) -> Result<(), SandboxError> {
        self.ground.start_database(self.plan(host)?)
    }
}
