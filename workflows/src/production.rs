//! What production itself says of the things that a run may leave unusual: for the moment when nobody drives the run and
//! its journal is not enough. Touches nothing.

use std::time::Duration;

use flow_steps::means::host::{Command, Host, HostError, HostExt as _};
use flow_steps::means::standing::{Access, HostFacts};
use flow_steps::pm2;
use futures_util::future::{join, join_all};

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
    /// What an environment's hosts say: whether its database takes writes and connections, and which of the application's
    /// processes run on each. What cannot be found out is said as such, never guessed. Bounded in time: nobody waits for one
    /// host longer than for all of them.
    pub async fn ask_host(&self, environment: &str) -> HostSays {
        let environments = self.config.environments();
        let Some((_, env)) = environments.iter().find(|(name, _)| *name == environment) else {
            return HostSays::nothing(environment);
        };
        let hosts = &self.hosts();
        let (store, _) = env.database_host(environment);
        let Ok(keeper) = hosts.get(store) else {
            return HostSays::nothing(store);
        };
        let own = (environment, *env);
        let further = env.machines.iter();
        let machines: Vec<_> = [own]
            .into_iter()
            .chain(further.map(|machine| (machine.name.as_str(), &machine.env)))
            .collect();
        let each = machines.iter().map(|(name, env)| async move {
            let Ok(host) = hosts.get(name) else {
                return Err(format!("no host of the name `{name}` is configured"));
            };
            let (program, application) = (env.program(), env.application());
            in_time(pm2::whose(&*host, &program, &application)).await
        });
        let database = in_time(access(&*keeper, &env.database));
        let (database, processes) = join(database, join_all(each)).await;
        let facts = HostFacts {
            access: database.as_ref().ok().map(|(access, _)| *access),
            all_up: all_up(&processes),
        };
        let mut lines = vec![match database {
            Ok((_, words)) => words,
            Err(why) => format!("the database `{}`: not known: {why}", env.database.name),
        }];
        for ((name, env), found) in machines.iter().zip(processes) {
            let mut head = env.application().supervisor.name().to_owned();
            if machines.len() > 1 {
                head = format!("{head} on `{name}`");
            }
            lines.push(match found {
                Ok(found) => format!("{head}: {}", found.words),
                Err(why) => format!("{head}: not known: {why}"),
            });
        }
        HostSays { lines, facts }
    }
}

/// No longer than one question may take.
async fn in_time<T>(asked: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    answer.unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

/// Down where one host says so; up only where each one does.
fn all_up(hosts: &[Result<pm2::Whose, String>]) -> Option<bool> {
    let is_down = |found: &Result<pm2::Whose, String>| found.as_ref().is_ok_and(|f| !f.all_up);
    if hosts.iter().any(is_down) {
        return Some(false);
    }
    hosts.iter().all(Result::is_ok).then_some(true)
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
    fn all_are_up_only_where_each_host_says_so_and_down_where_one_does() {
        let up = |all_up| {
            let words = String::new();
            Ok(pm2::Whose { words, all_up })
        };
        let silent = || Err("no answer in time".to_owned());
        for (hosts, wanted) in [
            (vec![up(true), up(true)], Some(true)),
            (vec![up(true), silent()], None),
            (vec![silent(), up(false)], Some(false)),
            (vec![up(true), up(false)], Some(false)),
        ] {
            assert_eq!(all_up(&hosts), wanted, "{hosts:?}");
        }
    }

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
