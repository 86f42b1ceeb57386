//! The conformance of steps: one that keeps the contract passes, and a breach of each clause is caught.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use flow_engine::answer::Answer;
use flow_engine::plan::Effect;
use flow_engine::record::Wait;
use flow_engine::run::Run;
use flow_engine::signal::{Actor, Signal};
use flow_engine::step::{Cx, Resources, Step, StepError};
use flow_engine::testing::{Breaches, Clause, Conformance, KEY, Line, World, conforms};
use serde::{Deserialize, Serialize};

/// What is wrong with the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Wrong {
    Nothing,
    /// It waits for an answer, and is right otherwise.
    WaitsForPeople,
    /// It fails in this world.
    Fails,
    /// It says that it only reads.
    SaysItReads,
    /// It appends without looking.
    AppendsTwice,
    /// It writes in two exchanges, and takes the first for both.
    TakesHalfForAll,
    /// It takes a lost answer for a failure.
    FailsOnSilence,
    /// It takes a lost answer for a success.
    SucceedsOnSilence,
    /// Its undo leaves something.
    UndoLeaves,
    /// Its undo takes away one line, whosever that is.
    UndoTakesAnyLine,
    /// Its undo needs the output of the run.
    UndoNeedsOutput,
    /// Its undo fails when there is nothing to undo.
    UndoFailsOnNothing,
    /// Its undo takes two exchanges and takes the first for both.
    UndoTakesHalfForAll,
    /// Its undo takes a lost answer for a success.
    UndoSucceedsOnSilence,
    /// Its undo takes a lost answer for a failure.
    UndoFailsOnSilence,
}

/// Appends two lines to a file, if they are not there, and takes them away.
#[derive(Serialize, Deserialize)]
struct Append(Wrong);

type File = Arc<Mutex<Vec<String>>>;

struct Disk {
    file: File,
    line: Line,
}

impl Disk {
    async fn ask<T>(&self, act: impl FnOnce(&mut Vec<String>) -> T) -> Result<T, StepError> {
        let lost = |e| StepError::unreached("the disk").because(&e);
        self.line
            .exchange(async { act(&mut self.file.lock().unwrap()) })
            .await
            .map_err(lost)
    }
}

fn ours(cx: &Cx) -> [String; 2] {
    [1, 2].map(|n| format!("{} {n}", cx.idempotency_key()))
}

impl Append {
    async fn append(&self, cx: &Cx, disk: &Disk) -> Result<(), StepError> {
        let there = disk.ask(|file| file.clone()).await?;
        for line in ours(cx) {
            if self.0 == Wrong::TakesHalfForAll && there.len() > 1 {
                break;
            }
            if !there.contains(&line) || self.0 == Wrong::AppendsTwice {
                disk.ask(|file| file.push(line)).await?;
            }
        }
        Ok(())
    }

    async fn take_away(&self, cx: &Cx, disk: &Disk) -> Result<(), StepError> {
        let there = disk.ask(|file| file.clone()).await?;
        if self.0 == Wrong::UndoFailsOnNothing && there.len() < 2 {
            return Err(StepError::fail("there is nothing to undo"));
        }
        if self.0 == Wrong::UndoTakesAnyLine {
            return disk
                .ask(|file| file.truncate(file.len().saturating_sub(2)))
                .await;
        }
        if self.0 == Wrong::UndoTakesHalfForAll && there.len() < 3 {
            return Ok(());
        }
        for line in ours(cx) {
            if self.0 == Wrong::UndoLeaves && line.ends_with('2') {
                break;
            }
            if there.contains(&line) {
                disk.ask(|file| file.retain(|known| *known != line)).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Step for Append {
    const KIND: &'static str = "test.append";
    type Output = u32;

    fn summary(&self) -> String {
        "append two lines".into()
    }

    fn effect(&self) -> Effect {
        match self.0 {
            Wrong::SaysItReads => Effect::Reads,
            _ => Effect::Changes,
        }
    }

    fn undo_in_words(&self) -> Option<String> {
        (self.0 != Wrong::SaysItReads).then(|| "take them away".into())
    }

    async fn run(&self, cx: &Cx) -> Result<u32, StepError> {
        if self.0 == Wrong::Fails {
            return Err(StepError::fail("the disk is full"));
        }
        if self.0 == Wrong::WaitsForPeople && cx.signals().next().is_none() {
            return Err(StepError::Wait(Wait {
                who: "qa".into(),
                what: "a word".into(),
                answer: Some(Answer::Text { max: 100 }),
                until: None,
            }));
        }
        let disk = cx.resource::<Disk>()?;
        match (self.append(cx, &disk).await, self.0) {
            (Err(_), Wrong::FailsOnSilence) => Err(StepError::fail("the disk is broken")),
            (Err(_), Wrong::SucceedsOnSilence) => Ok(2),
            (done, _) => done.map(|()| 2),
        }
    }

    async fn undo(&self, cx: &Cx, done: Option<u32>) -> Result<String, StepError> {
        if self.0 == Wrong::UndoNeedsOutput && done.is_none() {
            return Ok("nothing was reported, so there is nothing to undo".into());
        }
        let disk = cx.resource::<Disk>()?;
        match (self.take_away(cx, &disk).await, self.0) {
            (Err(_), Wrong::UndoFailsOnSilence) => Err(StepError::fail("the disk is broken")),
            (Err(StepError::Unreached(_)), Wrong::UndoSucceedsOnSilence) => Ok("gone".into()),
            (gone, _) => gone.map(|()| "gone".into()),
        }
    }
}

/// A file with a line of somebody else.
#[derive(Default)]
struct Desk(File);

#[async_trait]
impl World for Desk {
    async fn reset(&self) {
        *self.0.lock().unwrap() = vec!["somebody else's".into()];
    }

    async fn state(&self) -> String {
        self.0.lock().unwrap().join(", ")
    }

    fn resources(&self, line: &Line) -> Resources {
        Resources::default().with(Disk {
            file: Arc::clone(&self.0),
            line: line.clone(),
        })
    }

    async fn answers(&self, run: &Run) -> Vec<Signal> {
        vec![Signal {
            step: KEY.into(),
            id: "1".into(),
            by: Actor {
                name: "qa".into(),
                from: "here".into(),
            },
            body: "\"go on\"".into(),
            at: run.updated,
        }]
    }
}

async fn asked(wrong: Wrong) -> Result<Conformance, Breaches> {
    conforms(Append(wrong), &Desk::default()).await
}

#[tokio::test]
async fn a_step_that_keeps_the_contract_passes_and_every_point_and_answer_was_tried() {
    let found = asked(Wrong::Nothing).await.unwrap();
    // A look and two lines; a point on both sides of each, and one before and after the step.
    assert_eq!((found.exchanges, found.undo_exchanges), (3, 3));
    assert_eq!((found.points, found.undo_points), (8, 8));
    assert_eq!(found.asked, 0);
    let waiting = asked(Wrong::WaitsForPeople).await.unwrap();
    assert_eq!(waiting.exchanges, 3, "{waiting:?}");
}

#[tokio::test]
async fn a_breach_of_each_clause_is_caught() {
    let planted = [
        (Wrong::Fails, Clause::RunOnce),
        (Wrong::SaysItReads, Clause::ReadsOnly),
        (Wrong::AppendsTwice, Clause::TwiceIsOnce),
        (Wrong::AppendsTwice, Clause::CutAndResumed),
        (Wrong::TakesHalfForAll, Clause::CutAndResumed),
        (Wrong::FailsOnSilence, Clause::UnknownNeverGuessed),
        (Wrong::SucceedsOnSilence, Clause::UnknownNeverGuessed),
        (Wrong::UndoLeaves, Clause::UndoRestores),
        (Wrong::UndoTakesAnyLine, Clause::UndoTwiceIsOnce),
        (Wrong::UndoTakesAnyLine, Clause::UndoWithoutRun),
        (Wrong::UndoFailsOnNothing, Clause::UndoWithoutRun),
        (Wrong::UndoFailsOnNothing, Clause::UndoTwiceIsOnce),
        (Wrong::UndoNeedsOutput, Clause::UndoOfACutRun),
        (Wrong::UndoTakesHalfForAll, Clause::UndoCutAndResumed),
        (Wrong::UndoSucceedsOnSilence, Clause::UndoNeverGuesses),
        (Wrong::UndoFailsOnSilence, Clause::UndoNeverGuesses),
    ];
    for (wrong, clause) in planted {
        let found = asked(wrong).await;
        let breaches = found.expect_err(&format!("{wrong:?} passes"));
        assert!(
            breaches.of(clause),
            "{wrong:?}: no `{clause}` in: {breaches}"
        );
    }
}

#[tokio::test]
async fn a_breach_is_told_in_a_sentence() {
    let breaches = asked(Wrong::SucceedsOnSilence).await.unwrap_err();
    let first = breaches.to_string();
    let first = first.lines().nth(1).unwrap();
    assert_eq!(
        first.trim(),
        "unknown is never guessed, answer 1 of 3 lost after it was done: it answered that it is done, and the world is \
         `somebody else's` instead of `somebody else's, r-conforms/conforms/step 1, r-conforms/conforms/step 2`"
    );
}
