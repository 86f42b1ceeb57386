//! Whole releases by the real binary, on three real hosts of this machine: real sshd, PostgreSQL, pm2, git, SMTP.
//!
//! Each test brings up hosts of its own (about three seconds once their parts are cached) and ends them. Two have
//! hosts at a time: more releases at once would be slow enough to run into each other's limits. People are played by keys made
//! for the test, who answer through processes of their own.

#![expect(
    clippy::print_stdout,
    reason = "what a test prints is shown when it fails: the seed, the driver's words"
)]

#[path = "support/checklist.rs"]
mod checklist;
#[path = "support/driver.rs"]
mod driver;
#[path = "support/place.rs"]
mod place;
#[path = "support/project.rs"]
mod project;
#[path = "support/random.rs"]
mod random;
#[path = "support/world.rs"]
mod world;

#[path = "release/connection.rs"]
mod connection;
#[path = "release/gates.rs"]
mod gates;
#[path = "release/input.rs"]
mod input;
#[path = "release/kills.rs"]
mod kills;
#[path = "release/lease.rs"]
mod lease;
#[path = "release/neighbours.rs"]
mod neighbours;
#[path = "release/network.rs"]
mod network;
#[path = "release/promote.rs"]
mod promote;
#[path = "release/retry.rs"]
mod retry;
#[path = "release/rollback.rs"]
mod rollback;
#[path = "release/standing.rs"]
mod standing;
#[path = "release/unattended.rs"]
mod unattended;
