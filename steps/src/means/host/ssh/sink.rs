//! Where the output of a channel goes.

use std::io::{ErrorKind, Read as _};

use bytes::Bytes;
use ssh2::{BlockDirections, Channel, Session};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::greeting::{Greeting, Heard};

/// The connection as a whole is gone.
pub(super) struct Broken;

/// Where one stream goes: at most one chunk waits here, the rest in the receiver and in the ssh window.
pub(super) struct Sink {
    id: i32,
    /// Gone when nobody listens any more.
    pub(super) to: Option<mpsc::Sender<Bytes>>,
    pub(super) held: Option<Bytes>,
    /// A read has half a window adjustment to send; see [`outbound`].
    pub(super) stuck: bool,
    /// While nothing of what was asked for has come; nothing for a tunnel.
    greeting: Option<Greeting>,
    heard: Heard,
}

impl Sink {
    pub(super) fn new(
        id: i32,
        to: mpsc::Sender<Bytes>,
        (greeting, heard): (Option<Greeting>, Heard),
    ) -> Self {
        Self {
            id,
            to: Some(to),
            held: None,
            stuck: false,
            greeting,
            heard,
        }
    }

    /// What was printed instead of an answer, when nothing of what was asked for has come.
    pub(super) fn only_greeted(&self) -> Option<String> {
        self.greeting.as_ref().map(Greeting::words)
    }

    fn hold(&mut self, bytes: &[u8]) {
        let Some(greeting) = &mut self.greeting else {
            self.held = Some(Bytes::copy_from_slice(bytes));
            return;
        };
        if let Some(rest) = greeting.take(bytes, &self.heard) {
            self.greeting = None;
            self.held = (!rest.is_empty()).then_some(rest);
        }
    }

    /// Hands on what is held; whether there is room for more.
    pub(super) fn flush(&mut self) -> bool {
        let Some(bytes) = self.held.take() else {
            return true;
        };
        match self.to.as_ref().map(|to| to.try_send(bytes)) {
            Some(Err(TrySendError::Full(bytes))) => {
                self.held = Some(bytes);
                false
            }
            // Nobody listens: the bytes are thrown away, so that the process does not block.
            _ => true,
        }
    }

    pub(super) fn pump(
        &mut self,
        session: &Session,
        channel: &Channel,
        buffer: &mut [u8],
    ) -> Result<bool, Broken> {
        let mut moved = false;
        while self.flush() {
            match channel.stream(self.id).read(buffer) {
                Ok(0) => {
                    self.stuck = false;
                    break;
                }
                Ok(n) => {
                    self.stuck = false;
                    moved = true;
                    self.hold(&buffer[..n]);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.stuck = outbound(session);
                    break;
                }
                Err(_) => return Err(Broken),
            }
        }
        Ok(moved)
    }
}

/// Whether libssh2 has half a packet to send.
pub(super) fn outbound(session: &Session) -> bool {
    matches!(
        session.block_directions(),
        BlockDirections::Outbound | BlockDirections::Both
    )
}
