//! The one place of this crate that asks what time it is: for limits of time only, by the machine's monotonic clock.

use std::time::{Duration, Instant};

/// The moment by which a wait must be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// So long from now. One too far away to be counted lies a hundred years ahead.
    pub(crate) fn after(limit: Duration) -> Deadline {
        let now = Instant::now();
        Deadline(now.checked_add(limit).unwrap_or(now + FAR))
    }

    /// Whether it is reached.
    pub(crate) fn is_over(self) -> bool {
        self.0 <= Instant::now()
    }

    /// What is left until then; zero when it is reached.
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// A hundred years.
const FAR: Duration = Duration::from_hours(100 * 365 * 24);
