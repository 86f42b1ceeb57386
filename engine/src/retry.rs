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
    /// How long it is tried again when what it needs cannot be reached: that uses up no attempt, and when it is over
    /// the step is parked, never failed. Plans made before there was patience have the usual one.
    #[serde(default = "usual_patience_s")]
    pub patience_s: u64,
}

/// Five minutes: a network that comes back, a host that starts again.
fn usual_patience_s() -> u64 {
    300
}

/// The longest pause while something cannot be reached, in seconds: production may be waiting.
const UNREACHED_PAUSE_MAX_S: u64 = 15;

impl Default for Policy {
    /// Five minutes; three attempts, 2 s and 4 s apart; five minutes of patience.
    fn default() -> Self {
        Policy {
            timeout_s: 300,
            attempts: 3,
            pause_s: 2,
            pause_max_s: 60,
            patience_s: usual_patience_s(),
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
        let pause = self.doubled(attempt.saturating_sub(1));
        Some(Duration::from_secs(pause.min(self.pause_max_s)))
    }

    fn doubled(&self, times: u16) -> u64 {
        self.pause_s.saturating_mul(1 << u32::from(times).min(20))
    }

    /// The pause after something could not be reached, as it could not `times` times before, for so long in all; or
    /// nothing when patience is over. The last attempt is made when it ends.
    pub fn pause_unreached(&self, times: u16, spent: Duration) -> Option<Duration> {
        let left = Duration::from_secs(self.patience_s).saturating_sub(spent);
        let pause = self
            .doubled(times)
            .clamp(1, UNREACHED_PAUSE_MAX_S.min(self.pause_max_s.max(1)));
        (!left.is_zero()).then(|| Duration::from_secs(pause).min(left))
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
            patience_s: 0,
        };
        let pauses: Vec<_> = (1..=5)
            .map(|n| policy.pause_after(n).map(|p| p.as_secs()))
            .collect();
        assert_eq!(pauses, [Some(2), Some(4), Some(8), Some(10), None]);
    }

    #[test]
    fn what_cannot_be_reached_is_tried_until_patience_is_over_and_at_most_15_s_apart() {
        let policy = Policy {
            attempts: 1,
            patience_s: 60,
            ..Policy::default()
        };
        let (mut spent, mut pauses) = (Duration::ZERO, Vec::new());
        while let Some(pause) =
            policy.pause_unreached(u16::try_from(pauses.len()).unwrap_or(u16::MAX), spent)
        {
            pauses.push(pause.as_secs());
            spent += pause;
        }
        assert_eq!(pauses, [2, 4, 8, 15, 15, 15, 1]);
        let none = Policy {
            patience_s: 0,
            ..policy
        };
        assert_eq!(none.pause_unreached(0, Duration::ZERO), None);
    }

    #[test]
    fn a_policy_of_a_plan_from_before_there_was_patience_has_the_usual_one() {
        let old = r#"{"timeout_s":1,"attempts":2,"pause_s":3,"pause_max_s":4}"#;
        let policy: Policy = serde_json::from_str(old).expect("it is still read");
        assert_eq!(policy.patience_s, 300);
    }

    #[test]
    fn one_attempt_means_no_retry() {
        assert_eq!(Policy::once(5).pause_after(1), None);
    }
}
