//! What production itself says of the things that a run may leave unusual: for the moment when nobody drives the run and
//! its journal is not enough. Touches nothing.

use std::time::Duration;

use flow_steps::means::host::{Command, Host, HostError, HostExt as _};
use flow_steps::means::standing::{Access, HostFacts};
use flow_steps::pm2;

use crate::config::Database;
use crate::setup::Setup;

/// The longest one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a host said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSays {
    /// One line each.
    pub lines: Vec<String>,
    /// What of it is known for sure.
    pub facts: HostFacts,
}

impl HostSays {
    fn nothing(environment: &str) -> HostSays {
        HostSays {
            lines: vec![format!("no host of the name `{environment}` is configured")],
            facts: HostFacts::default(),
        }
    }
}

impl Setup {
    /// What an environment's host says: whether its database takes writes and connections, and which of the application's
    /// processes run. What cannot be found out is said as such, never guessed. Bounded in time.
    pub async fn ask_host(&self, environment: &str) -> HostSays {
        let environments = self.config.environments();
        let Some((_, env)) = environments.iter().find(|(name, _)| *name == environment) else {
            return HostSays::nothing(environment);
        };
        let hosts = self.hosts();
        let Ok(host) = hosts.get(environment) else {
            return HostSays::nothing(environment);
        };
        let (store, _) = env.database_host(environment);
        let Ok(keeper) = hosts.get(store) else {
            return HostSays::nothing(store);
        };
        let database = tokio::time::timeout(PATIENCE, access(&*keeper, &env.database)).await;
        let application = env.application();
        let program = env.program();
        let whose = pm2::whose(&*host, &program, &application);
        let processes = tokio::time::timeout(PATIENCE, whose).await;
        let late = || "no answer in time".to_owned();
        let database = database.unwrap_or_else(|_| Err(late()));
        let processes = processes.unwrap_or_else(|_| Err(late()));
        let facts = HostFacts {
            access: database.as_ref().ok().map(|(access, _)| *access),
            all_up: processes.as_ref().ok().map(|found| found.all_up),
        };
        let database = match database {
            Ok((_, words)) => words,
            Err(why) => format!("the database `{}`: not known: {why}", env.database.name),
        };
        let processes = match processes {
            Ok(found) => format!("pm2: {}", found.words),
            Err(why) => format!("pm2: not known: {why}"),
        };
        HostSays {
            lines: vec![database, processes],
            facts,
        }
    }
}

/// Asked beside the database itself, which may let nobody in.
async fn access(host: &dyn Host, database: &Database) -> Result<(Access, String), String> {
    let name = database.name.replace('\'', "''");
    let question = format!(
        "SELECT NOT d.datallowconn, EXISTS (SELECT FROM pg_db_role_setting s WHERE s.setdatabase = d.oid AND s.setrole = 0 \
         AND 'default_transaction_read_only=on' = ANY (s.setconfig)) FROM pg_database d WHERE d.datname = '{name}'"
    );
    let mut words = database.exec.clone();
    words.extend(
        [
            "psql",
            "-X",
            "-A",
            "-t",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
        ]
        .map(String::from),
    );
    words.extend([
        database.user.clone(),
        "-d".into(),
        database.maintenance.clone(),
    ]);
    words.extend(["-c".into(), question]);
    let Some((program, args)) = words.split_first() else {
        return Err("no program is configured".into());
    };
    let said: Result<String, HostError> =
        host.run(&Command::new(program.as_str()).args(args)).await;
    let said = said.map_err(|e| e.to_string())?;
    judged(&database.name, said.trim())
}

/// `closed|read-only`, each `t` or `f`.
fn judged(name: &str, said: &str) -> Result<(Access, String), String> {
    match said {
        "f|f" => Ok((
            Access::Writers,
            format!("the database `{name}` takes connections and writes"),
        )),
        "f|t" => Ok((
            Access::Readers,
            format!("the database `{name}` is READ-ONLY"),
        )),
        "t|f" | "t|t" => Ok((
            Access::Nobody,
            format!("the database `{name}` is CLOSED: nobody can connect"),
        )),
        "" => Ok((
            Access::Nobody,
            format!("there is NO DATABASE `{name}`: a swap of names was cut, or it was renamed"),
        )),
        other => Err(format!("the answer is `{}`", other.escape_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_none_is_not_guessed() {
        for (said, access, words) in [
            ("f|t", Access::Readers, "READ-ONLY"),
            ("t|t", Access::Nobody, "CLOSED"),
            ("f|f", Access::Writers, "takes connections and writes"),
            ("", Access::Nobody, "NO DATABASE"),
        ] {
            let (found, line) = judged("app", said).expect("an answer");
            assert_eq!(found, access, "{said}");
            assert!(line.contains(words), "{line}");
        }
        for none in ["t", "welcome\nf|f", "f|f|f"] {
            assert!(judged("app", none).is_err(), "{none}");
        }
    }
}
