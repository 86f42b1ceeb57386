//! The hosts of an environment: which one is its own, which holds the database.

use crate::config::is_loopback;

/// What keeps an application's processes running on a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Supervisor {
    /// pm2, as where nothing else is said.
    #[default]
    Pm2,
    /// The systemd of the machine.
    Systemd,
    /// The systemd of the user who logs in.
    UserSystemd,
    /// docker compose, for the containers of a project.
    Compose,
}

impl Supervisor {
    /// In a word for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Supervisor::Pm2 => "pm2",
            Supervisor::Systemd => "systemd",
            Supervisor::UserSystemd => "systemd --user",
            Supervisor::Compose => "docker compose",
        }
    }

    /// The value of the key `supervisor`; nothing for pm2, which needs none.
    pub(super) fn value(self) -> Option<&'static str> {
        match self {
            Supervisor::Pm2 => None,
            Supervisor::Systemd => Some("{ kind = \"systemd\" }"),
            Supervisor::UserSystemd => {
                Some("{ kind = \"systemd\", program = [\"systemctl\", \"--user\"] }")
            }
            Supervisor::Compose => Some("{ kind = \"compose\" }"),
        }
    }
}

/// One host, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// What one types after `ssh`.
    pub ssh: Option<String>,
    /// The machine's id, once it was asked.
    pub machine_id: Option<String>,
    /// The home folder of the login there.
    pub home: Option<String>,
    /// Where the application is.
    pub app_dir: Option<String>,
    /// What keeps its processes running.
    pub supervisor: Supervisor,
    /// The names of its processes.
    pub processes: Vec<String>,
    /// Where it says that it is healthy.
    pub health: Option<String>,
    /// Whether only the host itself gets an answer there.
    pub health_from_host: bool,
    /// What stands before `psql`, its user, and the name of the database.
    pub database: Option<(Vec<String>, String, String)>,
    /// What the look at the host could not find out, one sentence each.
    pub remarks: Vec<String>,
}

impl Machine {
    pub(super) fn at(alias: Option<String>) -> Machine {
        Machine {
            ssh: alias,
            ..Machine::default()
        }
    }

    /// Whether the host has to ask its application itself: nobody else gets an answer, or this machine would answer.
    pub(super) fn asks_itself(&self) -> bool {
        self.health_from_host || self.health.as_deref().is_some_and(is_loopback)
    }

    /// Whether anything of the application is known to run there.
    pub(super) fn has_application(&self) -> bool {
        !self.processes.is_empty()
    }
}

/// One environment, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Its name, such as `prod`.
    pub name: String,
    /// Its own host, where the deploy runs the migration.
    pub own: Machine,
    /// Further hosts on which the application runs.
    pub further: Vec<Machine>,
    /// The host of the database, where no application runs.
    pub apart: Option<Machine>,
    /// Hosts of the ssh configuration that look as if they belonged to it.
    pub others: Vec<String>,
}

impl Place {
    /// Every host that was named for it.
    pub(super) fn machines(&self) -> impl Iterator<Item = &Machine> {
        [&self.own]
            .into_iter()
            .chain(&self.further)
            .chain(&self.apart)
    }

    /// The one of this alias.
    pub(super) fn machine(&mut self, alias: &str) -> Option<&mut Machine> {
        let all = [&mut self.own].into_iter();
        let mut all = all.chain(&mut self.further).chain(&mut self.apart);
        all.find(|machine| machine.ssh.as_deref() == Some(alias))
    }

    /// Gives each host its part, once they were looked at: one that has the database and nothing of the application is the
    /// database's; the environment's own is that with both, or else the first with the application.
    pub(super) fn arrange(&mut self) {
        if self.further.is_empty() || self.apart.is_some() {
            return;
        }
        let mut all = vec![std::mem::take(&mut self.own)];
        all.append(&mut self.further);
        let both = |machine: &Machine| machine.database.is_some() && machine.has_application();
        let alone = |machine: &&Machine| machine.database.is_some() && !machine.has_application();
        let runs = all.iter().any(Machine::has_application);
        if runs && !all.iter().any(both) && all.iter().filter(alone).count() == 1 {
            let at = all.iter().position(|machine| alone(&machine));
            self.apart = at.map(|at| all.remove(at));
        }
        let own = all.iter().position(both);
        let own = own.or_else(|| all.iter().position(Machine::has_application));
        self.own = all.remove(own.unwrap_or(0));
        self.further = all;
        if let Some(apart) = &mut self.apart {
            // That nothing of the application runs there is how it is meant.
            apart.remarks.clear();
            self.own
                .remarks
                .retain(|said| !said.contains("databases have"));
        }
        for machine in &mut self.further {
            machine
                .remarks
                .retain(|said| !said.contains("databases have"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(alias: &str, process: &str, has_database: bool) -> Machine {
        let database = (vec!["docker".to_owned()], "u".to_owned(), "n".to_owned());
        Machine {
            processes: [process]
                .into_iter()
                .filter(|name| !name.is_empty())
                .map(String::from)
                .collect(),
            database: has_database.then_some(database),
            ..Machine::at(Some(alias.to_owned()))
        }
    }

    fn arranged(all: &[Machine]) -> String {
        let mut place = Place {
            own: all[0].clone(),
            further: all[1..].to_vec(),
            ..Place::default()
        };
        place.arrange();
        let name = |machine: &Machine| machine.ssh.clone().unwrap_or_default();
        let further: Vec<String> = place.further.iter().map(name).collect();
        let apart = place.apart.as_ref().map_or("-".into(), name);
        format!("{} {} {apart}", name(&place.own), further.join("+"))
    }

    #[test]
    fn the_host_with_nothing_but_the_database_is_the_databases_and_no_host_is_lost() {
        let (web, worker) = (
            machine("web", "api", false),
            machine("worker", "jobs", false),
        );
        let (db, both) = (machine("db", "", true), machine("both", "api", true));
        let unknown = machine("unknown", "", false);
        for (given, wanted) in [
            (vec![&db, &web, &worker], "web worker db"),
            (vec![&web, &worker, &db], "web worker db"),
            (vec![&web, &both], "both web -"),
            (vec![&both, &db], "both db -"),
            (vec![&web, &db, &db], "web db+db -"),
            (vec![&unknown, &web], "web unknown -"),
            (vec![&unknown, &unknown], "unknown unknown -"),
            (vec![&db], "db  -"),
        ] {
            let given: Vec<Machine> = given.into_iter().cloned().collect();
            assert_eq!(arranged(&given), wanted);
        }
    }
}
