//! One process (or tunnel) of a connection: a state machine that is stepped whenever something may have changed.

use std::io::{ErrorKind, Write as _};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use ssh2::{Channel, ErrorCode, Session};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::greeting::{Greeting, Heard, Word};
use super::sink::{Broken, Sink, outbound};
use crate::means::host::local::CHUNK;
use crate::means::host::{Exit, HostError};

/// `LIBSSH2_ERROR_EAGAIN`: it would block; try again when the socket is ready.
pub(super) const EAGAIN: i32 = -37;

/// What a channel is opened for.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// Run this line, which says the word first.
    Exec(String, Word),
    /// Connect to this address from the remote machine.
    Tcp(String, u16),
}

/// Why nothing was started.
#[derive(Debug)]
pub(super) enum NotStarted {
    /// The connection was dead already: another one may be tried.
    LinkDied,
    /// The machine said no.
    Refused(String),
}

/// One process to start, with the ends of its streams.
pub(super) struct Request {
    pub(super) what: What,
    pub(super) host: String,
    pub(super) program: String,
    pub(super) heard: Heard,
    /// What goes to standard input first.
    pub(super) input: Bytes,
    /// What follows; standard input ends with it.
    pub(super) source: Option<mpsc::Receiver<Bytes>>,
    pub(super) stdout: mpsc::Sender<Bytes>,
    pub(super) stderr: mpsc::Sender<Bytes>,
    pub(super) exit: oneshot::Sender<Result<Exit, HostError>>,
    pub(super) started: oneshot::Sender<Result<(), NotStarted>>,
    pub(super) until: Option<Instant>,
    pub(super) seconds: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The request to run the program is on its way.
    Starting,
    /// Bytes go both ways.
    Running,
    /// Both streams have ended; the machine has yet to say how.
    Ending,
    /// Our side of the closing.
    Closing,
    Closed,
}

/// One open channel.
pub(super) struct Live {
    channel: Channel,
    request: Option<Answer>,
    what: What,
    host: String,
    program: String,
    until: Option<Instant>,
    seconds: u64,
    stage: Stage,
    input: Bytes,
    source: Option<mpsc::Receiver<Bytes>>,
    eof_sent: bool,
    out: Sink,
    err: Sink,
    /// libssh2 holds half a packet of this operation: nothing else can be sent before it is called again.
    write_stuck: bool,
    eof_stuck: bool,
}

struct Answer {
    exit: oneshot::Sender<Result<Exit, HostError>>,
    started: Option<oneshot::Sender<Result<(), NotStarted>>>,
}

/// An operation that has to be called again later, or its failure.
fn again<T>(answer: Result<T, ssh2::Error>) -> Result<Option<T>, ssh2::Error> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.code() == ErrorCode::Session(EAGAIN) => Ok(None),
        Err(e) => Err(e),
    }
}

impl Live {
    pub(super) fn new(channel: Channel, request: Request) -> Self {
        let (stage, word) = match &request.what {
            What::Exec(_, word) => (Stage::Starting, Some(word)),
            What::Tcp(..) => (Stage::Running, None),
        };
        let before = || (word.map(Greeting::new), Arc::clone(&request.heard));
        let out = Sink::new(0, request.stdout, before());
        let err = Sink::new(1, request.stderr, before());
        let mut live = Self {
            channel,
            what: request.what,
            request: Some(Answer {
                exit: request.exit,
                started: Some(request.started),
            }),
            host: request.host,
            program: request.program,
            until: request.until,
            seconds: request.seconds,
            stage,
            input: request.input,
            source: request.source,
            eof_sent: false,
            out,
            err,
            write_stuck: false,
            eof_stuck: false,
        };
        if stage == Stage::Running {
            live.started(Ok(()));
        }
        live
    }

    pub(super) fn closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    /// Whether this channel waits for bytes from the network, as opposed to a slow reader here.
    pub(super) fn wants_input(&self) -> bool {
        self.stage != Stage::Running || self.out.held.is_none() || self.err.held.is_none()
    }

    /// Whether a reader here is too slow; nothing tells this thread when it has caught up.
    pub(super) fn blocked(&self) -> bool {
        self.out.held.is_some() || self.err.held.is_some()
    }

    /// Whether half a packet waits for room in the socket.
    pub(super) fn stuck(&self) -> bool {
        self.write_stuck || self.eof_stuck || self.out.stuck || self.err.stuck
    }

    /// Does whatever can be done without waiting; whether anything was.
    pub(super) fn step(&mut self, session: &Session, buffer: &mut [u8]) -> Result<bool, Broken> {
        self.give_up();
        match self.stage {
            Stage::Starting => self.start(session),
            Stage::Running => self.pump(session, buffer),
            Stage::Ending => self.end(),
            Stage::Closing => self.close(session, buffer),
            Stage::Closed => Ok(false),
        }
    }

    /// The connection is gone.
    pub(super) fn lost(&mut self) {
        self.started(Ok(()));
        let lost = HostError::Lost {
            host: self.host.clone(),
            program: self.program.clone(),
        };
        self.finish(Err(lost));
    }

    fn started(&mut self, how: Result<(), NotStarted>) {
        if let Some(started) = self
            .request
            .as_mut()
            .and_then(|answer| answer.started.take())
        {
            // A caller that has gone needs no answer.
            drop(started.send(how));
        }
    }

    fn finish(&mut self, how: Result<Exit, HostError>) {
        self.out.to = None;
        self.err.to = None;
        if let Some(answer) = self.request.take() {
            drop(answer.exit.send(how));
        }
    }

    /// Past its deadline, or nobody waits for it any more.
    fn give_up(&mut self) {
        if matches!(self.stage, Stage::Closing | Stage::Closed) {
            return;
        }
        let late = self.until.is_some_and(|until| Instant::now() >= until);
        let alone = self
            .request
            .as_ref()
            .is_none_or(|answer| answer.exit.is_closed());
        if late || alone {
            self.started(Ok(()));
            self.finish(Err(HostError::Deadline {
                host: self.host.clone(),
                program: self.program.clone(),
                seconds: self.seconds,
            }));
            self.stage = Stage::Closing;
        }
    }

    fn start(&mut self, session: &Session) -> Result<bool, Broken> {
        let What::Exec(line, word) = &self.what else {
            return Ok(false);
        };
        match again(self.channel.exec(&word.before(line))) {
            Ok(Some(())) => {
                self.started(Ok(()));
                self.stage = Stage::Running;
                self.eof_stuck = false;
                Ok(true)
            }
            Ok(None) => {
                self.eof_stuck = outbound(session);
                Ok(false)
            }
            // LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED: the machine answered, and the answer is no.
            Err(e) if e.code() == ErrorCode::Session(-22) => {
                self.started(Err(NotStarted::Refused(
                    "the machine refuses to run commands for this user".into(),
                )));
                self.request = None;
                self.stage = Stage::Closing;
                Ok(true)
            }
            Err(_) => Err(Broken),
        }
    }

    fn pump(&mut self, session: &Session, buffer: &mut [u8]) -> Result<bool, Broken> {
        let mut moved = self.write(session)?;
        moved |= self.out.pump(session, &self.channel, buffer)?;
        moved |= self.err.pump(session, &self.channel, buffer)?;
        if self.channel.eof()
            && self.out.flush()
            && self.err.flush()
            && !self.write_stuck
            && !self.eof_stuck
        {
            self.stage = Stage::Ending;
            moved = true;
        }
        Ok(moved)
    }

    fn write(&mut self, session: &Session) -> Result<bool, Broken> {
        let mut moved = false;
        loop {
            if self.input.is_empty() {
                match self.source.as_mut().map(mpsc::Receiver::try_recv) {
                    Some(Ok(bytes)) => self.input = bytes,
                    Some(Err(TryRecvError::Empty)) => return Ok(moved),
                    Some(Err(TryRecvError::Disconnected)) | None => {
                        return Ok(moved | self.write_eof(session));
                    }
                }
                continue;
            }
            // A write without window would clear libssh2's note that another channel has half a packet to send.
            if !self.write_stuck && self.channel.write_window().remaining == 0 {
                return Ok(moved);
            }
            match self
                .channel
                .stream(0)
                .write(&self.input[..self.input.len().min(CHUNK)])
            {
                Ok(n) => {
                    self.write_stuck = false;
                    self.input.advance(n);
                    moved = true;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.write_stuck = outbound(session);
                    return Ok(moved);
                }
                // The process no longer reads. A broken connection shows in the read that follows.
                Err(_) => {
                    self.write_stuck = false;
                    self.input = Bytes::new();
                    self.source = None;
                    self.eof_sent = true;
                    return Ok(true);
                }
            }
        }
    }

    fn write_eof(&mut self, session: &Session) -> bool {
        if self.eof_sent {
            return false;
        }
        let waits = matches!(again(self.channel.send_eof()), Ok(None));
        self.eof_stuck = waits && outbound(session);
        self.eof_sent = !waits;
        !waits
    }

    /// `exit_status` is 0 when none has come, so it counts only after a clean end of file and close, without a signal.
    fn end(&mut self) -> Result<bool, Broken> {
        match again(self.channel.wait_close()) {
            Ok(None) => return Ok(false),
            Ok(Some(())) => {}
            Err(_) => return Err(Broken),
        }
        let signal = self.channel.exit_signal().map_err(|_| Broken)?.exit_signal;
        let code = self.channel.exit_status().map_err(|_| Broken)?;
        let how = signal.map_or(Exit::Code(code), Exit::Signal);
        let how = self.judge(how);
        self.finish(how);
        self.stage = Stage::Closing;
        Ok(true)
    }

    /// A login shell that ended before it came to what it was asked to run has run nothing, whatever its status. One that
    /// led a stream elsewhere ran it, and the answer is lost.
    fn judge(&self, how: Exit) -> Result<Exit, HostError> {
        let (host, program) = (self.host.clone(), self.program.clone());
        match (self.out.only_greeted(), self.err.only_greeted()) {
            (None, None) => Ok(how),
            (Some(out), Some(err)) => Err(HostError::Spawn {
                host,
                program,
                why: format!(
                    "the user's login shell {} before it ran anything; it said: {}",
                    how.in_words(),
                    format!("{out} {err}").trim()
                ),
            }),
            _ => Err(HostError::Lost { host, program }),
        }
    }

    fn close(&mut self, session: &Session, buffer: &mut [u8]) -> Result<bool, Broken> {
        // Half a packet must be finished by the call that began it, or the connection sends nothing ever again.
        if self.write_stuck {
            let size = self.input.len().min(CHUNK);
            self.write_stuck =
                self.channel.stream(0).write(&self.input[..size]).is_err() && outbound(session);
        }
        for sink in [&mut self.out, &mut self.err] {
            if sink.stuck {
                sink.held = None;
                sink.pump(session, &self.channel, buffer)?;
            }
        }
        if self.write_stuck || self.out.stuck || self.err.stuck {
            return Ok(false);
        }
        // The process is answered already: a failure here is the connection's, and shows elsewhere.
        if let Ok(None) = again(self.channel.close()) {
            self.eof_stuck = outbound(session);
            return Ok(false);
        }
        self.eof_stuck = false;
        self.stage = Stage::Closed;
        Ok(true)
    }
}
