//! What is asked, clause by clause.

use super::World;
use super::line::{Trouble, Way};
use super::play::{Outcome, Play, kind, plan};
use super::report::{Breach, Breaches, Clause, Conformance};
use crate::plan::{Effect, Plan};
use crate::run::{LoadError, Undo};
use crate::signal::Order;
use crate::step::{Step, StepError};

pub(super) async fn ask<S: Step, W: World>(step: S, world: &W) -> Result<Conformance, Breaches> {
    let changes = step.effect() == Effect::Changes || step.undo_in_words().is_some();
    let undoes = step.undo_in_words().is_some();
    let broken = |breach| Breaches {
        kind: S::KIND.into(),
        breaches: vec![breach],
    };
    let plan = plan(step, world).map_err(|e| broken(unasked(&e)))?;
    let mut asking = Asking {
        world,
        plan: &plan,
        report: Conformance::default(),
        breaches: Vec::new(),
    };
    asking
        .all::<S>(changes, undoes)
        .await
        .map_err(|e| broken(unasked(&e)))?;
    if asking.breaches.is_empty() {
        return Ok(asking.report);
    }
    Err(Breaches {
        kind: S::KIND.into(),
        breaches: asking.breaches,
    })
}

fn unasked(why: &dyn std::error::Error) -> Breach {
    Breach {
        clause: Clause::RunOnce,
        case: "undisturbed".into(),
        finding: format!("it could not be asked: {why}"),
    }
}

/// The world at the moments that all others are compared with.
struct Moments {
    before: String,
    done: String,
    undone: String,
}

struct Asking<'w, W> {
    world: &'w W,
    plan: &'w Plan,
    report: Conformance,
    breaches: Vec<Breach>,
}

impl<'w, W: World> Asking<'w, W> {
    async fn all<S: Step>(&mut self, changes: bool, undoes: bool) -> Result<(), LoadError> {
        let Some(mut moments) = self.once::<S>(changes).await? else {
            return Ok(());
        };
        self.cuts::<S>(&moments).await?;
        self.losses::<S>(&moments).await?;
        if !undoes {
            return Ok(());
        }
        let Some(undone) = self.undone::<S>(&moments).await? else {
            return Ok(());
        };
        moments.undone = undone;
        self.undo_of_cut_runs::<S>(&moments).await?;
        self.undo_cuts::<S>(&moments).await?;
        self.undo_losses::<S>(&moments).await
    }

    async fn begin<S: Step>(&self) -> Play<'w, W> {
        Play::begin::<S>(self.world, self.plan).await
    }

    fn breach(&mut self, clause: Clause, case: impl Into<String>, finding: impl Into<String>) {
        self.breaches.push(Breach {
            clause,
            case: case.into(),
            finding: finding.into(),
        });
    }

    /// Undisturbed. `None` if it does not even succeed then.
    async fn once<S: Step>(&mut self, changes: bool) -> Result<Option<Moments>, LoadError> {
        let mut play = self.begin::<S>().await;
        let before = play.state().await?;
        let outcome = play.live(Trouble::None).await?;
        self.report.lives += play.lives;
        if !matches!(outcome.answer, Some(Ok(()))) {
            self.breach(Clause::RunOnce, "undisturbed", outcome.in_words());
            return Ok(None);
        }
        (self.report.points, self.report.exchanges) = outcome.line.counts();
        let done = play.state().await?;
        if !changes && done != before {
            let finding = differs("it says that it changes nothing", &before, &done);
            self.breach(Clause::ReadsOnly, "undisturbed", finding);
        }
        Ok(Some(Moments {
            undone: before.clone(),
            before,
            done,
        }))
    }

    /// Killed at each point and run again.
    async fn cuts<S: Step>(&mut self, moments: &Moments) -> Result<(), LoadError> {
        let last = self.report.points;
        for at in spread(last, self.world.cuts()) {
            let mut play = self.begin::<S>().await;
            let way = Way::Run;
            play.live(death(way, at, last)).await?;
            let outcome = play.live(Trouble::None).await?;
            let clause = if at == last {
                Clause::TwiceIsOnce
            } else {
                Clause::CutAndResumed
            };
            let case = format!("killed at point {at} of {last}");
            self.settled(&play, clause, &case, &outcome, &moments.done)
                .await?;
        }
        Ok(())
    }

    /// Each answer lost, before and after it was done.
    async fn losses<S: Step>(&mut self, moments: &Moments) -> Result<(), LoadError> {
        let all = self.report.exchanges;
        for (at, done) in both(spread(all, self.world.cuts())) {
            let mut play = self.begin::<S>().await;
            let way = Way::Run;
            let mut outcome = play.live(Trouble::Loss { way, at, done }).await?;
            let case = lost(at, all, done);
            if self.guessed(Clause::UnknownNeverGuessed, &case, &outcome) {
                self.report.lives += play.lives;
                continue;
            }
            if is_to_be_tried_again(&outcome) {
                play.order(Order::Retry).await?;
                outcome = play.live(Trouble::None).await?;
            }
            let clause = Clause::UnknownNeverGuessed;
            self.settled(&play, clause, &case, &outcome, &moments.done)
                .await?;
        }
        Ok(())
    }

    /// Run and undone, undisturbed. `None` if the undo does not even succeed then.
    async fn undone<S: Step>(&mut self, moments: &Moments) -> Result<Option<String>, LoadError> {
        let mut play = self.begin::<S>().await;
        play.live(Trouble::None).await?;
        play.order(Order::Rollback).await?;
        let outcome = play.live(Trouble::None).await?;
        self.report.lives += play.lives;
        if outcome.step.undo != Undo::Undone {
            self.breach(Clause::UndoRestores, "undisturbed", outcome.in_words());
            return Ok(None);
        }
        (self.report.undo_points, self.report.undo_exchanges) = outcome.line.counts();
        let undone = play.state().await?;
        if self.world.restores() && undone != moments.before {
            let finding = differs("it was undone", &moments.before, &undone);
            self.breach(Clause::UndoRestores, "undisturbed", finding);
        }
        Ok(Some(undone))
    }

    /// Killed at each point of the run, then undone without an output. At the first point nothing had happened yet.
    async fn undo_of_cut_runs<S: Step>(&mut self, moments: &Moments) -> Result<(), LoadError> {
        let last = self.report.points;
        for at in spread(last, self.world.cuts()) {
            let mut play = self.begin::<S>().await;
            let way = Way::Run;
            play.live(death(way, at, last)).await?;
            play.order(Order::Rollback).await?;
            let outcome = play.live(Trouble::None).await?;
            let (clause, case) = if at == 1 {
                (
                    Clause::UndoWithoutRun,
                    "killed before it did anything".into(),
                )
            } else {
                let case = format!("run killed at point {at} of {last}");
                (Clause::UndoOfACutRun, case)
            };
            // An undo that leaves something on purpose leaves nothing of what never happened.
            let as_before = play.state().await? == moments.before;
            let expected = if as_before || at == 1 {
                &moments.before
            } else {
                &moments.undone
            };
            self.settled(&play, clause, &case, &outcome, expected)
                .await?;
        }
        Ok(())
    }

    /// The undo killed at each point and run again.
    async fn undo_cuts<S: Step>(&mut self, moments: &Moments) -> Result<(), LoadError> {
        let last = self.report.undo_points;
        for at in spread(last, self.world.cuts()) {
            let mut play = self.begin::<S>().await;
            play.live(Trouble::None).await?;
            play.order(Order::Rollback).await?;
            let way = Way::Undo;
            play.live(death(way, at, last)).await?;
            let outcome = play.live(Trouble::None).await?;
            let clause = if at == last {
                Clause::UndoTwiceIsOnce
            } else {
                Clause::UndoCutAndResumed
            };
            let case = format!("undo killed at point {at} of {last}");
            self.settled(&play, clause, &case, &outcome, &moments.undone)
                .await?;
        }
        Ok(())
    }

    /// Each answer lost while undoing.
    async fn undo_losses<S: Step>(&mut self, moments: &Moments) -> Result<(), LoadError> {
        let all = self.report.undo_exchanges;
        for (at, done) in both(spread(all, self.world.cuts())) {
            let mut play = self.begin::<S>().await;
            play.live(Trouble::None).await?;
            play.order(Order::Rollback).await?;
            let way = Way::Undo;
            let mut outcome = play.live(Trouble::Loss { way, at, done }).await?;
            let case = lost(at, all, done);
            if self.guessed(Clause::UndoNeverGuesses, &case, &outcome) {
                self.report.lives += play.lives;
                continue;
            }
            if is_to_be_tried_again(&outcome) {
                play.order(Order::Retry).await?;
                outcome = play.live(Trouble::None).await?;
            }
            let clause = Clause::UndoNeverGuesses;
            self.settled(&play, clause, &case, &outcome, &moments.undone)
                .await?;
        }
        Ok(())
    }

    /// Whether silence was taken for evidence.
    fn guessed(&mut self, clause: Clause, case: &str, outcome: &Outcome) -> bool {
        let guess = match &outcome.answer {
            Some(Err(error @ (StepError::Fail(_) | StepError::Refuse(_)))) => Some(error),
            _ => None,
        };
        if let Some(error) = guess {
            let finding = format!(
                "it answered {} ({error}): a lost answer is no evidence; Unreached, Retry or Ask",
                kind(error)
            );
            self.breach(clause, case, finding);
        }
        guess.is_some()
    }

    /// The run came to its end: done or undone with the world as expected, or the step says that it does not know.
    async fn settled(
        &mut self,
        play: &Play<'_, W>,
        clause: Clause,
        case: &str,
        outcome: &Outcome,
        expected: &str,
    ) -> Result<(), LoadError> {
        self.report.lives += play.lives;
        match &outcome.answer {
            Some(Err(StepError::Ask(_))) => self.report.asked += 1,
            Some(Ok(())) => {
                let found = play.state().await?;
                if found != expected {
                    let finding = differs("it answered that it is done", expected, &found);
                    self.breach(clause, case, finding);
                }
            }
            _ => self.breach(clause, case, outcome.in_words()),
        }
        Ok(())
    }
}

/// At the last point the step is done, wherever that point is in this life.
fn death(way: Way, at: usize, last: usize) -> Trouble {
    if at == last {
        Trouble::DeathAfter { way }
    } else {
        Trouble::Death { way, at }
    }
}

fn is_to_be_tried_again(outcome: &Outcome) -> bool {
    matches!(outcome.answer, Some(Err(StepError::Unreached(_))))
}

fn lost(at: usize, all: usize, done: bool) -> String {
    let when = if done {
        "after it was done"
    } else {
        "before it was done"
    };
    format!("answer {at} of {all} lost {when}")
}

fn both(places: Vec<usize>) -> impl Iterator<Item = (usize, bool)> {
    places.into_iter().flat_map(|at| [(at, true), (at, false)])
}

/// At most `most` of `1..=last`, evenly spread, the first and the last among them.
fn spread(last: usize, most: usize) -> Vec<usize> {
    if last <= most.max(2) {
        return (1..=last).collect();
    }
    let most = most.max(2);
    (0..most).map(|i| 1 + i * (last - 1) / (most - 1)).collect()
}

fn differs(what: &str, expected: &str, found: &str) -> String {
    format!("{what}, and the world is `{found}` instead of `{expected}`")
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn places_are_spread_and_the_first_and_last_are_among_them() {
        assert_eq!(spread(3, 24), [1, 2, 3]);
        assert_eq!(spread(100, 4), [1, 34, 67, 100]);
        assert_eq!(spread(5, 0), [1, 5]);
        assert_eq!(spread(0, 4), [0_usize; 0]);
    }
}
