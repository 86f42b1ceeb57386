//! The one place that knows what time it is.
//!
//! Everything else takes a [`Timestamp`] or a [`Clock`], so that a fifteen-minute watch can be tested in a
//! millisecond and a wall clock that jumps is a test case, not an accident.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment plus a duration, saturating at the ends of time.
    #[must_use]
    pub fn plus(self, by: Duration) -> Timestamp {
        Timestamp(
            self.0
                .saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero when the clock went back.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, to the millisecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// Tells the time and lets it pass.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The current moment. May go back when the machine's clock is set.
    fn now(&self) -> Timestamp;
    /// Returns when the given time has passed.
    async fn sleep(&self, for_: Duration);
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_millisecond())
    }

    async fn sleep(&self, for_: Duration) {
        tokio::time::sleep(for_).await;
    }
}

/// The machine's own clock, for whoever hands it on.
pub fn system() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// The moment by which a wait must be over, by the machine's monotonic clock: setting the wall clock changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// So long from now. One too far away to be counted, such as [`Duration::MAX`], lies a hundred years ahead.
    pub fn after(limit: Duration) -> Deadline {
        let now = Instant::now();
        Deadline(now.checked_add(limit).unwrap_or(now + FAR))
    }

    /// Whether it is reached.
    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }

    /// What is left until then; zero when it is reached.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// A hundred years.
const FAR: Duration = Duration::from_hours(100 * 365 * 24);

/// Measures how long something takes, by the machine's monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// One that runs from now on.
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// How long it has run.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A wall clock that follows tokio's own time from a given start: with tokio's time paused, waits of days take no
/// time in a test.
#[derive(Debug)]
pub struct TokioClock {
    start: Timestamp,
    origin: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that shows `start` now.
    pub fn starting_at(start: Timestamp) -> Self {
        TokioClock {
            start,
            origin: tokio::time::Instant::now(),
        }
    }
}

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.start.plus(self.origin.elapsed())
    }

    async fn sleep(&self, for_: Duration) {
        tokio::time::sleep(for_).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_as_utc() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_deadline_is_over_when_its_time_has_passed_and_one_without_end_never() {
        assert!(Deadline::after(Duration::ZERO).is_over());
        let later = Deadline::after(Duration::from_mins(1));
        assert!(!later.is_over() && later.left() <= Duration::from_mins(1));
        let never = Deadline::after(Duration::MAX);
        assert!(never.left() > Duration::from_hours(24) && never > later);
    }

    #[test]
    fn a_clock_that_went_back_yields_no_negative_age() {
        assert_eq!(Timestamp(5).since(Timestamp(10)), Duration::ZERO);
    }
}
