//! For tests of steps, of this crate and of anybody's: whether a step keeps its contract ([`conforms`]), and hosts whose
//! connection breaks when the question asks for it ([`over`]).

use std::sync::Arc;

use async_trait::async_trait;
pub use flow_engine::testing::{
    Breach, Breaches, Clause, Conformance, Exchange, KEY, Line, Lost, World, conforms,
};
use tokio::sync::oneshot;

use crate::means::host::{Command, Exit, Host, HostError, Hosts, Process};

#[cfg(test)]
mod tests;

/// The kinds of shipped steps whose conformance the tests of this crate ask, with real parts.
pub const ASKED: [&str; 12] = [
    "deploy.in-place",
    "deploy.script",
    "gate.promotion",
    "git.code",
    "host.identity",
    "host.lease",
    "http.health",
    "mail.notify",
    "people.checklist",
    "people.signoff",
    "pg.freeze",
    "pg.thaw",
];

/// These hosts, with every process behind the line: a life can end before a process is started and when it has ended, and
/// the word of its end can be lost ([`HostError::Lost`]).
pub fn over(hosts: &Hosts, line: &Line) -> Hosts {
    let mut behind = Hosts::new();
    for name in hosts.names() {
        if let Ok(host) = hosts.get(name) {
            let line = line.clone();
            behind.insert(Arc::new(Behind { host, line }));
        }
    }
    behind
}

/// A host behind a line.
struct Behind {
    host: Arc<dyn Host>,
    line: Line,
}

#[async_trait]
impl Host for Behind {
    fn name(&self) -> &str {
        self.host.name()
    }

    fn greeting(&self) -> Option<&str> {
        self.host.greeting()
    }

    async fn spawn(&self, command: &Command) -> Result<Process, HostError> {
        let lost = HostError::Lost {
            host: self.name().to_owned(),
            program: command.program.clone(),
        };
        let exchange = self.line.begin().await.map_err(|_| lost.clone())?;
        let process = self.host.spawn(command).await?;
        let (told, exit) = oneshot::channel();
        tokio::spawn(end(process.exit, exchange, lost, told));
        Ok(Process { exit, ..process })
    }
}

type Ended = Result<Exit, HostError>;

/// Hands the end of a process on, or loses it. The process is given up when nobody waits for its end any more.
async fn end(
    exit: oneshot::Receiver<Ended>,
    exchange: Exchange,
    lost: HostError,
    mut told: oneshot::Sender<Ended>,
) {
    let ended = async {
        // Without a word of its end it was given up.
        let ended = exit.await.ok()?;
        Some(match exchange.end().await {
            Ok(()) => ended,
            Err(_) => Err(lost),
        })
    };
    let ended = tokio::select! {
        ended = ended => ended,
        () = told.closed() => None,
    };
    if let Some(ended) = ended {
        // Nobody waits for it any more: then nobody needs it.
        let _unheard = told.send(ended);
    }
}
