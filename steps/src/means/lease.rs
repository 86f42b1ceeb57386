//! The lease of an environment: one file on the host, and what a run that holds it may do. What the file means is told by
//! the steps that take and give it back.

use serde::{Deserialize, Serialize};

pub mod guard;
pub mod place;
pub mod store;
pub mod successor;

/// The lease as it was taken, and the machine it was taken on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The host, by its configured name.
    pub host: String,
    /// The folder of the lease.
    pub dir: String,
    /// The fencing epoch written into it.
    pub epoch: u64,
    /// `/etc/machine-id` of the host: later steps compare it, so that a changed alias cannot redirect a release.
    pub machine_id: String,
    /// What the host calls itself.
    pub hostname: String,
}
