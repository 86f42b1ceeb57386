//! What befalls the driver of a demo in the middle of the production deploy.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flow_engine::clock::Deadline;
use flow_sandbox::{Sandbox, Wire};
use rustix::process::{Pid, Signal, kill_process};

use super::child::Driving;
use super::failed;
use crate::args::Fault;
use crate::diagnostic::Diagnostic;
use crate::view;

/// How long the network of the demo is away.
const DARK: Duration = Duration::from_secs(30);
/// How long nobody may drive before production's own timer acts, in seconds, in the demo of a sleep.
pub(super) const UNATTENDED: u64 = 5;
/// The longest the timer is waited for.
const PATIENCE: Duration = Duration::from_mins(3);

/// What befalls it, once.
pub(super) enum Trouble {
    /// It is killed.
    Kill,
    /// It sleeps until production has let writers in by itself.
    Sleep,
    /// Its way to production is cut for half a minute.
    Dark(Arc<Wire>),
}

impl Trouble {
    /// That of a fault, if it is of this kind. A wire's configuration lies in `dir`.
    pub(super) fn of(
        fault: Option<Fault>,
        sandbox: &Sandbox,
        dir: &Path,
    ) -> Result<Option<Trouble>, Diagnostic> {
        Ok(match fault {
            Some(Fault::Crash) => Some(Trouble::Kill),
            Some(Fault::Sleep) => Some(Trouble::Sleep),
            Some(Fault::Network) => {
                let dir = dir.join("wire");
                std::fs::create_dir(&dir).map_err(|e| failed("a wire", &e))?;
                let wire = sandbox.wire("prod", &dir);
                Some(Trouble::Dark(Arc::new(
                    wire.map_err(|e| failed("a wire", &e))?,
                )))
            }
            _ => None,
        })
    }

    /// The ssh configuration that goes this way.
    pub(super) fn ssh_config<'a>(&'a self, sandbox: &'a Sandbox) -> &'a Path {
        match self {
            Trouble::Dark(wire) => wire.ssh_config(),
            Trouble::Kill | Trouble::Sleep => sandbox.ssh_config(),
        }
    }

    /// Lets it happen. Whether the driver is gone for good.
    pub(super) async fn strike(
        &self,
        driver: &mut Driving,
        sandbox: &Sandbox,
    ) -> Result<bool, Diagnostic> {
        match self {
            Trouble::Kill => {
                let killed = driver.child.kill().await;
                killed.map_err(|e| failed("the driver", &e))?;
                driver.shown().await;
                Ok(true)
            }
            Trouble::Sleep => {
                sleep(driver, sandbox).await?;
                Ok(false)
            }
            Trouble::Dark(wire) => {
                let seconds = DARK.as_secs();
                view::out(&format!(
                    "\n*** The way to production is cut in the middle of the deploy, for {seconds} s. ***\n"
                ));
                let wire = Arc::clone(wire);
                let cut = tokio::task::spawn_blocking(move || wire.cut(DARK));
                cut.await.map_err(|e| failed("the wire", &e))?;
                view::out("\n*** The network is back. ***\n");
                Ok(false)
            }
        }
    }
}

/// Stops the driver as a lid that is closed does, until writes are possible in production again.
async fn sleep(driver: &Driving, sandbox: &Sandbox) -> Result<(), Diagnostic> {
    let id = driver.child.id().and_then(|id| i32::try_from(id).ok());
    let Some(pid) = id.and_then(Pid::from_raw) else {
        return Ok(());
    };
    let send = |signal| kill_process(pid, signal).map_err(|e| failed("the driver", &e));
    send(Signal::STOP)?;
    view::out(
        "\n*** The machine that drives falls asleep in the middle of the deploy. Production is read-only. ***\n",
    );
    let until = Deadline::after(PATIENCE);
    let write = "begin; create table flow_probe (); rollback";
    while sandbox.sql("prod", write).is_err() && !until.is_over() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    view::out(
        "\n*** Nobody drove for some seconds, and the deploy has ended: production lets writers in by itself. The machine wakes up. ***\n",
    );
    send(Signal::CONT)
}
