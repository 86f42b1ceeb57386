//! Everything that can reach a driver while it works: a step's end, a step's wish, a person's word, a mail's fate.

use std::sync::Arc;

use tokio::task::JoinError;

use super::Driver;
use super::handle::Command;
use super::work::{self, Attempt};
use crate::clock::Timestamp;
use crate::context::Request;
use crate::record::{Payload, Record};
use crate::run::{LoadError, fits};

impl Driver {
    /// Waits for something to happen and takes it in. False when the driver is to stop.
    pub(super) async fn attend(&mut self, until: Option<Timestamp>) -> Result<bool, LoadError> {
        if self.at_once.is_some() && self.nobody_speaks() {
            return self.ended_at_once().map(|()| true);
        }
        let now = self.engine.clock.now();
        self.outbox.pump(&self.run, now);
        let due = until.into_iter().chain(self.outbox.due_at(&self.run)).min();
        let clock = Arc::clone(&self.engine.clock);
        let timer = async move {
            match due {
                Some(due) => clock.sleep(due.since(now)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return Ok(false),
            Some(request) = self.requests.1.recv() => self.serve(request).await?,
            Some(command) = self.commands.recv() => self.obey(command).await?,
            () = std::future::ready(()), if self.at_once.is_some() => self.ended_at_once()?,
            Some(ended) = self.tasks.join_next_with_id() => self.ended(ended)?,
            delivered = self.outbox.delivered() => {
                let fate = self.outbox.conclude(delivered, self.engine.clock.now());
                self.stage_fate(fate)?;
            }
            () = timer => {}
        }
        Ok(true)
    }

    /// Whether all there is to take in is a step that has ended: then there is no need to ask everything in turn, which
    /// costs as much as a step's record does.
    fn nobody_speaks(&self) -> bool {
        !self.shutdown.is_cancelled()
            && self.requests.1.is_empty()
            && self.commands.is_empty()
            && !self.outbox.is_open(&self.run)
    }

    pub(super) fn ended(
        &mut self,
        ended: Result<(tokio::task::Id, Attempt), JoinError>,
    ) -> Result<(), LoadError> {
        let ended = match ended {
            Ok((id, ended)) => {
                self.names.remove(&id);
                ended
            }
            Err(error) => match self.names.remove(&error.id()) {
                Some((step, way)) => Attempt::broken(step, way, &error),
                None => return Ok(()),
            },
        };
        self.conclude(ended)
    }

    /// Takes in the step that took no more than its first turn, if there is one.
    pub(super) fn ended_at_once(&mut self) -> Result<(), LoadError> {
        match self.at_once.take() {
            Some(ended) => self.conclude(ended),
            None => Ok(()),
        }
    }

    fn conclude(&mut self, ended: Attempt) -> Result<(), LoadError> {
        self.in_flight.remove(&ended.step);
        let now = self.engine.clock.now();
        match work::record(&self.run, self.engine.observers.masked(), ended, now) {
            Some(record) => self.stage(record),
            None => Ok(()),
        }
    }

    pub(super) async fn serve(&mut self, request: Request) -> Result<(), LoadError> {
        let (record, stored) = match request {
            Request::Note { step, note, stored } => (
                Record::Noted {
                    step,
                    note: Payload::Inline(note),
                },
                stored,
            ),
            Request::Queue {
                topic,
                body,
                stored,
            } => (
                Record::Queued {
                    topic,
                    body: Payload::Inline(body),
                },
                stored,
            ),
        };
        self.stage(record)?;
        self.flush().await?;
        let _step_may_be_gone = stored.send(());
        Ok(())
    }

    pub(super) async fn obey(&mut self, command: Command) -> Result<(), LoadError> {
        let (record, reply) = match command {
            Command::Look(reply) => {
                let _asker_may_be_gone = reply.send(Arc::clone(&self.run));
                return Ok(());
            }
            Command::Signal(signal, reply) => (
                self.run
                    .accepts_signal(&signal)
                    .map(|()| Record::Signalled(signal)),
                reply,
            ),
            Command::Order {
                order,
                by,
                reason,
                reply,
            } => (
                self.run
                    .accepts(&order)
                    .map(|()| Record::Ordered { order, by, reason }),
                reply,
            ),
        };
        let fits = record.and_then(|record| fits(&record).map(|()| record));
        let answer = match fits {
            Ok(record) => {
                self.stage(record)?;
                self.flush().await?.refusal.map_or(Ok(()), Err)
            }
            Err(refusal) => Err(refusal),
        };
        let _asker_may_be_gone = reply.send(answer);
        Ok(())
    }
}
