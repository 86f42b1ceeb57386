//! One case from its first record to its end: lives, deaths, and an operator who answers.

use std::time::Duration;

use flow_engine::driver::Stop;
use flow_engine::journal::JournalError;
use flow_engine::plan::Plan;
use flow_engine::record::{Entry, ParkReason, Record, Verdict};
use flow_engine::run::{Delivery, LoadError, Run, append_order, append_signal};
use flow_engine::signal::{Order, Signal};
use flow_engine::sim::{
    Binary, Death, Fact, Meddling, Point, REASON, Simulation, What, World, somebody,
};

use crate::judge::judge;
use crate::plans::Dice;

/// What the operator does with a run that is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// States what happened if that is the question, else tries again.
    GoesOn,
    /// Tries again, whatever the question.
    Retries,
    /// Goes without the step where that is allowed.
    Waives,
    /// Orders everything to be rolled back.
    RollsBack,
    /// Cancels, or rolls back when it is too late for that.
    Cancels,
    /// Does something else each time, by this seed.
    Fickle(u64),
}

/// How the operator behaves in one play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) habit: Habit,
    /// Whether the first death makes up the operator's mind.
    pub(crate) shies: bool,
    /// Whether a completed run is rolled back.
    pub(crate) regrets: bool,
    /// Which binary is there after the first death, until it is found wanting.
    pub(crate) then: Binary,
}

/// A death, after so many more kill points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kill {
    pub(crate) after: u64,
    pub(crate) keeps: bool,
    pub(crate) breaks: bool,
}

/// Everything that makes a case what it is.
#[derive(Clone)]
pub(crate) struct Case<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) operator: Operator,
    pub(crate) kills: Vec<Kill>,
    pub(crate) meddle: Option<(u64, Meddling)>,
    pub(crate) greylist: u32,
}

/// What came of it.
pub(crate) struct Played {
    pub(crate) trace: Vec<Point>,
    pub(crate) ledger: Vec<Fact>,
    pub(crate) entries: Vec<(u64, Entry)>,
    /// How many of the kills came to pass.
    pub(crate) deaths: u64,
}

const LIVES: u32 = 60;

/// Of the world's own time, which costs nothing: no case has a pause or a limit that comes near it.
const LONGEST_LIFE: Duration = Duration::from_hours(30 * 24);

/// A process that waits for what never comes is a verdict, not a simulation that hangs.
async fn ends<T>(life: impl Future<Output = T>) -> Result<T, String> {
    let end = tokio::time::timeout(LONGEST_LIFE, life).await;
    end.map_err(|_| "it waits for what never comes".into())
}

struct Stage<'a> {
    case: &'a Case<'a>,
    sim: Simulation,
    kills: std::vec::IntoIter<Kill>,
    dice: Dice,
    binary: Binary,
    deaths: u64,
}

/// Plays a case to its end and judges it.
pub(crate) async fn play(case: &Case<'_>) -> Result<Played, String> {
    let world = World::new(None, case.greylist);
    let mut stage = Stage {
        case,
        sim: Simulation::new(world, case.plan.clone()),
        kills: case.kills.clone().into_iter(),
        dice: Dice(match case.operator.habit {
            Habit::Fickle(seed) => seed,
            _ => 0,
        }),
        binary: Binary::Same,
        deaths: 0,
    };
    stage.arm();
    stage.live_on().await?;
    let sim = &stage.sim;
    let trace = sim.world.trace();
    let entries = stage.entries().await?;
    let run = stage.run().await?.ok_or("nothing is left of the run")?;
    judge(case.plan, &sim.world, &entries, &run)?;
    stage.rests_in_peace(entries.len()).await?;
    Ok(Played {
        trace,
        ledger: sim.world.ledger(),
        entries,
        deaths: stage.deaths,
    })
}

fn is_broken(error: &LoadError) -> bool {
    matches!(error, LoadError::Journal(JournalError::Broken(_)))
}

impl Stage<'_> {
    /// Makes the next kill the next death.
    fn arm(&mut self) {
        let now = self.sim.world.ticks();
        let death = self.kills.next().map(|kill| Death {
            at: now + kill.after,
            keeps: kill.keeps,
            breaks: kill.breaks,
        });
        self.sim.world.die_at(death);
    }

    async fn run(&self) -> Result<Option<Run>, String> {
        self.sim
            .run()
            .await
            .map_err(|e| format!("the journal is unreadable: {e}"))
    }

    async fn entries(&self) -> Result<Vec<(u64, Entry)>, String> {
        let all = Run::entries(self.sim.world.durable(), &self.sim.id).await;
        let all = all.map_err(|e| e.to_string())?;
        Ok(all
            .into_iter()
            .map(|(stored, entry)| (stored.epoch, entry))
            .collect())
    }

    async fn live_on(&mut self) -> Result<(), String> {
        let operator = self.case.operator;
        let mut meddle = self.case.meddle.clone();
        let mut regretted = false;
        for _ in 0..LIVES {
            let stop = match ends(self.sim.live(self.binary, meddle.take())).await? {
                Ok(stop) => stop,
                Err(e) if is_broken(&e) => None,
                Err(e) => return Err(format!("the driver ended with: {e}")),
            };
            let Some(stop) = stop else {
                self.died().await?;
                continue;
            };
            match stop {
                Stop::Finished(Verdict::Completed) if operator.regrets && !regretted => {
                    regretted = self.order(Order::Rollback).await?;
                }
                // Asked to stop while the last mails went out, or deferred: the next look after the run sends them.
                Stop::Finished(_) if self.owes_mail().await? => {}
                Stop::Finished(_) => return Ok(()),
                Stop::Parked(why) => self.answer(&why).await?,
                Stop::WaitingForPeople => self.say_yes().await?,
                Stop::Interrupted if self.case.meddle.is_some() => {}
                Stop::Interrupted => return Err("interrupted by nobody".into()),
            }
        }
        Err(format!("no end after {LIVES} lives"))
    }

    async fn owes_mail(&self) -> Result<bool, String> {
        let run = self.run().await?.ok_or("nothing is left of the run")?;
        Ok(run.notices.iter().any(|n| n.delivery == Delivery::Pending))
    }

    async fn died(&mut self) -> Result<(), String> {
        self.arm();
        self.deaths += 1;
        let operator = self.case.operator;
        if self.deaths == 1 {
            self.binary = operator.then;
        }
        let order = match operator.habit {
            Habit::Cancels => Order::Cancel,
            _ => Order::Rollback,
        };
        let Some(run) = self.run().await? else {
            return Ok(());
        };
        if operator.shies && self.deaths == 1 && run.accepts(&order).is_ok() {
            self.order(order).await?;
        }
        Ok(())
    }

    /// Gives an order; false when the process died over it.
    async fn order(&mut self, order: Order) -> Result<bool, String> {
        let at = self.sim.now();
        let given = self
            .sim
            .command(async |journal, mut run| {
                append_order(journal, &mut run, order, somebody(), REASON, at).await
            })
            .await;
        self.survived(given)
    }

    fn survived(&mut self, given: Result<Option<()>, LoadError>) -> Result<bool, String> {
        match given {
            Ok(Some(())) => Ok(true),
            Err(e) if !is_broken(&e) => Err(format!("an order or answer was not taken: {e}")),
            Ok(None) | Err(_) => {
                self.arm();
                self.deaths += 1;
                Ok(false)
            }
        }
    }

    async fn answer(&mut self, why: &ParkReason) -> Result<(), String> {
        let run = self.run().await?.ok_or("nothing is left of the run")?;
        let key = |step: u32| run.plan.nodes[step as usize].key.clone();
        let accepted = |order: &Order| run.accepts(order).is_ok();
        let (step, question) = match why {
            ParkReason::Unknown { step } => (*step, true),
            ParkReason::StepFailed { step }
            | ParkReason::Refused { step }
            | ParkReason::UndoFailed { step }
            | ParkReason::Unreached { step }
            | ParkReason::UndoUnreached { step }
            | ParkReason::Unreadable { step, .. } => (*step, false),
        };
        let settle = Order::Settle {
            step: key(step),
            done: self.sim.world.stands(&key(step)),
        };
        let skip = Order::Skip { step: key(step) };
        let on = if question {
            settle.clone()
        } else {
            Order::Retry
        };
        let wish = match self.case.operator.habit {
            Habit::GoesOn => on.clone(),
            Habit::Retries => Order::Retry,
            Habit::Waives => skip.clone(),
            Habit::Cancels if accepted(&Order::Cancel) => Order::Cancel,
            Habit::RollsBack | Habit::Cancels => Order::Rollback,
            Habit::Fickle(_) => {
                let all = [
                    on.clone(),
                    Order::Retry,
                    skip,
                    Order::Rollback,
                    Order::Cancel,
                ];
                all[usize::try_from(self.dice.below(5)).expect("small")].clone()
            }
        };
        let order = if accepted(&wish) { wish } else { on };
        if !accepted(&order) {
            return Err(format!(
                "parked as {why:?}, and nothing helps: {order:?} is refused"
            ));
        }
        if matches!(why, ParkReason::Unreadable { .. }) && order == Order::Retry {
            self.binary = Binary::Same;
        }
        self.order(order).await.map(|_| ())
    }

    async fn say_yes(&mut self) -> Result<(), String> {
        let run = self.run().await?.ok_or("nothing is left of the run")?;
        let waiting: Vec<String> = run
            .waiting()
            .map(|(step, _)| run.plan.nodes[step as usize].key.clone())
            .collect();
        if waiting.is_empty() {
            return Err("it waits for people and asks nobody".into());
        }
        for step in waiting {
            let signal = Signal {
                step,
                id: "yes".into(),
                by: somebody(),
                body: "{}".into(),
                at: self.sim.now(),
            };
            let given = self
                .sim
                .command(async |journal, mut run| append_signal(journal, &mut run, signal).await)
                .await;
            if !self.survived(given)? {
                break;
            }
        }
        Ok(())
    }

    /// A run that is over, resumed: nothing is done, and nothing but the taking and a mail's fate is written.
    async fn rests_in_peace(&self, written: usize) -> Result<(), String> {
        let world = &self.sim.world;
        world.die_at(None);
        let acts = |facts: Vec<Fact>| {
            let mail = |f: &Fact| matches!(f.what, What::Mailed { .. });
            facts.into_iter().filter(|f| !mail(f)).count()
        };
        let before = acts(world.ledger());
        let stop = ends(self.sim.live(Binary::Same, None))
            .await?
            .map_err(|e| e.to_string())?;
        if !matches!(stop, Some(Stop::Finished(_))) || acts(world.ledger()) != before {
            return Err(format!(
                "resumed after its end it did something, and stopped with {stop:?}"
            ));
        }
        let entries = self.entries().await?;
        match entries[written..]
            .iter()
            .find(|(_, e)| !matches!(e.record, Record::Acquired { .. }))
        {
            Some((_, entry)) => Err(format!("written after the end: {:?}", entry.record)),
            None => Ok(()),
        }
    }
}
