//! The lock of an environment; see the module above.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Lock {
    /// The environment, such as `prod`
    pub(crate) env: String,
    /// Why, for the record and for whoever is kept out
    #[arg(long, value_name = "TEXT", default_value = "locked by hand")]
    pub(crate) reason: String,
    /// Only show who holds it, since when and why
    #[arg(long, conflicts_with = "reason")]
    pub(crate) show: bool,
    /// Instead of locking, give the lease back to this run, from which it was taken: only when nothing was released since
    #[arg(
        long = "for",
        value_name = "RUN",
        requires = "reason",
        conflicts_with = "show"
    )]
    pub(crate) give_back: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Thaw {
    /// The environment, such as `prod`
    pub(crate) env: String,
    /// Why writers may be let in, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// The run that has the environment and is lost for good: without its name nothing is done while it does
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Unlock {
    /// The environment, such as `prod`
    pub(crate) env: String,
    /// Why it is safe to release again, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Also take the lease from this run, which must be lost for good together with its journal
    #[arg(long, value_name = "RUN")]
    pub(crate) lost: Option<String>,
}
