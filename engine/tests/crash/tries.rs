//! How often something was tried, and what came of it.

use flow_engine::record::FailureKind;

/// What the records say of one step, forward and backward.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tries {
    /// How many attempts were begun.
    pub(crate) begun: u16,
    /// Attempts begun since a person last had it tried again.
    since_order: u16,
    /// Begun, without a result.
    pub(crate) open: bool,
    /// Over, for good and well.
    pub(crate) done: bool,
    /// Over, for good and badly; how.
    pub(crate) failed: Option<FailureKind>,
    /// Not to be begun again before.
    not_before: Option<i64>,
}

impl Tries {
    pub(crate) fn begin(&mut self, attempt: u16, at: i64, allowed: u16) -> Result<(), String> {
        ensure!(!self.open && !self.done, "begun while it is {self:?}");
        ensure!(
            attempt == self.begun + 1,
            "attempt {attempt} after {}",
            self.begun
        );
        ensure!(
            self.failed.is_none(),
            "begun again unasked after {:?}",
            self.failed
        );
        ensure!(
            self.not_before.is_none_or(|t| at >= t),
            "tried again too early"
        );
        ensure!(self.since_order < allowed, "tried more often than allowed");
        self.begun = attempt;
        self.since_order += 1;
        self.open = true;
        Ok(())
    }

    pub(crate) fn succeed(&mut self) -> Result<(), String> {
        ensure!(self.open, "a result of what is not begun: {self:?}");
        self.open = false;
        self.done = true;
        Ok(())
    }

    pub(crate) fn fail(&mut self, kind: FailureKind, retry_at: Option<i64>) -> Result<(), String> {
        ensure!(self.open, "a failure of what is not begun: {self:?}");
        ensure!(
            retry_at.is_none() || matches!(kind, FailureKind::Failed | FailureKind::Unreached),
            "a retry without a person after {kind:?}"
        );
        self.open = false;
        if kind == FailureKind::Unreached {
            self.since_order = self.since_order.saturating_sub(1);
        }
        self.not_before = retry_at;
        self.failed = retry_at.is_none().then_some(kind);
        Ok(())
    }

    pub(crate) fn again(&mut self) {
        if self.failed.take().is_some() {
            self.since_order = 0;
        }
    }
}
