//! An application that is not known to be well, and what that says.

/// Why an application is not known to be well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwell {
    /// It answered, and not as it should; or nothing answers on its own host either. Evidence against it.
    #[error("{0}")]
    Sick(String),
    /// Nobody knows: it could not be asked from here, and its own host says that it is well or could not be asked.
    /// Evidence for nothing.
    #[error("{0}")]
    Unreached(String),
}
