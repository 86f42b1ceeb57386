//! The little of PostgreSQL's protocol a replay needs: one text as one message, as Prisma sends a migration.
//!
//! `psql` would do, but it gives backslashes a meaning (`\!` starts a shell) and quotes where an error is instead of counting.
//! Here a text is a text: it goes to the server as it is, and what is asked of this side (`COPY … FROM STDIN`) is refused.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::scram::Scram;
use crate::clock::Deadline;

/// Rows kept of one answer, in bytes; a migration's own output is not kept at all.
const ANSWER_MAX: usize = 64 << 20;
/// The most one notice or error may say.
const WORDS_MAX: usize = 64 << 10;
/// Version 3.0 of the protocol.
const VERSION: i32 = 196_608;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// The socket itself, not its folder.
    Unix(PathBuf),
    /// Host and port.
    Tcp(String, u16),
}

impl Address {
    /// Whether nobody else can listen in.
    fn is_private(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(host, _) => {
                host == "localhost"
                    || host
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|ip| ip.is_loopback())
            }
        }
    }
}

/// Who connects, and to which database.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// What the server says about a statement it refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// SQLSTATE, such as `42703`.
    pub(super) code: String,
    pub(super) message: String,
    pub(super) hint: String,
    /// Character in the text, from 1.
    pub(super) position: Option<usize>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

/// Why a server could not be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("no answer in time")]
    Late,
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("the server refused the connection: {0}")]
    Refused(Refusal),
    #[error("{0}")]
    Odd(String),
}

fn odd<T>(what: impl Into<String>) -> Result<T, WireError> {
    Err(WireError::Odd(what.into()))
}

/// What became of one text.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// First columns, when they were asked for.
    pub(super) rows: Vec<String>,
    pub(super) refusal: Option<Refusal>,
    /// A transaction was left open.
    pub(super) open: bool,
}

enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    fn limit(&self, left: Duration) -> io::Result<()> {
        let left = Some(left.max(Duration::from_millis(1)));
        match self {
            Self::Unix(s) => s
                .set_read_timeout(left)
                .and_then(|()| s.set_write_timeout(left)),
            Self::Tcp(s) => s
                .set_read_timeout(left)
                .and_then(|()| s.set_write_timeout(left)),
        }
    }

    fn parts(&mut self) -> &mut dyn ReadWrite {
        match self {
            Self::Unix(s) => s,
            Self::Tcp(s) => s,
        }
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// One session. Every call has a time by which it must be over; after an error the session is not to be used again.
pub(super) struct Session {
    socket: Socket,
    until: Deadline,
}

impl Session {
    /// Connects and logs in.
    pub(super) fn open(
        address: &Address,
        login: &Login,
        database: &str,
        until: Deadline,
    ) -> Result<Self, WireError> {
        let socket = match address {
            Address::Unix(path) => Socket::Unix(UnixStream::connect(path)?),
            Address::Tcp(host, port) => Socket::Tcp(dial(host, *port, until)?),
        };
        let mut session = Self { socket, until };
        let mut body = VERSION.to_be_bytes().to_vec();
        for (key, value) in [
            ("user", login.user.as_str()),
            ("database", database),
            ("application_name", "flow replay"),
            ("client_encoding", "UTF8"),
        ] {
            if value.contains('\0') {
                return odd(format!("the {key} holds a NUL"));
            }
            for word in [key, value] {
                body.extend_from_slice(word.as_bytes());
                body.push(0);
            }
        }
        body.push(0);
        session.send(None, &body)?;
        session.authenticate(login, address.is_private())?;
        Ok(session)
    }

    fn authenticate(&mut self, login: &Login, private: bool) -> Result<(), WireError> {
        let mut scram: Option<Scram> = None;
        loop {
            let (kind, length) = self.head()?;
            if kind == b'Z' {
                self.skip(length)?;
                return Ok(());
            }
            if kind == b'E' {
                return Err(WireError::Refused(refusal(&self.words(length)?)));
            }
            if kind != b'R' {
                self.skip(length)?;
                continue;
            }
            let body = self.words(length)?;
            self.answer(&body, (login, private), &mut scram)?;
        }
    }

    /// One question of the server about who this is.
    fn answer(
        &mut self,
        body: &[u8],
        (login, private): (&Login, bool),
        scram: &mut Option<Scram>,
    ) -> Result<(), WireError> {
        let (code, rest) = body.split_at_checked(4).unwrap_or((&[], &[]));
        match code {
            [0, 0, 0, 0] => Ok(()),
            [0, 0, 0, 3] if private => {
                let mut password = login.password.clone().into_bytes();
                password.push(0);
                self.send(Some(b'p'), &password)
            }
            [0, 0, 0, 3] => {
                odd("the server asks for the password in the clear, over a line others can read")
            }
            [0, 0, 0, 10] if rest.split(|b| *b == 0).any(|m| m == b"SCRAM-SHA-256") => {
                let begun = Scram::begin(&login.password).map_err(WireError::Odd)?;
                let first = begun.first();
                let mut body = b"SCRAM-SHA-256\0".to_vec();
                let length = i32::try_from(first.len()).unwrap_or(i32::MAX);
                body.extend_from_slice(&length.to_be_bytes());
                body.extend_from_slice(first.as_bytes());
                *scram = Some(begun);
                self.send(Some(b'p'), &body)
            }
            [0, 0, 0, 11] => {
                let Some(begun) = scram else {
                    return odd("the server answers a question that was not asked");
                };
                let last = begun.answer(rest).map_err(WireError::Odd)?;
                self.send(Some(b'p'), last.as_bytes())
            }
            [0, 0, 0, 12] if scram.as_ref().is_some_and(|begun| begun.proves(rest)) => Ok(()),
            [0, 0, 0, 12] => odd("the server does not know the password it asked for"),
            _ => odd(
                "the server asks for a way of logging in that is not spoken here (SCRAM-SHA-256, password and trust are)",
            ),
        }
    }

    /// Sends a text as one message and reads everything that comes of it. What the text puts out is kept only when asked for.
    pub(super) fn run(
        &mut self,
        sql: &str,
        keep: bool,
        until: Deadline,
    ) -> Result<Answer, WireError> {
        self.until = until;
        let mut body = sql.as_bytes().to_vec();
        body.push(0);
        self.send(Some(b'Q'), &body)?;
        let mut answer = Answer::default();
        let mut kept = 0_usize;
        loop {
            let (kind, length) = self.head()?;
            match kind {
                b'Z' => {
                    let state = self.words(length)?;
                    answer.open = state != b"I";
                    return Ok(answer);
                }
                b'E' => answer.refusal = Some(refusal(&self.words(length)?)),
                b'D' if keep => {
                    kept = kept.saturating_add(length);
                    if kept > ANSWER_MAX {
                        return odd("an answer of more than 64 MiB");
                    }
                    let row = self.exactly(length)?;
                    answer.rows.push(first_column(&row)?);
                }
                b'G' | b'W' => {
                    self.skip(length)?;
                    self.send(Some(b'f'), b"a replay has no data to copy\0")?;
                }
                _ => self.skip(length)?,
            }
        }
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) -> Result<(), WireError> {
        let Ok(length) = i32::try_from(body.len() + 4) else {
            return odd("a text of more than 2 GiB");
        };
        let mut message = Vec::with_capacity(body.len() + 5);
        message.extend(kind);
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(body);
        let mut rest = &message[..];
        while !rest.is_empty() {
            self.wait()?;
            match self.socket.parts().write(rest) {
                Ok(0) => return Err(WireError::Broken(io::ErrorKind::WriteZero.into())),
                Ok(n) => rest = &rest[n..],
                Err(e) => again(e)?,
            }
        }
        Ok(())
    }

    /// Kind of the next message, and how long its body is.
    fn head(&mut self) -> Result<(u8, usize), WireError> {
        let head = self.exactly(5)?;
        let length = i32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        match usize::try_from(length).ok().and_then(|n| n.checked_sub(4)) {
            Some(length) => Ok((head[0], length)),
            None => odd("not the protocol of PostgreSQL"),
        }
    }

    fn words(&mut self, length: usize) -> Result<Vec<u8>, WireError> {
        let kept = self.exactly(length.min(WORDS_MAX))?;
        self.skip(length.saturating_sub(WORDS_MAX))?;
        Ok(kept)
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, WireError> {
        let mut buffer = vec![0; length];
        self.fill(&mut buffer)?;
        Ok(buffer)
    }

    fn skip(&mut self, mut length: usize) -> Result<(), WireError> {
        let mut buffer = [0; 8192];
        while length > 0 {
            let part = length.min(buffer.len());
            self.fill(&mut buffer[..part])?;
            length -= part;
        }
        Ok(())
    }

    fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), WireError> {
        while !buffer.is_empty() {
            self.wait()?;
            match self.socket.parts().read(buffer) {
                Ok(0) => return Err(WireError::Broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => buffer = &mut buffer[n..],
                Err(e) => again(e)?,
            }
        }
        Ok(())
    }

    fn wait(&self) -> Result<(), WireError> {
        let left = self.until.left();
        if left.is_zero() {
            return Err(WireError::Late);
        }
        Ok(self.socket.limit(left)?)
    }
}

/// An interruption and a time that ran out are looked at again by the clock.
fn again(e: io::Error) -> Result<(), WireError> {
    match e.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Ok(()),
        _ => Err(e.into()),
    }
}

fn dial(host: &str, port: u16, until: Deadline) -> Result<TcpStream, WireError> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs()? {
        let left = until.left();
        if left.is_zero() {
            return Err(WireError::Late);
        }
        match TcpStream::connect_timeout(&address, left.min(Duration::from_secs(10))) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(last.into())
}

fn refusal(body: &[u8]) -> Refusal {
    let mut said = Refusal::default();
    for field in body.split(|b| *b == 0) {
        let Some((kind, value)) = field.split_first() else {
            continue;
        };
        let value: String = String::from_utf8_lossy(value)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(500)
            .collect();
        match kind {
            b'C' => said.code = value,
            b'M' => said.message = value,
            b'H' => said.hint = value,
            b'P' => said.position = value.parse().ok(),
            _ => {}
        }
    }
    said
}

fn first_column(row: &[u8]) -> Result<String, WireError> {
    let length = row.get(2..6).and_then(|b| b.try_into().ok());
    let length = usize::try_from(i32::from_be_bytes(length.unwrap_or([0; 4]))).unwrap_or(0);
    let text = row.get(6..6 + length).unwrap_or_default();
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => odd("an answer that is not UTF-8"),
    }
}
