//! What real hosts have beside the application, and what must be left alone.

use crate::error::SandboxError;
use crate::process::run_with;
use crate::sandbox::Sandbox;

/// Names of the processes that [`Sandbox::neighbours`] adds to a host's pm2.
pub const NEIGHBOURS: [&str; 3] = ["log-keeper", "billing", "nightly-report"];

/// As a `CREATE INDEX CONCURRENTLY` that failed leaves it: `pg_dump` passes it over.
const INVALID_INDEX: &str = "CREATE INDEX IF NOT EXISTS \"CustomerTask_name_idx\" ON \"CustomerTask\" (name);\n\
    ALTER INDEX \"CustomerTask_name_idx\" OWNER TO dap;\n\
    UPDATE pg_index SET indisvalid = false WHERE indexrelid = '\"CustomerTask_name_idx\"'::regclass;\n";

impl Sandbox {
    /// Gives every host what real ones have and no release may stumble over: a pm2 module, another application under the
    /// same pm2 that logs errors, a process that was stopped before, a login shell that prints; and production an
    /// index that is not valid. Twice is once.
    ///
    /// # Errors
    /// [`SandboxError::Command`] when a part cannot be made.
    pub fn neighbours(&self) -> Result<(), SandboxError> {
        std::thread::scope(|scope| {
            let hosts = self.hosts().iter();
            let moving: Vec<_> = hosts
                .map(|host| scope.spawn(|| self.settle(&host.name)))
                .collect();
            moving.into_iter().try_for_each(|one| {
                one.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })?;
        let plan = self.plan("prod")?;
        let mut psql = self.ground.psql(plan)?;
        run_with(
            "an invalid index on prod",
            &mut psql,
            INVALID_INDEX.as_bytes(),
        )
        .map(drop)
    }

    fn settle(&self, host: &str) -> Result<(), SandboxError> {
        let plan = self.plan(host)?;
        let mut bash = self.ground.command(plan, &self.ground.data(plan), "bash")?;
        bash.arg("-s");
        run_with(
            &format!("the neighbours on {host}"),
            &mut bash,
            include_bytes!("../files/neighbours.sh"),
        )
        .map(drop)
    }
}
