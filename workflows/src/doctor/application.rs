//! The application on a host: what is checked out, what runs, whether it is well.

use flow_steps::means::host::{Command, Host, HostExt as _};
use flow_steps::pm2;

use super::{Report, words};
use crate::config::Place;
use crate::setup::Setup;

impl Setup {
    /// The checkout, the processes, the health.
    pub(super) async fn application(
        &self,
        report: &mut Report,
        host: &dyn Host,
        place: &Place<'_>,
        shut: bool,
    ) {
        let (name, env) = (place.name, place.env);
        let git = Command::new("git").args([
            "-c",
            &format!("safe.directory={}", env.app_dir),
            "-C",
            &env.app_dir,
        ]);
        let commit = host
            .run(&git.args(["rev-parse", "--short=12", "HEAD"]))
            .await;
        report.add(
            "checkout",
            words(commit),
            "clone the application into `app_dir`",
        );
        let whose = pm2::whose(host, &env.program(), &env.application()).await;
        if whose.as_ref().is_ok_and(|found| !found.all_up) {
            let found = "a process is not online: it stays so, and is no witness after the deploy; start it now if it should run";
            report.add("not online", Ok(found.into()), "");
        }
        report.add(
            "pm2",
            whose.map(|found| found.words),
            &format!(
                "install pm2 for the user that ssh logs in as, or name the application's processes: [env.{name}] processes"
            ),
        );
        if place.has_health {
            self.health(report, place, shut).await;
        }
    }

    /// `shut`: whether its database lets no writers in now, as a release has it.
    async fn health(&self, report: &mut Report, place: &Place<'_>, shut: bool) {
        let name = place.name;
        let check = self.config.check(place);
        let frozen = if shut {
            ", while its database is shut to writers"
        } else {
            ""
        };
        let mut answers = Vec::new();
        let mut is_well = true;
        for probe in check.probes() {
            match probe.ask(&self.hosts()).await {
                Ok(reply) => {
                    let status = reply.status.map(|status| format!(" {status}"));
                    answers.push(probe.name() + &status.unwrap_or_default());
                }
                Err(unwell) if check.probes().len() == 1 => {
                    is_well = false;
                    answers.push(unwell.to_string());
                }
                Err(unwell) => {
                    is_well = false;
                    answers.push(format!("{}: {unwell}", probe.name()));
                }
            }
        }
        let said = answers.join("; ") + frozen;
        let answer = if is_well { Ok(said) } else { Err(said) };
        let fix = if shut {
            format!(
                "a release on {name} would shut it the same way: let the application answer without writing"
            )
        } else {
            format!("the application on {name} should be healthy before a release")
        };
        report.add("health", answer, &fix);
    }
}
