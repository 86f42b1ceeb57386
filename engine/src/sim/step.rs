//! Steps that behave in every way a step can.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::world::{Life, Point, What};
use crate::answer::Answer;
use crate::plan::Effect;
use crate::record::Wait;
use crate::retry::Policy;
use crate::step::{Cx, DecodeError, Step, StepError};

/// A step of the simulated world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimStep {
    /// How it behaves.
    pub behaviour: Behaviour,
    /// Whether it misbehaves before its effect instead of after it.
    pub early: bool,
    /// Whether it can be undone.
    pub undoable: bool,
    /// Whether it takes a note and wants a mail sent, and has an output too large for a record.
    pub talks: bool,
}

impl SimStep {
    /// A step that behaves like this after its effect, can be undone and is quiet.
    pub fn new(behaviour: Behaviour) -> Self {
        SimStep {
            behaviour,
            early: false,
            undoable: true,
            talks: false,
        }
    }
}

/// How a simulated step behaves. "Until a person has intervened" is: until any order was given to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Behaviour {
    /// It succeeds at its first attempt.
    Works,
    /// It fails for good, until a person has intervened.
    Fails,
    /// Its first attempt fails, the second works.
    FailsOnce,
    /// Each attempt fails and is worth another, until a person has intervened.
    KeepsFailing,
    /// It says no as a gate does, until a person has intervened.
    Refuses,
    /// It never ends, until a person has intervened.
    Hangs,
    /// It does not know what happened, until a person has intervened.
    Asks,
    /// It waits for an answer.
    Waits,
    /// It waits for some time.
    Lingers,
    /// It panics, until a person has intervened.
    Panics,
    /// Its first attempt cannot reach what it needs, the second works.
    UnreachedOnce,
    /// It cannot reach what it needs, until a person has intervened.
    Unreached,
    /// Its first attempt to undo it fails, the second works.
    UndoFailsOnce,
    /// Undoing it fails for good, until a second order was given.
    UndoFails,
    /// Its first attempts to undo it, more than it has, cannot reach what they need; then it works.
    UndoUnreachedAWhile,
    /// Undoing it cannot reach what it needs, until a second order was given.
    UndoUnreached,
    /// Undoing it never ends, until a second order was given.
    UndoHangs,
    /// Undoing it panics, until a second order was given.
    UndoPanics,
    /// Undoing it cannot tell what happened, until a second order was given.
    UndoAsks,
}

impl Behaviour {
    /// Every behaviour that the simulation mixes.
    pub const ALL: [Behaviour; 19] = [
        Behaviour::Works,
        Behaviour::Fails,
        Behaviour::FailsOnce,
        Behaviour::KeepsFailing,
        Behaviour::Refuses,
        Behaviour::Hangs,
        Behaviour::Asks,
        Behaviour::Waits,
        Behaviour::Lingers,
        Behaviour::Panics,
        Behaviour::UnreachedOnce,
        Behaviour::Unreached,
        Behaviour::UndoFailsOnce,
        Behaviour::UndoFails,
        Behaviour::UndoUnreachedAWhile,
        Behaviour::UndoUnreached,
        Behaviour::UndoHangs,
        Behaviour::UndoPanics,
        Behaviour::UndoAsks,
    ];
}

impl Behaviour {
    /// Whether it can misbehave before its effect, too.
    pub fn can_be_early(self) -> bool {
        matches!(
            self,
            Behaviour::Fails | Behaviour::Hangs | Behaviour::Asks | Behaviour::Unreached
        )
    }
}

/// What a simulated step puts out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Output {
    attempt: u16,
    padding: String,
}

#[async_trait]
impl Step for SimStep {
    const KIND: &'static str = "sim.step";
    type Output = Output;

    fn summary(&self) -> String {
        format!("{:?}", self.behaviour)
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn undo_in_words(&self) -> Option<String> {
        self.undoable.then(|| "take it back".into())
    }

    fn skippable(&self) -> bool {
        true
    }

    fn settles(&self) -> bool {
        true
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout_s: 5,
            attempts: 2,
            pause_s: 1,
            pause_max_s: 1,
            patience_s: 4,
        }
    }

    async fn run(&self, cx: &Cx) -> Result<Output, StepError> {
        let life = cx.resource::<Life>()?;
        let (step, attempt) = (cx.key().to_owned(), cx.attempt());
        life.saw(What::Entered {
            step: step.clone(),
            attempt,
            noted: cx.noted::<u16>()?.is_some(),
        });
        let result = self.act(cx, &life).await;
        let answer = match &result {
            Ok(_) => "ok",
            Err(StepError::Retry(_)) => "retry",
            Err(StepError::Fail(_)) => "fail",
            Err(StepError::Refuse(_)) => "refuse",
            Err(StepError::Ask(_)) => "ask",
            Err(StepError::Unreached(_)) => "unreached",
            Err(StepError::Wait(_)) => "wait",
            Err(StepError::Stopped) => "stopped",
        };
        life.saw(What::Answered {
            step,
            attempt,
            answer,
        });
        result
    }

    #[expect(clippy::panic, reason = "a panicking step is one of the cases")]
    async fn undo(&self, cx: &Cx, done: Option<Output>) -> Result<String, StepError> {
        let life = cx.resource::<Life>()?;
        let (step, attempt) = (cx.key().to_owned(), cx.attempt());
        life.saw(What::UndoEntered {
            step: step.clone(),
            attempt,
            done: done.is_some(),
        });
        life.tick(Point::Undoing).await;
        life.saw(What::Undid {
            step: step.clone(),
            attempt,
        });
        life.tick(Point::Undone).await;
        let unhelped = cx.run().orders.len() < 2;
        let (answer, result) = match self.behaviour {
            Behaviour::UndoHangs if unhelped => std::future::pending().await,
            Behaviour::UndoPanics if unhelped => panic!("a planted panic"),
            Behaviour::UndoFailsOnce if attempt == 1 => {
                ("retry", Err(StepError::retry("its undo fails once")))
            }
            Behaviour::UndoUnreachedAWhile if attempt <= 3 => {
                ("unreached", Err(StepError::unreached("no way there")))
            }
            Behaviour::UndoUnreached if unhelped => {
                ("unreached", Err(StepError::unreached("no way there")))
            }
            Behaviour::UndoFails if unhelped => ("fail", Err(StepError::fail("its undo fails"))),
            Behaviour::UndoAsks if unhelped => ("ask", Err(StepError::ask("nobody knows"))),
            _ => ("ok", Ok("taken back".into())),
        };
        life.saw(What::UndoAnswered {
            step,
            attempt,
            answer,
        });
        result
    }
}

impl SimStep {
    async fn act(&self, cx: &Cx, life: &Life) -> Result<Output, StepError> {
        let (step, attempt) = (cx.key().to_owned(), cx.attempt());
        if self.talks {
            cx.note(&attempt).await?;
            life.saw(What::Noted { step: step.clone() });
            cx.queue("told", &step).await?;
            life.saw(What::Queued { step: step.clone() });
        }
        self.wait(cx)?;
        if self.early {
            self.misbehave(cx).await?;
        }
        life.tick(Point::Doing).await;
        if cx.settled() != Some(true) {
            life.saw(What::Did { step, attempt });
        }
        life.tick(Point::Done).await;
        if !self.early {
            self.misbehave(cx).await?;
        }
        let padding = "x".repeat(if self.talks { 3000 } else { 0 });
        Ok(Output { attempt, padding })
    }

    fn wait(self, cx: &Cx) -> Result<(), StepError> {
        let wait = |who: &str, until| Wait {
            who: who.into(),
            what: "an answer".into(),
            answer: Some(Answer::Text { max: 100 }),
            until,
        };
        match self.behaviour {
            Behaviour::Waits if cx.signals().next().is_none() => {
                Err(StepError::Wait(wait("somebody", None)))
            }
            Behaviour::Lingers => {
                let until = cx.run().created.plus(Duration::from_mins(10));
                if cx.now() < until {
                    Err(StepError::Wait(wait("", Some(until))))
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }

    #[expect(clippy::panic, reason = "a panicking step is one of the cases")]
    async fn misbehave(&self, cx: &Cx) -> Result<(), StepError> {
        let unhelped = cx.run().orders.is_empty();
        match self.behaviour {
            Behaviour::Fails if unhelped => Err(StepError::fail("it fails")),
            Behaviour::FailsOnce if cx.attempt() == 1 => Err(StepError::retry("it fails once")),
            Behaviour::UnreachedOnce if cx.attempt() == 1 => {
                Err(StepError::unreached("no way there at first"))
            }
            Behaviour::Unreached if unhelped => Err(StepError::unreached("no way there")),
            Behaviour::KeepsFailing if unhelped => Err(StepError::retry("it keeps failing")),
            Behaviour::Refuses if unhelped => Err(StepError::refuse("the gate says no")),
            Behaviour::Hangs if unhelped => std::future::pending().await,
            Behaviour::Asks if unhelped => Err(StepError::ask("nobody knows")),
            Behaviour::Panics if unhelped => panic!("a planted panic"),
            _ => Ok(()),
        }
    }
}

/// Answers yes or no: a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimFlag {
    /// Which branch is taken.
    pub yes: bool,
}

#[async_trait]
impl Step for SimFlag {
    const KIND: &'static str = "sim.flag";
    type Output = bool;

    fn summary(&self) -> String {
        "answer".into()
    }

    async fn run(&self, cx: &Cx) -> Result<bool, StepError> {
        let life = cx.resource::<Life>()?;
        let (step, attempt) = (cx.key().to_owned(), cx.attempt());
        life.saw(What::Answered {
            step,
            attempt,
            answer: "ok",
        });
        Ok(self.yes)
    }
}

/// The kind of step that some binaries lack or have in a later version: a [`SimStep`] renamed in the plan.
pub const ODD: &str = "sim.odd";

macro_rules! odd {
    ($name:ident, version $version:literal, reads from $oldest:literal) => {
        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        pub(super) struct $name(SimStep);

        #[async_trait]
        impl Step for $name {
            const KIND: &'static str = ODD;
            const VERSION: u16 = $version;
            type Output = Output;

            fn summary(&self) -> String {
                self.0.summary()
            }

            async fn run(&self, cx: &Cx) -> Result<Output, StepError> {
                self.0.run(cx).await
            }

            async fn undo(&self, cx: &Cx, done: Option<Output>) -> Result<String, StepError> {
                self.0.undo(cx, done).await
            }

            fn decode(version: u16, params: &serde_json::Value) -> Result<Self, DecodeError> {
                if ($oldest..=$version).contains(&version) {
                    Self::deserialize(params).map_err(|e| DecodeError::Malformed(e.to_string()))
                } else {
                    Err(DecodeError::Version {
                        kind: Self::KIND.into(),
                        stored: version,
                        reads: Self::VERSION,
                    })
                }
            }
        }
    };
}

odd!(Odd, version 1, reads from 1);
odd!(OddUpgraded, version 2, reads from 1);
odd!(OddNewer, version 3, reads from 3);
