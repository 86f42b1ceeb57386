//! A crash simulator: one run, a world outside it, and a death at every point.
//!
//! Verdicts come from the world's own ledger of effects, never from the journal under test. A kill point is passed
//! before an append, between its write and its sync, after it, and around every effect and every mail; at the chosen
//! one the process "dies": nothing it was doing goes on, what it had synced stays, and what it had only written stays
//! or is lost, as the case says.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::{Clock, Timestamp, TokioClock};
use crate::driver::{Driver, Engine, Handle, NewRun, Stop};
use crate::event::Observers;
use crate::id::RunId;
use crate::journal::Journal;
use crate::outbox::{DeliveryError, Notifier};
use crate::plan::Plan;
use crate::registry::Registry;
use crate::resources::Resources;
use crate::run::{LoadError, Notice, Run, append_order};
use crate::signal::{Actor, Order};

mod disk;
mod step;
mod world;

use disk::Others;
pub use disk::SimJournal;
pub use step::{Behaviour, ODD, SimFlag, SimStep};
pub use world::{Death, Fact, Life, Point, What, World};

use step::{Odd, OddNewer, OddUpgraded};

/// Which binary drives a life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Binary {
    /// The one that planned the run.
    #[default]
    Same,
    /// One that lacks the kind of step [`ODD`].
    Lacking,
    /// One that has a later version of it and reads the older one.
    Upgraded,
    /// One that has a later version of it and does not read the older one.
    Incompatible,
}

impl Binary {
    fn registry(self) -> Registry {
        let usual = Registry::default().with::<SimStep>().with::<SimFlag>();
        match self {
            Binary::Same => usual.with::<Odd>(),
            Binary::Lacking => usual,
            Binary::Upgraded => usual.with::<OddUpgraded>(),
            Binary::Incompatible => usual.with::<OddNewer>(),
        }
    }
}

/// What reaches a driver from outside while it drives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meddling {
    /// An order, over the control socket.
    Order(Order),
    /// The same, written into the journal by another process.
    Beside(Order),
    /// A request to stop.
    Stop,
}

/// One run in one world, life after life.
pub struct Simulation {
    /// What the steps act on, and what it remembers.
    pub world: Arc<World>,
    /// The name of the run that is driven.
    pub id: RunId,
    plan: Plan,
    clock: Arc<TokioClock>,
}

/// The only reason anybody gives here.
pub const REASON: &str = "because";

/// Who does everything here.
pub fn somebody() -> Actor {
    Actor {
        name: "somebody".into(),
        from: "sim".into(),
    }
}

impl Simulation {
    /// A simulation of this plan. Needs a tokio runtime with its time paused.
    ///
    /// # Panics
    /// Never: the run's name is a constant.
    pub fn new(world: Arc<World>, plan: Plan) -> Simulation {
        Simulation {
            world,
            id: "r-sim".parse().expect("it is a run id"),
            plan,
            clock: Arc::new(TokioClock::starting_at(Timestamp(1_795_000_000_000))),
        }
    }

    /// The current moment in the world.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn engine(&self, life: &Life, binary: Binary) -> Engine {
        Engine {
            journal: Arc::new(SimJournal::new(life.clone())),
            registry: Arc::new(binary.registry()),
            resources: Resources::default().with(life.clone()),
            clock: Arc::clone(&self.clock) as _,
            observers: Observers::default(),
            notifier: Some(Arc::new(Post(life.clone()))),
            version: "sim".into(),
            wait_for_people: false,
        }
    }

    /// One life of the process: until it stops by itself, or dies (`None`). At the given kill point, counted from the
    /// beginning of the world, somebody meddles.
    ///
    /// # Errors
    /// [`LoadError`]: in a correct engine only when the journal broke.
    pub async fn live(
        &self,
        binary: Binary,
        meddle: Option<(u64, Meddling)>,
    ) -> Result<Option<Stop>, LoadError> {
        let life = World::be_born(&self.world);
        let process = async {
            let (driver, handle) = self.begin(&life, binary).await?;
            let meddling = async {
                if let Some((at, what)) = meddle {
                    life.reached(at).await;
                    match what {
                        // It may come too late, or the process may die first.
                        Meddling::Order(order) => {
                            let _answer = handle.order(order, somebody(), REASON).await;
                        }
                        Meddling::Beside(order) => Box::pin(self.beside(order)).await,
                        Meddling::Stop => handle.stop(),
                    }
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                end = driver.drive() => end.map(|(_, stop)| stop),
                () = meddling => unreachable!("it never ends"),
            }
        };
        let end = self.within(&life, process).await;
        end.transpose()
    }

    /// Writes an order as a process that knows nothing of the driver; one that is refused is not written.
    async fn beside(&self, order: Order) {
        let journal = Others(Arc::clone(&self.world));
        if let Ok(mut run) = Run::load(&journal, &self.id).await {
            let now = self.now();
            let _answer = append_order(&journal, &mut run, order, somebody(), REASON, now).await;
        }
    }

    /// Does something as a process of this life; nothing when it died over it. What was only written is then kept or
    /// lost.
    async fn within<T>(&self, life: &Life, process: impl Future<Output = T>) -> Option<T> {
        let end = tokio::select! {
            biased;
            () = life.ended() => None,
            end = process => Some(end),
        };
        life.end();
        // What the dead process had spawned sees that it is dead before the next life begins.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        self.world.crash().await;
        end
    }

    /// Something a person does in a process of its own, with the journal and the run as it is; nothing when the process
    /// died over it, or when no record of the run survived.
    ///
    /// # Errors
    /// As the process itself.
    pub async fn command<T>(
        &self,
        act: impl AsyncFnOnce(&SimJournal, Run) -> Result<T, LoadError>,
    ) -> Result<Option<T>, LoadError> {
        let Some(run) = self.run().await? else {
            return Ok(None);
        };
        let life = World::be_born(&self.world);
        let journal = SimJournal::new(life.clone());
        self.within(&life, act(&journal, run)).await.transpose()
    }

    async fn begin(&self, life: &Life, binary: Binary) -> Result<(Driver, Handle), LoadError> {
        let engine = self.engine(life, binary);
        if self.world.durable().head(&self.id).await?.is_some() {
            return engine.resume(&self.id).await;
        }
        let new = NewRun {
            id: self.id.clone(),
            plan: self.plan.clone(),
            by: somebody(),
            reason: REASON.into(),
            request: None,
        };
        engine.start(new).await
    }

    /// The run as the journal has it; nothing when no record of it survived.
    ///
    /// # Errors
    /// [`LoadError`]: never in a correct engine.
    pub async fn run(&self) -> Result<Option<Run>, LoadError> {
        match Run::load(self.world.durable(), &self.id).await {
            Ok(run) => Ok(Some(run)),
            Err(LoadError::NoRun(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// A mail server. The first attempts at each mail may be refused.
struct Post(Life);

#[async_trait]
impl Notifier for Post {
    async fn deliver(&self, _: &Run, notice: &Notice) -> Result<(), DeliveryError> {
        self.0.tick(Point::Mailing).await;
        if self.0.greylists(notice.id) {
            return Err(DeliveryError::Later("greylisted".into()));
        }
        let topic = format!("{:?}", notice.topic);
        self.0.saw(What::Mailed {
            id: notice.id,
            topic,
        });
        self.0.tick(Point::Mailed).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(())
    }
}
