//! The ends of a driver's life: letting steps leave off, and delivering what is still to be told. Both go on listening.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{DRAIN, Driver, Duration, GRACE, LoadError};

impl Driver {
    /// Lets steps in flight leave off, drops those that do not, and takes in what they report.
    pub(super) async fn interrupt(&mut self) -> Result<(), LoadError> {
        self.ended_at_once()?;
        self.in_flight.values().for_each(CancellationToken::cancel);
        let clock = Arc::clone(&self.engine.clock);
        let grace = clock.sleep(GRACE);
        tokio::pin!(grace);
        while !self.in_flight.is_empty() {
            tokio::select! {
                biased;
                Some(request) = self.requests.1.recv() => self.serve(request).await?,
                Some(command) = self.commands.recv() => self.obey(command).await?,
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended)?,
                () = &mut grace => {
                    self.tasks.abort_all();
                    while let Some(ended) = self.tasks.join_next_with_id().await {
                        if ended.is_ok() {
                            self.ended(ended)?;
                        }
                    }
                    self.in_flight.clear();
                    self.names.clear();
                }
            }
        }
        self.flush().await.map(drop)
    }

    /// Delivers what is still to be told, within reason: what was never tried is tried once, and only that a rollback is
    /// incomplete is tried again while there is time, for nobody else gets at the journal meanwhile. What is left is sent
    /// when the run is next looked after.
    pub(super) async fn drain(&mut self) -> Result<(), LoadError> {
        let clock = Arc::clone(&self.engine.clock);
        let limit = clock.sleep(DRAIN);
        tokio::pin!(limit);
        let rest = self.run.life.clone();
        while self.outbox.is_owed(&self.run) && self.run.life == rest && !self.has_news() {
            let now = self.engine.clock.now();
            self.outbox.pump(&self.run, now);
            let pause = self
                .outbox
                .due_at(&self.run)
                .map_or(Duration::from_millis(100), |at| at.since(now));
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                Some(command) = self.commands.recv() => self.obey(command).await?,
                delivered = self.outbox.delivered() => {
                    let fate = self.outbox.conclude(delivered, self.engine.clock.now());
                    self.stage_fate(fate)?;
                    self.flush().await?;
                }
                () = &mut limit => break,
                () = clock.sleep(pause) => {}
            }
        }
        Ok(())
    }
}
