//! What was found.

use std::fmt;

/// One clause of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clause {
    /// It succeeds when nothing disturbs it.
    RunOnce,
    /// A step that says it only reads, or tells, and has no undo, changes nothing.
    ReadsOnly,
    /// Running it twice leaves the world as running it once.
    TwiceIsOnce,
    /// Killed at any point and run again, it leaves the world as if it had not been killed.
    CutAndResumed,
    /// Where an answer was lost it tries again or says that it does not know: silence is no evidence, and no success.
    UnknownNeverGuessed,
    /// Its undo leaves the world as it was before.
    UndoRestores,
    /// Undoing it twice leaves the world as undoing it once.
    UndoTwiceIsOnce,
    /// Undoing what never happened succeeds and changes nothing.
    UndoWithoutRun,
    /// Undoing a run that was killed at any point leaves the world as undoing a whole one.
    UndoOfACutRun,
    /// An undo that was killed at any point and run again leaves the world as one that was not.
    UndoCutAndResumed,
    /// As [`Clause::UnknownNeverGuessed`], while undoing.
    UndoNeverGuesses,
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Clause::RunOnce => "run once",
            Clause::ReadsOnly => "reads only",
            Clause::TwiceIsOnce => "twice is once",
            Clause::CutAndResumed => "cut and resumed",
            Clause::UnknownNeverGuessed => "unknown is never guessed",
            Clause::UndoRestores => "undo restores",
            Clause::UndoTwiceIsOnce => "undo twice is once",
            Clause::UndoWithoutRun => "undo without run",
            Clause::UndoOfACutRun => "undo of a cut run",
            Clause::UndoCutAndResumed => "undo cut and resumed",
            Clause::UndoNeverGuesses => "undo never guesses",
        })
    }
}

/// A clause that the step does not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The clause that does not hold.
    pub clause: Clause,
    /// What was done to the run, such as `killed at point 3 of 7`.
    pub case: String,
    /// What stood afterwards or was answered, and what was expected.
    pub finding: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {}", self.clause, self.case, self.finding)
    }
}

/// Every clause that the step does not keep; at least one. Shown as one line for each.
#[derive(Clone, PartialEq, Eq)]
pub struct Breaches {
    /// The kind of the step.
    pub kind: String,
    /// In the order of the clauses.
    pub breaches: Vec<Breach>,
}

impl Breaches {
    /// Whether this clause is among them.
    pub fn of(&self, clause: Clause) -> bool {
        self.breaches.iter().any(|breach| breach.clause == clause)
    }
}

impl fmt::Display for Breaches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the step `{}` does not conform", self.kind)?;
        for breach in &self.breaches {
            write!(f, "\n  {breach}")?;
        }
        Ok(())
    }
}

/// As shown: `unwrap` in a test prints sentences.
impl fmt::Debug for Breaches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Breaches {}

/// A step that kept every clause, and how hard it was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conformance {
    /// Points of an undisturbed run at which a life could end.
    pub points: usize,
    /// Answers from outside that an undisturbed run took over the line. With none, no loss was tried.
    pub exchanges: usize,
    /// The same for its undo.
    pub undo_points: usize,
    /// The same for its undo.
    pub undo_exchanges: usize,
    /// Lives that were played in all.
    pub lives: usize,
    /// How often the step answered that it does not know what happened, after a cut or a loss.
    pub asked: usize,
}
