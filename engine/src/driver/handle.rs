//! Speaking to a driver from outside.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::run::{Refusal, Run};
use crate::signal::{Actor, Order, Signal};

pub(super) enum Command {
    Signal(Signal, oneshot::Sender<Result<(), Refusal>>),
    Order {
        order: Order,
        by: Actor,
        reason: String,
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
    Look(oneshot::Sender<Arc<Run>>),
}

/// Speaks to a driver from outside: the control socket, a signal handler, a test.
#[derive(Clone)]
pub struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) shutdown: CancellationToken,
}

/// The driver is gone; open the journal instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the driver of this run has stopped")]
pub struct NoDriver;

impl Handle {
    /// Stores an answer. Returns when it is durable.
    pub async fn signal(&self, signal: Signal) -> Result<Result<(), Refusal>, NoDriver> {
        self.ask(|reply| Command::Signal(signal, reply)).await
    }

    /// Gives an order. Returns when it is durable; obeying it takes its time.
    pub async fn order(
        &self,
        order: Order,
        by: Actor,
        reason: &str,
    ) -> Result<Result<(), Refusal>, NoDriver> {
        self.ask(|reply| Command::Order {
            order,
            by,
            reason: reason.into(),
            reply,
        })
        .await
    }

    /// The run as it is now.
    pub async fn look(&self) -> Result<Arc<Run>, NoDriver> {
        self.ask(Command::Look).await
    }

    /// Asks the driver to stop driving. Nothing is lost; remote jobs go on.
    pub fn stop(&self) {
        self.shutdown.cancel();
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, NoDriver> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .await
            .map_err(|_| NoDriver)?;
        answer.await.map_err(|_| NoDriver)
    }
}
