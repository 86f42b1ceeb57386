//! The way from a step to the outside.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio_util::sync::CancellationToken;

use crate::step::StepError;

/// Doing or undoing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Run,
    Undo,
}

/// What happens to one life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// The process is killed at this point, counted from 1.
    Death {
        way: Way,
        at: usize,
    },
    /// The process is killed when the step is done and before that is recorded: a point that comes last however often the
    /// step waited.
    DeathAfter {
        way: Way,
    },
    /// The answer to this exchange, counted from 1, is lost: after it was done, or before it was even begun.
    Loss {
        way: Way,
        at: usize,
        done: bool,
    },
}

/// An answer that was lost on its way: whether it was done is not known to the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection was cut; what became of it is not known")]
pub struct Lost;

/// The way from a step to the outside in one life of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Line(Arc<State>);

#[derive(Debug)]
struct State {
    trouble: Trouble,
    way: Mutex<Option<Way>>,
    points: AtomicUsize,
    exchanges: AtomicUsize,
    dead: AtomicBool,
    death: CancellationToken,
    answers: Mutex<Vec<(Way, Result<(), StepError>)>>,
}

/// An exchange that was begun.
#[derive(Debug)]
pub struct Exchange {
    line: Line,
    is_lost: bool,
}

impl Exchange {
    /// Ends it, with the last part of its answer. The life may end here.
    ///
    /// # Errors
    /// [`Lost`]: it was done, and its answer did not arrive.
    pub async fn end(self) -> Result<(), Lost> {
        self.line.point().await;
        if self.is_lost { Err(Lost) } else { Ok(()) }
    }
}

impl Line {
    pub(super) fn with(trouble: Trouble) -> Line {
        Line(Arc::new(State {
            trouble,
            way: Mutex::new(None),
            points: AtomicUsize::new(0),
            exchanges: AtomicUsize::new(0),
            dead: AtomicBool::new(false),
            death: CancellationToken::new(),
            answers: Mutex::new(Vec::new()),
        }))
    }

    /// Asks the outside for something. The life may end before and after it, and the answer may be lost.
    ///
    /// # Errors
    /// [`Lost`]: it may have been done or not. The resource that asks makes of it what it makes of a connection that was
    /// cut.
    pub async fn exchange<T>(&self, act: impl Future<Output = T>) -> Result<T, Lost> {
        let exchange = self.begin().await?;
        let answer = act.await;
        exchange.end().await.map(|()| answer)
    }

    /// Begins an exchange whose answer comes in parts, such as the output of a process. The life may end here.
    ///
    /// # Errors
    /// [`Lost`]: it was not begun, which the one who asks cannot know.
    pub async fn begin(&self) -> Result<Exchange, Lost> {
        self.point().await;
        let loses = self.loses();
        if loses == Some(false) {
            return Err(Lost);
        }
        Ok(Exchange {
            line: self.clone(),
            is_lost: loses.is_some(),
        })
    }

    /// A point at which the life may end: then this does not return.
    pub async fn point(&self) {
        if self.dies_here() {
            std::future::pending::<()>().await;
        }
    }

    /// Runs or undoes the step. A point comes before it, each time it waits for something, and after it.
    pub(super) async fn through<T>(
        &self,
        way: Way,
        step: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, StepError> {
        *lock(&self.0.way) = Some(way);
        self.point().await;
        let mut step = std::pin::pin!(step);
        let result = std::future::poll_fn(|cx| {
            if self.is_dead() {
                return Poll::Pending;
            }
            let polled = step.as_mut().poll(cx);
            if polled.is_pending() {
                let _it_is_polled_no_more = self.dies_here();
            }
            polled
        })
        .await;
        if self.is_point_of_death(|_| self.0.trouble == Trouble::DeathAfter { way }) {
            std::future::pending::<()>().await;
        }
        *lock(&self.0.way) = None;
        let answer = result.as_ref().map(|_| ()).map_err(Clone::clone);
        lock(&self.0.answers).push((way, answer));
        result
    }

    /// Counts a point. True if the life ends at it.
    fn dies_here(&self) -> bool {
        let Some(now) = self.way() else {
            return self.is_dead();
        };
        self.is_point_of_death(
            |place| matches!(self.0.trouble, Trouble::Death { way, at } if way == now && at == place),
        )
    }

    fn is_point_of_death(&self, dies: impl FnOnce(usize) -> bool) -> bool {
        if self.is_dead() {
            return true;
        }
        let place = self.0.points.fetch_add(1, Ordering::SeqCst) + 1;
        let dies = dies(place);
        if dies {
            self.0.dead.store(true, Ordering::SeqCst);
            self.0.death.cancel();
        }
        dies
    }

    /// Counts an exchange. `Some` if its answer is lost: whether after it was done.
    fn loses(&self) -> Option<bool> {
        let now = self.way()?;
        let place = self.0.exchanges.fetch_add(1, Ordering::SeqCst) + 1;
        match self.0.trouble {
            Trouble::Loss { way, at, done } if way == now && at == place => Some(done),
            _ => None,
        }
    }

    fn way(&self) -> Option<Way> {
        *lock(&self.0.way)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.0.dead.load(Ordering::SeqCst)
    }

    /// Ends when the life does.
    pub(super) async fn death(&self) {
        self.0.death.cancelled().await;
    }

    /// How many points and exchanges there were.
    pub(super) fn counts(&self) -> (usize, usize) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        (count(&self.0.points), count(&self.0.exchanges))
    }

    /// What the step answered last, run or undone; `None` if it did not, or was not asked.
    pub(super) fn answer(&self, asked: Way) -> Option<Result<(), StepError>> {
        let answers = lock(&self.0.answers);
        let last = answers.iter().rev().find(|(way, _)| *way == asked);
        last.map(|(_, answer)| answer.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
