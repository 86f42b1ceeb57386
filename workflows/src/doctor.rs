//! Looking at everything a run will need, touching nothing.

use std::sync::Arc;
use std::time::Duration;

use flow_engine::clock::{Clock as _, SystemClock};
use flow_steps::means::host::{Command, Host, HostExt as _};
use flow_steps::pg::{Purpose, mode};

use crate::config::{Data, Place};
use crate::setup::{Setup, SetupError};

mod application;
mod database;
mod lease;
mod left;
mod means;
mod signers;

pub use lease::WayOut;
pub use signers::unanswered;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The environment, or `here`.
    pub place: String,
    /// What was looked at.
    pub what: String,
    /// Whether it is as a run needs it.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do, when it is not.
    pub fix: String,
}

/// How far two clocks may be apart: ages of backups are judged in hours, sign-offs in minutes.
const SKEW_MAX: Duration = Duration::from_secs(30);
struct Report {
    place: String,
    findings: Vec<Finding>,
}

impl Report {
    fn of(place: &str) -> Report {
        Report {
            place: place.into(),
            findings: Vec::new(),
        }
    }

    fn add(&mut self, what: &str, result: Result<String, String>, fix: &str) -> bool {
        let ok = result.is_ok();
        let found = result.unwrap_or_else(|e| e);
        let fix = if ok { String::new() } else { fix.to_owned() };
        self.findings.push(Finding {
            place: self.place.clone(),
            what: what.into(),
            ok,
            found,
            fix,
        });
        ok
    }
}

impl Setup {
    /// Looks at this machine and at each environment (or one of them). One finding a line; none changes anything. `known`:
    /// what to do about a run that holds a lease, where the journal has it.
    pub async fn doctor(&self, only: Option<&str>, known: WayOut<'_>) -> Vec<Finding> {
        let mut findings = if only.is_none() {
            self.here().await
        } else {
            Vec::new()
        };
        let environments = match self.config.order() {
            Ok(environments) => environments,
            Err(e) => {
                let mut report = Report::of("here");
                report.add("environments", Err(e.to_string()), "correct flow.toml");
                findings.extend(report.findings);
                return findings;
            }
        };
        let all = environments.before.iter().chain([&environments.production]);
        for place in all {
            if only.is_none_or(|wanted| wanted == place.name) {
                let is_proving = place.name == environments.proving.name;
                findings.extend(self.there(place, is_proving, known).await);
                for (host, machine) in place.hosts().iter().zip(&place.env.machines) {
                    let role = machine.role.as_deref();
                    findings.extend(self.further(host, role, known).await);
                }
            }
        }
        findings
    }

    async fn here(&self) -> Vec<Finding> {
        let mut report = Report::of("here");
        let local = flow_steps::means::host::Local::new("here");
        for tool in ["ssh", "ssh-keygen", "git"] {
            let found = local
                .run(&Command::script(format!("command -v {tool}")))
                .await;
            report.add(tool, words(found), "install the OpenSSH client and git");
        }
        let roster = self.commit("HEAD").and_then(|head| self.roster_of(&head));
        let fix = match &roster {
            Err(SetupError::Roster(e)) => e.hints().join("; "),
            _ => "correct flow.people.toml and commit it".into(),
        };
        let roster = roster.map(|(_, at)| {
            let short: String = at.commit.chars().take(12).collect();
            format!("{} of {short}", at.path)
        });
        report.add("roster", roster.map_err(|e| e.to_string()), &fix);
        signers::roles(&mut report, &self.config, &self.people);
        if self.people.forbid_starter {
            let said = "signs the start (flow start --key FILE) and may not sign it off";
            report.add("starter", Ok(said.into()), "");
        }
        match self.mailer() {
            Ok(Some(mailer)) => {
                let probe = mailer.probe().await.map_err(|e| e.to_string());
                report.add(
                    "mail",
                    probe,
                    "correct [mail] in flow.toml; without it nobody hears of a failed release",
                );
            }
            Ok(None) => {
                report.add(
                    "mail",
                    Err("not configured: nobody will be told".into()),
                    "add [mail] to flow.toml",
                );
            }
            Err(e) => {
                report.add("mail", Err(e.to_string()), "correct [mail] in flow.toml");
            }
        }
        report.findings
    }

    /// The database where it is, and the application's own host.
    async fn there(&self, place: &Place<'_>, is_proving: bool, known: WayOut<'_>) -> Vec<Finding> {
        let env = place.env;
        let mut report = Report::of(place.name);
        lease::variables(&mut report, &self.config, env);
        let Some(apart) = env.apart.as_deref() else {
            if let Some(host) = self.reached(&mut report, place).await {
                let tools = means::Tools::of(env).and(&env.database.exec);
                self.means(&mut report, &*host, place, &tools).await;
                lease::literals(&mut report, env);
                let shut = self
                    .database(&mut report, &host, (place, is_proving), known)
                    .await;
                self.application(&mut report, &*host, place, shut).await;
            }
            return report.findings;
        };
        let mut beside = Report::of(&apart.name);
        let mut shut = false;
        let store = place.database_host();
        if let Some(host) = self.reached(&mut beside, &store).await {
            let tools = means::Tools::of_database(&apart.env.database.exec);
            self.means(&mut beside, &*host, &store, &tools).await;
            shut = self
                .database(&mut beside, &host, (place, is_proving), known)
                .await;
        }
        if let Some(host) = self.reached(&mut report, place).await {
            self.means(&mut report, &*host, place, &means::Tools::of(env))
                .await;
            lease::literals(&mut report, env);
            let lease = (place.name, env.flow_dir.as_str());
            lease::lease_of_host(&mut report, &*host, lease, known).await;
            self.application(&mut report, &*host, place, shut).await;
        }
        beside.findings.into_iter().chain(report.findings).collect()
    }

    /// Programs, clock and folders of a host.
    async fn means(
        &self,
        report: &mut Report,
        host: &dyn Host,
        place: &Place<'_>,
        tools: &means::Tools,
    ) {
        means::tools(report, host, tools).await;
        clock(report, host).await;
        let free = self.config.gates.free_mib;
        means::folders(report, host, place.env, (tools.is_for_application, free)).await;
        lease::owners(report, host, place.env).await;
    }

    /// The database, on its host. Whether it lets no writers in.
    async fn database(
        &self,
        report: &mut Report,
        host: &Arc<dyn Host>,
        (place, is_proving): (&Place<'_>, bool),
        known: WayOut<'_>,
    ) -> bool {
        // Its own rows are only counted.
        let purpose = if place.data == Data::Own && !place.is_production && !is_proving {
            Purpose::Look
        } else {
            Purpose::Release
        };
        let store = place.database_host();
        database::look(report, &self.hosts(), &**host, &store, purpose).await;
        if place.is_production {
            database::policy(report, &self.hosts(), &store, &self.policy).await;
        }
        left::look(report, &**host, store.env).await;
        lease::lease(report, host, (place.name, &store), known).await;
        read_only(report, host, place.name, &store).await
    }

    /// A further host: everything but the database, which is not there.
    async fn further(
        &self,
        place: &Place<'_>,
        role: Option<&str>,
        known: WayOut<'_>,
    ) -> Vec<Finding> {
        let mut report = Report::of(place.name);
        if let Some(role) = role {
            report.add("role", Ok(role.to_owned()), "");
        }
        let Some(host) = self.reached(&mut report, place).await else {
            return report.findings;
        };
        self.means(&mut report, &*host, place, &means::Tools::of(place.env))
            .await;
        let lease = (place.name, place.env.flow_dir.as_str());
        lease::lease_of_host(&mut report, &*host, lease, known).await;
        self.application(&mut report, &*host, place, false).await;
        report.findings
    }

    /// The host, when it can be reached.
    async fn reached(&self, report: &mut Report, place: &Place<'_>) -> Option<Arc<dyn Host>> {
        let (name, env) = (place.name, place.env);
        let host = match self.hosts().get(name) {
            Ok(host) => host,
            Err(e) => {
                report.add("ssh", Err(e.to_string()), "correct `ssh` in flow.toml");
                return None;
            }
        };
        let identity = host.identity().await;
        let machine = identity
            .as_ref()
            .map(|i| i.machine_id.clone())
            .unwrap_or_default();
        let seen = identity.map(|i| format!("{}, machine {}", i.hostname, i.machine_id));
        let fix = "check the address and ~/.ssh/config; compare the host key out of band before adding it";
        if !report.add("ssh", words(seen), fix) {
            return None;
        }
        if let Some(said) = host.greeting() {
            let found = format!("prints before each answer, which is passed over: {said}");
            report.add("login shell", Ok(found), "");
        }
        if let Some(wanted) = env.machine_id.as_ref().filter(|id| **id != machine) {
            report.add(
                "machine",
                Err(format!("it is {machine}, not {wanted}")),
                "this is another machine: stop",
            );
        }
        Some(host)
    }
}

async fn clock(report: &mut Report, host: &dyn Host) {
    let asked = SystemClock.now();
    let there = words(host.run(&Command::new("date").arg("+%s")).await);
    let skew = there.and_then(|text| {
        let there: i64 = text
            .trim()
            .parse()
            .map_err(|_| format!("`date` said {text}"))?;
        let apart = Duration::from_millis((there * 1000 - asked.0).unsigned_abs());
        let said = format!("{} s apart", apart.as_secs());
        if apart <= SKEW_MAX {
            Ok(said)
        } else {
            Err(said)
        }
    });
    report.add("clock", skew, "set both clocks (chrony, systemd-timesyncd)");
}

/// A database that refuses writes is a finding, unless the run that froze it is watched by its timer. Whether it does.
async fn read_only(report: &mut Report, host: &Arc<dyn Host>, name: &str, at: &Place<'_>) -> bool {
    let db = at.env.database.at(at.name);
    let lease = match flow_steps::means::lease::place::place(host, &db).await {
        Ok(lease) => lease,
        Err(e) => {
            report.add("writers", Err(e.to_string()), "look at the lease first");
            return false;
        }
    };
    let mode = mode::look(Arc::clone(host), &db, &lease).await;
    let shut = mode.as_ref().is_ok_and(mode::Mode::is_shut);
    let found = match mode {
        Err(e) => Err(e.to_string()),
        Ok(mode) if mode.is_shut() && !mode.guardian.as_ref().is_some_and(|g| g.alive) => {
            Err(mode.in_words())
        }
        Ok(mode) => Ok(mode.in_words()),
    };
    let fix =
        format!("find out which run froze it; when none is left: flow thaw {name} --reason …");
    report.add("writers", found, &fix);
    shut
}

fn words(result: Result<String, flow_steps::means::host::HostError>) -> Result<String, String> {
    result
        .map(|text| text.trim().to_owned())
        .map_err(|e| e.to_string())
}
