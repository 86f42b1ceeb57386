//! Whether a step keeps the contract of [`Step`], asked of the step itself.
//!
//! [`conforms`] plays a run of this one step again and again in a [`World`] that the caller describes: killed at every
//! point, resumed, undone, and with each answer from outside lost. It compares what stands afterwards, never what the step
//! says. Behind the feature `testing`, for this crate's tests and for anybody's.
//!
//! | module | holds |
//! |---|---|
//! | `line` | the way from a step to the outside, where a life can end and an answer can be lost |
//! | `probe` | a step that is watched while it runs |
//! | `play` | one run, life after life |
//! | `clauses` | what is asked, clause by clause |
//! | `report` | what was found |
//! | [`rig`] | a real engine in memory, for tests of steps and of what shows runs |

use async_trait::async_trait;

use crate::planner::Planner;
use crate::registry::Registry;
use crate::resources::Resources;
use crate::run::Run;
use crate::signal::Signal;
use crate::step::Step;

mod clauses;
mod line;
mod play;
mod probe;
mod report;
pub mod rig;

pub use line::{Exchange, Line, Lost};
pub use report::{Breach, Breaches, Clause, Conformance};

/// The key of the step in the runs that [`conforms`] plays.
pub const KEY: &str = "conforms/step";

/// What a step acts on while its conformance is asked.
#[async_trait]
pub trait World: Send + Sync {
    /// Puts everything back to how it is before the step, in a state in which the step succeeds.
    async fn reset(&self);

    /// Everything that the step may change, as text. Two equal texts mean that nobody could tell the two worlds apart.
    /// Times, random names and the step's own log do not belong into it.
    async fn state(&self) -> String;

    /// What the step is given. Whatever reaches the outside should go through the line: where it does not, no answer can
    /// be lost, and a life ends only where the step waits for something.
    fn resources(&self, line: &Line) -> Resources;

    /// The steps whose outputs this one needs, and the facts that it reads. They are planned before it. What they change
    /// should not be in [`World::state`]: a rollback undoes them as well.
    fn before(&self, planner: &mut Planner) {
        let _ = planner;
    }

    /// The kinds of [`World::before`]. The step's own kind is added.
    fn registry(&self) -> Registry {
        Registry::default()
    }

    /// What people answer when the step waits for them.
    async fn answers(&self, run: &Run) -> Vec<Signal> {
        let _ = run;
        Vec::new()
    }

    /// Whether the world is, after the undo, as it was before the step. False for an undo that leaves something on
    /// purpose, such as a copy that is kept: then undoing twice must leave what undoing once leaves.
    fn restores(&self) -> bool {
        true
    }

    /// Whether the step stands in a phase whose failure rolls back. Then a run of it has changed production once it began,
    /// as [`Run::production_changed`] says, if it changes anything.
    fn in_production(&self) -> bool {
        true
    }

    /// At how many points of a run a life is ended, and how many answers are lost, at most. Where there are more, that
    /// many are taken, evenly spread, the first and the last among them.
    fn cuts(&self) -> usize {
        24
    }
}

/// Asks every clause of the contract of one step in one world.
///
/// * run once: it succeeds, and a step that says it only reads changes nothing;
/// * twice is once: killed after its last effect, before that was recorded, and run again;
/// * cut and resumed: killed at each point, and run again;
/// * unknown is never guessed: each answer from outside is lost, once after it was done and once before;
/// * and for a step with an undo: undo restores, undo twice is once, undo without run, undo of a run that was cut,
///   undo cut and resumed, and no answer guessed while undoing.
///
/// A step that answers [`StepError::Ask`](crate::step::StepError::Ask) after a cut or a loss keeps the contract: it says
/// that it does not know. [`Conformance::asked`] counts how often.
///
/// # Errors
/// Every breach that was found, in the order of the clauses. Where the step does not even succeed undisturbed, only that.
pub async fn conforms<S: Step, W: World>(step: S, world: &W) -> Result<Conformance, Breaches> {
    clauses::ask(step, world).await
}
