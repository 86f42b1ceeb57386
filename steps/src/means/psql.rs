//! PostgreSQL through `psql`: a database, and how to reach it. Everything runs through single processes on the database's
//! host.

use std::sync::Arc;

use flow_engine::step::{Cx, StepError};
use orphans::SessionName;
use serde::{Deserialize, Serialize};

use crate::means::host::{Host, HostError};
use crate::means::reach;

pub(crate) mod client;
pub(crate) mod marker;
pub(crate) mod orphans;
pub(crate) mod sessions;
pub mod text;
pub(crate) mod words;

/// A database, and how to reach it: a parameter of every step here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// The host's name in the configuration.
    pub host: String,
    /// What to put in front of every PostgreSQL program, such as `docker exec -i supabase_db_app`; may be empty.
    /// Without a terminal: `docker exec -t` would change line ends and spoil a dump.
    #[serde(default)]
    pub exec: Vec<String>,
    /// The role; must be allowed to create and rename databases.
    pub user: String,
    /// The database's name, unquoted.
    pub name: String,
    /// The database to connect to while `name` must have no sessions, such as `template1`. Never `name` itself.
    pub maintenance: String,
    /// The folder of the PostgreSQL programs when it is not in the `PATH`.
    #[serde(default)]
    pub bin: Option<String>,
}

impl Database {
    /// In words, for summaries.
    pub(crate) fn words(&self) -> String {
        format!("database `{}` on `{}`", self.name, self.host)
    }

    /// Finds the host and checks what the configuration says. Connects to nothing yet.
    ///
    /// # Errors
    /// [`StepError::Fail`] for a host or a name that cannot be used.
    pub fn open(&self, cx: &Cx) -> Result<Pg, StepError> {
        let mut pg = Pg::new(reach::host(cx, &self.host)?, self.clone())?;
        pg.session = SessionName::of(cx.run_id().as_str(), &cx.idempotency_key())?;
        Ok(pg)
    }
}

/// Whether `psql -d` would read a text as the name of a database: of 1 to 63 bytes, and no connection string.
pub fn is_database(name: &str) -> bool {
    let odd = |c: char| c.is_control() || c == '=' || c == '/';
    !name.is_empty() && name.len() <= 63 && !name.starts_with('-') && !name.contains(odd)
}

/// An opened [`Database`].
#[derive(Clone)]
pub struct Pg {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) db: Database,
    /// What its sessions call themselves.
    pub(crate) session: SessionName,
}

impl Pg {
    /// Refuses names `psql -d` would read as a connection string, and a maintenance database that is the database.
    pub(crate) fn new(host: Arc<dyn Host>, db: Database) -> Result<Self, PgError> {
        for name in [&db.name, &db.maintenance] {
            if !is_database(name) {
                return Err(PgError::Config(format!(
                    "`{}` is no usable database name",
                    name.escape_debug()
                )));
            }
        }
        if db.name == db.maintenance {
            return Err(PgError::Config(format!(
                "the maintenance database of `{}` must be another one, such as `template1`: a database with sessions cannot be renamed",
                db.name
            )));
        }
        Ok(Self {
            host,
            db,
            session: SessionName::none(),
        })
    }

    /// The same server, another database.
    pub(crate) fn on(&self, name: &str) -> Self {
        let db = Database {
            name: name.to_owned(),
            ..self.db.clone()
        };
        Self {
            host: Arc::clone(&self.host),
            db,
            session: self.session.clone(),
        }
    }
}

impl Pg {
    /// What tells this cluster from every other one, whatever its address. Asked of the maintenance database, which also
    /// answers while the live one is being replaced.
    pub(crate) async fn system_identifier(&self) -> Result<String, PgError> {
        let sql = "SELECT to_json(system_identifier::text)::text FROM pg_control_system();";
        let found = self.maintenance().rows(sql).await?.into_iter().next();
        found.ok_or_else(|| self.answer_error("no system identifier"))
    }
}

/// Why something with a database did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PgError {
    /// The host, or a program on it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// `psql` or `pg_dump` said no.
    #[error("database `{database}` on `{host}`: {message}")]
    Sql {
        /// The name of the host.
        host: String,
        /// The name of the database.
        database: String,
        /// The server's words, or the program's.
        message: String,
    },
    /// An answer that is not what was asked for.
    #[error("database `{database}` on `{host}` answered something that is not understood: {why}")]
    Answer {
        /// The name of the host.
        host: String,
        /// The name of the database.
        database: String,
        /// What is not understood.
        why: String,
    },
    /// Something that is configured cannot be used.
    #[error("{0}")]
    Config(String),
    /// A check that did not hold.
    #[error("{0}")]
    Check(String),
    /// A backup that is not what it was when it was made: another one helps.
    #[error("{0}")]
    Damaged(String),
    /// The connection broke while a database was closed for a swap.
    #[error("{0}; NOBODY CAN CONNECT to database `{1}` until the swap is finished")]
    Cut(#[source] Box<PgError>, String),
}

/// What `psql` says when there was no session, or it was ended: the question was not answered.
const NO_SESSION: [&str; 6] = [
    "connection to server",
    "could not connect",
    "server closed the connection",
    "terminating connection due to",
    "Cannot connect to the Docker daemon",
    "is not running",
];

impl PgError {
    /// Whether nothing was decided and another attempt is safe: no connection, or one that broke. Every operation
    /// of this module can be begun again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Cut(..) => true,
            Self::Host(e) => crate::means::reach::is_silence(e),
            Self::Sql { message, .. } => NO_SESSION.iter().any(|words| message.contains(words)),
            _ => false,
        }
    }

    /// Names the object in front of what the server said.
    pub(crate) fn about(self, object: &str) -> Self {
        match self {
            Self::Sql {
                host,
                database,
                message,
            } => Self::Sql {
                host,
                database,
                message: format!("{object}: {message}"),
            },
            other => other,
        }
    }
}

impl From<PgError> for StepError {
    fn from(e: PgError) -> Self {
        match &e {
            PgError::Host(host) => reach::error(host),
            _ if e.is_transient() => StepError::unreached(e.to_string()),
            _ => StepError::fail(e.to_string()),
        }
    }
}
