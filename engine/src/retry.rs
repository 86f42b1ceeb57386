//! How long a step may take, and when a failed one is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Time limit and retries of a step. All times in seconds, so that a plan reads well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The longest one attempt may take; waits for people do not count.
    pub timeout_s: u64,
    /// How often it is tried in all before it has failed.
    pub attempts: u16,
    /// The pause before the second attempt; it doubles for each further one.
    pub pause_s: u64,
    /// The longest pause.
    pub pause_max_s: u64,
}

impl Default for Policy {
    /// Five minutes; three attempts, 2 s and 4 s apart.
    fn default() -> Self {
        Policy {
            timeout_s: 300,
            attempts: 3,
            pause_s: 2,
            pause_max_s: 60,
        }
    }
}

impl Policy {
    /// One attempt only, with this time limit in seconds.
    #[must_use]
    pub fn once(timeout_s: u64) -> Self {
        Policy {
            timeout_s,
            attempts: 1,
            ..Policy::default()
        }
    }

    /// The default retries with this time limit in seconds.
    #[must_use]
    pub fn within(timeout_s: u64) -> Self {
        Policy {
            timeout_s,
            ..Policy::default()
        }
    }

    /// The pause after the failure of attempt `attempt` (counted from 1), or nothing when that was the last.
    ///
    /// No jitter: one run drives one environment, there is no herd to spread.
    pub fn pause_after(&self, attempt: u16) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let doublings = u32::from(attempt.saturating_sub(1)).min(20);
        let pause = self
            .pause_s
            .saturating_mul(1 << doublings)
            .min(self.pause_max_s);
        Some(Duration::from_secs(pause))
    }

    /// The time limit of one attempt.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_end_with_the_last_attempt() {
        let policy = Policy {
            timeout_s: 1,
            attempts: 5,
            pause_s: 2,
            pause_max_s: 10,
        };
        let pauses: Vec<_> = (1..=5)
            .map(|n| policy.pause_after(n).map(|p| p.as_secs()))
            .collect();
        assert_eq!(pauses, [Some(2), Some(4), Some(8), Some(10), None]);
    }

    #[test]
    fn one_attempt_means_no_retry() {
        assert_eq!(Policy::once(5).pause_after(1), None);
    }
}
