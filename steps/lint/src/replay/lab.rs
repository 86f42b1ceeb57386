//! An empty database with nobody else in it, and a role that may do nothing outside it.

use super::cluster::Cluster;
use super::place::Server;
use super::wire::{Address, Login, Session, WireError};
use super::{Place, ReplayError};
use crate::clock::Deadline;

/// What every database and role made on a given server is called in front.
const PREFIX: &str = "flow_replay_";

/// What the prelude makes belongs to the owner; migrations may use all of it.
const GRANT: &str = "DO $$ DECLARE s name; BEGIN
  FOR s IN SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
    EXECUTE pg_catalog.format('GRANT ALL ON SCHEMA %I TO ROLE', s);
    EXECUTE pg_catalog.format('GRANT ALL ON ALL TABLES IN SCHEMA %I TO ROLE', s);
    EXECUTE pg_catalog.format('GRANT ALL ON ALL SEQUENCES IN SCHEMA %I TO ROLE', s);
    EXECUTE pg_catalog.format('GRANT EXECUTE ON ALL ROUTINES IN SCHEMA %I TO ROLE', s);
  END LOOP; END $$";

/// Where migrations are replayed. Dropping it removes it.
pub(super) struct Lab {
    pub(super) address: Address,
    /// Whom migrations run as.
    pub(super) login: Login,
    pub(super) database: String,
    /// The server's version in words.
    pub(super) version: String,
    owner: Owner,
}

enum Owner {
    /// The server goes, and everything with it.
    Cluster(#[expect(dead_code, reason = "it lives as long as the database does")] Cluster),
    /// A given server: database and role are dropped.
    Server {
        login: Login,
        database: String,
        role: bool,
    },
}

impl Lab {
    pub(super) fn open(
        place: &Place,
        setup: Option<&str>,
        until: Deadline,
    ) -> Result<Self, ReplayError> {
        let mut lab = match place {
            Place::Own { bin } => Self::own(Cluster::start(bin.as_deref(), until)?, until)?,
            Place::Server(url) => Self::on(url.parse()?, until)?,
        };
        if let Some(sql) = setup {
            lab.set_up(sql, until)?;
        }
        Ok(lab)
    }

    fn own(cluster: Cluster, until: Deadline) -> Result<Self, ReplayError> {
        let name = format!("{PREFIX}db");
        let login = Login {
            user: format!("{PREFIX}role"),
            password: String::new(),
        };
        let address = cluster.address();
        let mut session = Session::open(&address, &Cluster::owner(), "postgres", until)?;
        ask(
            &mut session,
            &format!("CREATE ROLE {} LOGIN", login.user),
            until,
        )?;
        let version = make(&mut session, &name, Some(&login.user), until)?;
        Ok(Self {
            address,
            login,
            database: name,
            version,
            owner: Owner::Cluster(cluster),
        })
    }

    /// A superuser would hand the server's machine to the migrations: then they get a role of their own.
    fn on(url: Server, until: Deadline) -> Result<Self, ReplayError> {
        let mut random = [0; 12];
        getrandom::fill(&mut random)
            .map_err(|e| ReplayError::Server(format!("this machine gives no randomness: {e}")))?;
        let name = format!(
            "{PREFIX}{}_{}",
            std::process::id(),
            hex::encode(&random[..6])
        );
        let mut session = Session::open(&url.address, &url.login, &url.database, until)?;
        let superuser = ask(
            &mut session,
            "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user",
            until,
        )?;
        let role = superuser.first().is_some_and(|is| is == "t");
        let mut lab = Self {
            address: url.address,
            login: url.login.clone(),
            database: name.clone(),
            version: String::new(),
            owner: Owner::Server {
                login: url.login,
                database: url.database,
                role,
            },
        };
        if role {
            lab.login = Login {
                user: name.clone(),
                password: hex::encode(random),
            };
            ask(
                &mut session,
                &format!("CREATE ROLE {name} LOGIN PASSWORD '{}'", lab.login.password),
                until,
            )?;
        }
        lab.version = make(&mut session, &name, role.then_some(name.as_str()), until)?;
        Ok(lab)
    }

    /// Runs the prelude with the owner's rights: it makes roles and extensions, which migrations may not.
    fn set_up(&mut self, sql: &str, until: Deadline) -> Result<(), ReplayError> {
        let login = match &self.owner {
            Owner::Cluster(_) => Cluster::owner(),
            Owner::Server { login, .. } => login.clone(),
        };
        let mut session = Session::open(&self.address, &login, &self.database, until)?;
        let answer = session.run(sql, false, until)?;
        match answer.refusal {
            None if answer.open => Err(ReplayError::Setup(
                "it leaves a transaction open".to_owned(),
            )),
            None => {
                let role = &self.login.user;
                ask(&mut session, &GRANT.replace("ROLE", role), until).map(drop)
            }
            Some(refusal) => {
                let line = refusal.position.map_or(String::new(), |at| {
                    let before: String = sql.chars().take(at.saturating_sub(1)).collect();
                    format!("line {}: ", before.matches('\n').count() + 1)
                });
                Err(ReplayError::Setup(format!("{line}{refusal}")))
            }
        }
    }

    pub(super) fn session(&self, until: Deadline) -> Result<Session, WireError> {
        Session::open(&self.address, &self.login, &self.database, until)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let Owner::Server {
            login,
            database,
            role,
        } = &self.owner
        else {
            return;
        };
        // Removing must not wait for ever for a server that is gone.
        let until = Deadline::after(std::time::Duration::from_secs(20));
        let Ok(mut session) = Session::open(&self.address, login, database, until) else {
            return;
        };
        let name = &self.database;
        drop(session.run(
            &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            false,
            until,
        ));
        if *role {
            drop(session.run(&format!("DROP ROLE IF EXISTS {name}"), false, until));
        }
    }
}

fn make(
    session: &mut Session,
    name: &str,
    owner: Option<&str>,
    until: Deadline,
) -> Result<String, ReplayError> {
    let owner = owner
        .map(|role| format!(" OWNER {role}"))
        .unwrap_or_default();
    ask(
        session,
        &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'{owner}"),
        until,
    )?;
    let version = ask(session, "SHOW server_version", until)?;
    let version = version.first().map_or("", String::as_str);
    let version = version.split(' ').next().unwrap_or_default();
    Ok(format!("PostgreSQL {version}"))
}

fn ask(session: &mut Session, sql: &str, until: Deadline) -> Result<Vec<String>, ReplayError> {
    let answer = session.run(sql, true, until)?;
    match answer.refusal {
        None => Ok(answer.rows),
        Some(refusal) => Err(ReplayError::Server(refusal.to_string())),
    }
}
