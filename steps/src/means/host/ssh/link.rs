//! The thread that owns one connection.
//!
//! libssh2 is not asynchronous: a session is one state machine that any call may advance. The thread steps all
//! channels until none moves, then sleeps in `poll` until the network, a caller or a clock has something new.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ssh2::{ErrorCode, Session};
use tokio::sync::oneshot;

use super::channel::{EAGAIN, Live, NotStarted, Request, What};
use super::connect::{Connected, Dialer};
use super::proxy::Proxy;
use super::sink::{Broken, outbound};
use crate::means::host::HostError;
use crate::means::host::local::CHUNK;

/// A connection nobody uses is closed: sshd's own idle rules, firewalls and laptops that sleep break it anyway.
const IDLE: Duration = Duration::from_mins(1);
/// One channel's read may take in the bytes another waits for, unseen by `poll`; this bounds how long they can wait.
const LOOK: Duration = Duration::from_millis(20);
/// How often to look whether a slow reader here has caught up.
const SLOW: Duration = Duration::from_millis(4);
/// Receive window of a channel: what may be under way to a slow reader.
const WINDOW: u32 = 2 * 1024 * 1024;
const PACKET: u32 = 32 * 1024;
/// `LIBSSH2_ERROR_CHANNEL_FAILURE`: the machine refuses another channel.
const REFUSED: i32 = -21;

/// A handle on the thread.
pub(super) struct Link {
    requests: Sender<Request>,
    waker: UnixStream,
    dead: Arc<AtomicBool>,
}

impl Link {
    /// Connects, on a thread of its own that then serves the connection until it is idle, broken or no longer held.
    pub(super) async fn open(dialer: Dialer) -> Result<Self, HostError> {
        let host = dialer.config.name.clone();
        let failed = |e: std::io::Error| HostError::Unreachable {
            host: host.clone(),
            why: e.to_string(),
        };
        let (waker, woken) = UnixStream::pair().map_err(failed)?;
        waker.set_nonblocking(true).map_err(failed)?;
        woken.set_nonblocking(true).map_err(failed)?;
        let (requests, inbox) = channel();
        let (ready_tx, ready) = oneshot::channel();
        let dead = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&dead);
        std::thread::Builder::new()
            .name(format!("ssh {host}"))
            .spawn(move || {
                let keepalive = dialer.config.keepalive.max(Duration::from_secs(2));
                match dialer.connect() {
                    Ok(connected) => {
                        if ready_tx.send(Ok(())).is_ok() {
                            Worker::new(connected, inbox, woken, keepalive).run(&flag);
                        }
                    }
                    // The caller may have lost patience.
                    Err(e) => drop(ready_tx.send(Err(e))),
                }
                flag.store(true, Ordering::Release);
            })
            .map_err(failed)?;
        ready.await.unwrap_or_else(|_| {
            Err(HostError::Unreachable {
                host: host.clone(),
                why: "the connection's thread ended".into(),
            })
        })?;
        Ok(Self {
            requests,
            waker,
            dead,
        })
    }

    pub(super) fn alive(&self) -> bool {
        !self.dead.load(Ordering::Acquire)
    }

    /// Takes the connection for dead, so that the next caller opens another.
    pub(super) fn bury(&self) {
        self.dead.store(true, Ordering::Release);
    }

    pub(super) fn send(&self, request: Request) {
        if let Err(back) = self.requests.send(request) {
            drop(back.0.started.send(Err(NotStarted::LinkDied)));
        }
        self.wake();
    }

    pub(super) fn wake(&self) {
        // A full pipe means that the thread will wake up anyway; a closed one that it has ended.
        drop((&self.waker).write(&[1]));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.wake();
    }
}

struct Worker {
    session: Session,
    socket: std::os::fd::OwnedFd,
    inbox: Receiver<Request>,
    woken: UnixStream,
    /// Nobody can send requests any more.
    orphan: bool,
    queue: VecDeque<Request>,
    /// libssh2 has begun to open a channel for the first of the queue; that call must be repeated until it is done.
    opening: bool,
    open_stuck: bool,
    live: Vec<Live>,
    /// How many channels the machine allows (sshd's `MaxSessions`, 10 unless set); learned from its refusal.
    most: usize,
    keepalive: Duration,
    heard: Instant,
    asked: Instant,
    used: Instant,
    buffer: Vec<u8>,
    /// What carries the connection; the last to go.
    _proxy: Option<Proxy>,
}

impl Worker {
    fn new(
        connected: Connected,
        inbox: Receiver<Request>,
        woken: UnixStream,
        keepalive: Duration,
    ) -> Self {
        let Connected {
            session,
            socket,
            proxy,
        } = connected;
        session.set_blocking(false);
        session.set_keepalive(true, u32::try_from(keepalive.as_secs()).unwrap_or(u32::MAX));
        let now = Instant::now();
        Self {
            session,
            socket,
            inbox,
            woken,
            orphan: false,
            queue: VecDeque::new(),
            opening: false,
            open_stuck: false,
            live: Vec::new(),
            most: usize::MAX,
            keepalive,
            heard: now,
            asked: now,
            used: now,
            buffer: vec![0; CHUNK],
            _proxy: proxy,
        }
    }

    fn run(mut self, dead: &AtomicBool) {
        let broken = loop {
            self.receive();
            if self.settle().is_err() {
                break true;
            }
            let busy = self.opening || !self.live.is_empty() || !self.queue.is_empty();
            if busy {
                self.used = Instant::now();
            } else if self.orphan || self.used.elapsed() > IDLE {
                break false;
            }
            if self.sleep(busy).is_err() {
                break true;
            }
        };
        dead.store(true, Ordering::Release);
        self.receive();
        for live in &mut self.live {
            live.lost();
        }
        for request in self.queue.drain(..) {
            drop(request.started.send(Err(NotStarted::LinkDied)));
        }
        if !broken {
            // Good manners only: the socket is closed next.
            drop(self.session.disconnect(None, "done", None));
        }
    }

    fn receive(&mut self) {
        loop {
            match self.inbox.try_recv() {
                Ok(request) => self.queue.push_back(request),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.orphan = true;
                    return;
                }
            }
        }
    }

    /// Steps everything until two rounds in a row have moved nothing: the first may have taken in, through one
    /// channel, what another waits for.
    fn settle(&mut self) -> Result<(), Broken> {
        let mut still = 0;
        while still < 2 {
            let mut moved = self.open()?;
            for live in &mut self.live {
                moved |= live.step(&self.session, &mut self.buffer)?;
            }
            self.live.retain(|live| !live.closed());
            if moved {
                self.heard = Instant::now();
            }
            still = if moved { 0 } else { still + 1 };
        }
        Ok(())
    }

    fn open(&mut self) -> Result<bool, Broken> {
        if !self.opening {
            self.forget_late();
            if self.queue.is_empty() || self.live.len() >= self.most {
                return Ok(false);
            }
        }
        let Some(first) = self.queue.front() else {
            return Ok(false);
        };
        let answer = match &first.what {
            What::Exec(..) => self.session.channel_open("session", WINDOW, PACKET, None),
            What::Tcp(host, port) => self.session.channel_direct_tcpip(host, *port, None),
        };
        let code = answer.as_ref().err().map(ssh2::Error::code);
        if code == Some(ErrorCode::Session(EAGAIN)) {
            self.opening = true;
            self.open_stuck = outbound(&self.session);
            return Ok(false);
        }
        (self.opening, self.open_stuck) = (false, false);
        match answer {
            Ok(channel) => {
                if let Some(request) = self.queue.pop_front() {
                    self.live.push(Live::new(channel, request));
                }
                Ok(true)
            }
            Err(e) if e.code() == ErrorCode::Session(REFUSED) => {
                self.refused();
                Ok(true)
            }
            Err(_) => Err(Broken),
        }
    }

    /// With others running, a refusal is taken for the limit on sessions, and the request waits for one to end.
    fn refused(&mut self) {
        let session = self
            .queue
            .front()
            .is_some_and(|first| matches!(first.what, What::Exec(..)));
        if session && !self.live.is_empty() {
            self.most = self.live.len();
        } else if let Some(request) = self.queue.pop_front() {
            let why = match &request.what {
                What::Exec(..) => "the machine refuses sessions for this user".to_owned(),
                What::Tcp(host, port) => {
                    format!("the machine cannot or may not connect to {host}:{port}")
                }
            };
            drop(request.started.send(Err(NotStarted::Refused(why))));
        }
    }

    /// Requests whose time ran out, or whose caller went away, while they waited for their turn.
    fn forget_late(&mut self) {
        let now = Instant::now();
        let most = self.most;
        for request in std::mem::take(&mut self.queue) {
            if request.exit.is_closed() {
                continue;
            }
            if request.until.is_some_and(|until| now >= until) {
                let why = format!(
                    "the machine allows {most} processes at a time, and none ended in time"
                );
                drop(request.started.send(Err(NotStarted::Refused(why))));
                continue;
            }
            self.queue.push_back(request);
        }
    }

    fn sleep(&mut self, busy: bool) -> Result<(), Broken> {
        let stuck = self.open_stuck || self.live.iter().any(Live::stuck);
        let reading = self.opening || self.live.iter().any(Live::wants_input);
        let blocked = self.live.iter().any(Live::blocked);
        self.stay_alive(reading, stuck)?;
        let mut flags = PollFlags::RDHUP;
        flags.set(PollFlags::IN, reading);
        flags.set(PollFlags::OUT, stuck);
        let patience = match (blocked, busy) {
            (true, _) => SLOW,
            (false, true) => LOOK,
            (false, false) => IDLE,
        };
        let (network, woken) = self.poll(flags, patience)?;
        if network.contains(PollFlags::IN) {
            self.heard = Instant::now();
        }
        let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        // With channels open, what was sent before the end is read first; the read then says so itself.
        if network.intersects(gone) && !reading {
            return Err(Broken);
        }
        if woken {
            let mut sink = [0; 64];
            while (&self.woken).read(&mut sink).is_ok_and(|n| n == sink.len()) {}
        }
        Ok(())
    }

    fn poll(&self, flags: PollFlags, patience: Duration) -> Result<(PollFlags, bool), Broken> {
        let mut fds = [
            PollFd::from_borrowed_fd(self.socket.as_fd(), flags),
            PollFd::from_borrowed_fd(self.woken.as_fd(), PollFlags::IN),
        ];
        let timeout = Timespec::try_from(patience).map_err(|_| Broken)?;
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) => Ok((fds[0].revents(), !fds[1].revents().is_empty())),
            Err(rustix::io::Errno::INTR) => Ok((PollFlags::empty(), false)),
            Err(_) => Err(Broken),
        }
    }

    /// Asks a silent machine for a sign of life, and gives it up after three times that without one.
    fn stay_alive(&mut self, reading: bool, stuck: bool) -> Result<(), Broken> {
        let now = Instant::now();
        if !reading && !stuck {
            // Not listening: silence proves nothing.
            self.heard = now;
            return Ok(());
        }
        if now.duration_since(self.heard) >= self.keepalive * 3 {
            return Err(Broken);
        }
        if now.duration_since(self.asked) < self.keepalive || stuck {
            return Ok(());
        }
        // libssh2 forgets a half-sent keepalive and can then send nothing else: only when there is room for it.
        let (network, _) = self.poll(PollFlags::OUT, Duration::ZERO)?;
        if network.contains(PollFlags::OUT) {
            self.asked = now;
            self.session.keepalive_send().map_err(|_| Broken)?;
        }
        Ok(())
    }
}
