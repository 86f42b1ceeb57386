//! Why a stored step cannot be read by this binary.

/// Why stored parameters cannot become a step of this binary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Planned by a binary whose version of the step is another one.
    #[error(
        "the run was planned with step `{kind}` version {stored}; this flow reads version {reads}"
    )]
    Version {
        /// The kind of step.
        kind: String,
        /// The version in the plan.
        stored: u16,
        /// The version this binary has.
        reads: u16,
    },
    /// A step this binary does not have.
    #[error("this flow has no step `{0}`")]
    Unknown(String),
    /// Parameters that do not fit.
    #[error("its stored parameters cannot be read: {0}")]
    Malformed(String),
    /// Two types of this binary claim the kind.
    #[error(transparent)]
    Clash(Clash),
}

/// Two types that claim one kind of step. Stored runs name steps by their kind, so neither is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two steps have the kind `{kind}`: {first} and {second}")]
pub struct Clash {
    /// The kind, as it is stored in plans.
    pub kind: &'static str,
    /// The type that was registered first, with its crate and modules.
    pub first: &'static str,
    /// The type that was registered later.
    pub second: &'static str,
}
