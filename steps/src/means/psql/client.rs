//! Speaking to a server through `psql`.

use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::means::host::{Command, Exit, HostError, HostExt as _, Process, Stdin, last_words};
use crate::means::psql::marker::{Marker, Tail};
use crate::means::psql::{Pg, PgError, words};

/// The longest a dump, a restore or an open session may take. Measured: about 40 s for a GB to restore.
pub(crate) const LONG: Duration = Duration::from_hours(6);
/// The longest one question may take.
const SHORT: Duration = Duration::from_mins(15);
/// The most one answer of a session may hold.
const ANSWER_MAX: usize = 64 * 1024 * 1024;
/// How much of an error output is kept.
const ERROR_MAX: usize = 4096;

/// What every connection starts with, so that no setting of a role or database changes what a query means or how
/// a value reads. `row_security = off` makes hidden rows an error instead of a gap.
const PRELUDE: &str = "SET client_encoding = 'UTF8'; SET search_path = pg_catalog, pg_temp; SET TimeZone = 'UTC'; \
SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex'; \
SET row_security = off; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
SET lock_timeout = '60s';\n";

impl Pg {
    /// A PostgreSQL program behind the configured prefix.
    pub(crate) fn tool(&self, tool: &str) -> Command {
        let program = match &self.db.bin {
            Some(dir) => format!("{dir}/{tool}"),
            None => tool.to_owned(),
        };
        self.beside(&program)
    }

    /// A program that runs where the server does: behind the configured prefix.
    pub(crate) fn beside(&self, program: &str) -> Command {
        let mut words = self.db.exec.iter().cloned().chain([program.to_owned()]);
        let first = words.next().unwrap_or_default();
        Command::new(first).args(words)
    }

    fn psql(&self) -> Command {
        self.tool("psql")
            .args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"])
            // No `DETAIL`, in whatever language: it quotes rows.
            .args(["-v", "VERBOSITY=terse", "-U"])
            .args([self.db.user.as_str(), "-d", &self.conninfo()])
    }

    /// The database and what the session calls itself, as `psql` and `pg_dump` take them.
    pub(crate) fn conninfo(&self) -> String {
        let quoted = |text: &str| text.replace('\\', r"\\").replace('\'', r"\'");
        format!(
            "dbname='{}' application_name='{}'",
            quoted(&self.db.name),
            quoted(&self.session.in_words())
        )
    }

    /// What a host runs by itself to speak to the maintenance database, word by word; statements go to its input.
    pub(crate) fn psql_words(&self) -> Vec<String> {
        let command = self.maintenance().psql();
        let mut words = vec![command.program];
        words.extend(command.args);
        words
    }

    /// The same server's maintenance database.
    pub(crate) fn maintenance(&self) -> Self {
        self.on(&self.db.maintenance)
    }

    pub(crate) fn sql_error(&self, message: impl Into<String>) -> PgError {
        PgError::Sql {
            host: self.host.name().to_owned(),
            database: self.db.name.clone(),
            message: message.into(),
        }
    }

    pub(crate) fn answer_error(&self, why: impl Into<String>) -> PgError {
        PgError::Answer {
            host: self.host.name().to_owned(),
            database: self.db.name.clone(),
            why: why.into(),
        }
    }

    /// Runs statements in one connection and gives the lines they put out. For at most 15 minutes.
    ///
    /// # Errors
    /// [`PgError`]; a step turns it into its own with `?`, which keeps apart what was not answered and what was refused.
    pub async fn query(&self, sql: &str) -> Result<Vec<String>, PgError> {
        self.query_within(sql, SHORT).await
    }

    /// As [`Pg::query`], for statements that read whole tables: for at most 6 hours.
    ///
    /// # Errors
    /// As [`Pg::query`].
    pub async fn query_long(&self, sql: &str) -> Result<Vec<String>, PgError> {
        self.query_within(sql, LONG).await
    }

    async fn query_within(&self, sql: &str, deadline: Duration) -> Result<Vec<String>, PgError> {
        let marker = Marker::new()?;
        let text = format!("{PRELUDE}{sql}{}", marker.command());
        let command = self
            .psql()
            .stdin(Stdin::Bytes(text.into()))
            .deadline(deadline);
        let mut output = self.host.output(&command).await?;
        if !output.exit.success() {
            let said = failed(&output.exit, &output.stderr, &output.stdout);
            return Err(self.sql_error(said));
        }
        let end = marker.find(&output.stdout).ok_or_else(|| self.cut())?;
        output.stdout.truncate(end);
        let text = String::from_utf8(output.stdout).map_err(|_| self.answer_error("not UTF-8"))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// `psql` ended well, it seems, and without the end of its answer: which of the statements ran is unknown.
    fn cut(&self) -> PgError {
        let program = self.db.exec.first().map_or("psql", String::as_str);
        HostError::Lost {
            host: self.host.name().to_owned(),
            program: if program == "psql" {
                program.to_owned()
            } else {
                format!("{program} … psql")
            },
        }
        .into()
    }

    /// As [`Pg::query`], each line being JSON.
    ///
    /// # Errors
    /// As [`Pg::query`]; [`PgError::Answer`] for a line that is no such JSON.
    pub async fn rows<T: DeserializeOwned>(&self, sql: &str) -> Result<Vec<T>, PgError> {
        let lines = self.query(sql).await?;
        self.parse(&lines)
    }

    /// Lines of JSON.
    pub(crate) fn parse<T: DeserializeOwned>(&self, lines: &[String]) -> Result<Vec<T>, PgError> {
        let one = |line: &String| {
            // The error itself may quote the line.
            serde_json::from_str(line).map_err(|e| {
                let kind = format!("{:?}", e.classify()).to_lowercase();
                self.answer_error(format!("{kind} error in column {}", e.column()))
            })
        };
        lines.iter().map(one).collect()
    }

    /// Starts `psql` with its input open and nothing sent but the prelude.
    pub(crate) async fn feed(&self) -> Result<Feed, PgError> {
        let command = self.psql().stdin(Stdin::Piped).deadline(LONG);
        let feed = Feed::start(self, &command, Some(Marker::new()?)).await?;
        feed.send(PRELUDE.into()).await;
        Ok(feed)
    }

    /// As [`Pg::feed`], for a dump: errors tell the number of the line they are in.
    pub(crate) async fn feed_dump(&self) -> Result<Feed, PgError> {
        let numbered = self.psql().args(["-f", "-"]);
        let command = numbered.stdin(Stdin::Piped).deadline(LONG);
        let feed = Feed::start(self, &command, Some(Marker::new()?)).await?;
        feed.send(PRELUDE.into()).await;
        Ok(feed)
    }

    /// Starts statements whose output is streamed, such as `COPY … TO STDOUT`.
    pub(crate) async fn stream(&self, sql: &str) -> Result<Feed, PgError> {
        let marker = Marker::new()?;
        let text = format!("{PRELUDE}{sql}{}", marker.command());
        let command = self.psql().stdin(Stdin::Bytes(text.into())).deadline(LONG);
        Feed::start(self, &command, Some(marker)).await
    }

    /// Starts any program on the host.
    pub(crate) async fn start(&self, command: &Command) -> Result<Feed, PgError> {
        Feed::start(self, command, None).await
    }

    /// A connection that stays open, for a transaction that other programs look into.
    pub(crate) async fn session(&self) -> Result<Session, PgError> {
        let feed = self.feed().await?;
        Ok(Session {
            feed,
            rest: Vec::new(),
        })
    }
}

/// The end of what a failed program said, and how it ended.
fn failed(exit: &Exit, stderr: &[u8], stdout: &[u8]) -> String {
    let text = words::of_server(&last_words(exit, stderr, stdout));
    if text.is_empty() {
        format!("the program {} without a word", exit.in_words())
    } else {
        format!("{text} (the program {})", exit.in_words())
    }
}

/// A program under way, its streams in this program's hands. Dropping it gives the program up.
pub(crate) struct Feed {
    pg: Pg,
    stdin: Option<mpsc::Sender<Bytes>>,
    stdout: mpsc::Receiver<Bytes>,
    /// The first of its output: docker's words, when the program was never started.
    head: Vec<u8>,
    /// What the output must end with, when the program is `psql`.
    tail: Option<Tail>,
    stderr: JoinHandle<Vec<u8>>,
    exit: oneshot::Receiver<Result<Exit, HostError>>,
}

impl Feed {
    async fn start(pg: &Pg, command: &Command, end: Option<Marker>) -> Result<Self, PgError> {
        let Process {
            stdin,
            stdout,
            stderr,
            exit,
        } = pg.host.spawn(command).await?;
        Ok(Self {
            pg: pg.clone(),
            stdin,
            stdout,
            head: Vec::new(),
            tail: end.map(Tail::new),
            stderr: tokio::spawn(tail(stderr)),
            exit,
        })
    }

    /// Sends bytes. False when the program no longer reads; [`Feed::end`] tells why.
    pub(crate) async fn send(&self, bytes: Bytes) -> bool {
        match &self.stdin {
            Some(stdin) => stdin.send(bytes).await.is_ok(),
            None => false,
        }
    }

    /// The next piece of output; nothing at its end. Only [`Feed::end`] tells whether that was all of it.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let chunk = self.stdout.recv().await?;
            let room = ERROR_MAX - self.head.len().min(ERROR_MAX);
            self.head.extend_from_slice(&chunk[..chunk.len().min(room)]);
            let Some(tail) = &mut self.tail else {
                return Some(chunk);
            };
            let passed = tail.pass(&chunk);
            if !passed.is_empty() {
                return Some(passed.into());
            }
        }
    }

    /// Ends the program's input, reads its output to the end and says how it ended. Anything but 0 is an error that
    /// holds its last words; so is a `psql` that ended without having run everything.
    pub(crate) async fn end(mut self) -> Result<(), PgError> {
        if let Some(tail) = &self.tail {
            self.send(tail.marker.command().into()).await;
        }
        self.stdin = None;
        while self.next().await.is_some() {}
        let said = self.stderr.await.unwrap_or_default();
        let exit = self.exit.await.unwrap_or_else(|_| {
            Err(HostError::Lost {
                host: self.pg.host.name().to_owned(),
                program: "a database program".into(),
            })
        })?;
        if !exit.success() {
            return Err(self.pg.sql_error(failed(&exit, &said, &self.head)));
        }
        match self.tail {
            Some(tail) if !tail.is_whole() => Err(self.pg.cut()),
            _ => Ok(()),
        }
    }
}

async fn tail(mut stderr: mpsc::Receiver<Bytes>) -> Vec<u8> {
    let mut kept = Vec::new();
    while let Some(chunk) = stderr.recv().await {
        kept.extend_from_slice(&chunk);
        if kept.len() > 4 * ERROR_MAX {
            kept.drain(..kept.len() - ERROR_MAX);
        }
    }
    kept
}

/// A connection that stays open. Its transaction is rolled back when it is dropped.
pub(crate) struct Session {
    feed: Feed,
    rest: Vec<u8>,
}

impl Session {
    /// Runs statements and gives the lines they put out. The end of an answer is a random line `psql` is told to
    /// echo, so that no value can end it early.
    pub(crate) async fn ask(&mut self, sql: &str) -> Result<Vec<String>, PgError> {
        let marker = Marker::new()?;
        let text = format!("{sql}{}", marker.command());
        self.feed.send(text.into()).await;
        loop {
            // Only the end of what is there can be it: nothing more comes before the next question.
            if let Some(at) = marker.find(&self.rest) {
                let mut answer = std::mem::take(&mut self.rest);
                answer.truncate(at);
                let text = String::from_utf8(answer)
                    .map_err(|_| self.feed.pg.answer_error("not UTF-8"))?;
                return Ok(text.lines().map(str::to_owned).collect());
            }
            if self.rest.len() > ANSWER_MAX {
                return Err(self.feed.pg.answer_error("more than 64 MiB"));
            }
            match self.feed.stdout.recv().await {
                Some(chunk) => self.rest.extend_from_slice(&chunk),
                None => return Err(self.died().await),
            }
        }
    }

    async fn died(&mut self) -> PgError {
        let said = (&mut self.feed.stderr).await.unwrap_or_default();
        match (&mut self.feed.exit).await {
            Ok(Ok(exit)) if exit.success() => self.feed.pg.cut(),
            Ok(Ok(exit)) => self.feed.pg.sql_error(failed(&exit, &said, &self.rest)),
            Ok(Err(e)) => e.into(),
            Err(_) => self.feed.pg.sql_error("the session was lost"),
        }
    }

    /// As [`Session::ask`], each line being JSON.
    pub(crate) async fn rows<T: DeserializeOwned>(&mut self, sql: &str) -> Result<Vec<T>, PgError> {
        let lines = self.ask(sql).await?;
        self.feed.pg.parse(&lines)
    }

    /// Ends the connection; its exit status must be 0.
    pub(crate) async fn close(self) -> Result<(), PgError> {
        self.feed.end().await
    }
}
