//! What the demo application's release script wrote down about its deploys.

/// One line of a host's ledger: a deploy began or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerLine {
    /// When, in UTC, such as `2026-06-01T08:00:00Z`.
    pub at: String,
    /// `begin` or `end`.
    pub event: String,
    /// From `FLOW_RUN`; `-` when not set, as in a deploy by hand.
    pub run: String,
    /// The step's key, from `FLOW_STEP`; `-` when not set.
    pub step: String,
    /// The number of the attempt, from `FLOW_ATTEMPT`; `-` when not set.
    pub attempt: String,
    /// The full sha that is deployed.
    pub commit: String,
    /// The exit status, on an `end`.
    pub status: Option<i32>,
}

impl LedgerLine {
    /// Reads one line; `None` when it is not whole, as after a power cut in the middle of it.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (at, event) = (words.next()?.to_owned(), words.next()?.to_owned());
        let rest: Vec<&str> = words.collect();
        let field = |name: &str| {
            rest.iter()
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
                .map(str::to_owned)
        };
        Some(Self {
            at,
            event,
            run: field("run")?,
            step: field("step")?,
            attempt: field("attempt")?,
            commit: field("commit")?,
            status: field("status").and_then(|status| status.parse().ok()),
        })
    }
}
