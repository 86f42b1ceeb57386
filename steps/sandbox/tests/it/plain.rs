//! The sandbox, exercised as `flow` and its tests use it: real ssh, real databases, real mail; hosts as processes of this machine.

mod deploy;
mod five;
mod hosts;
mod life;
mod mail;
mod shared;

/// How the hosts of this program's sandboxes are kept apart.
const KIND: flow_sandbox::Isolation = flow_sandbox::Isolation::Plain;
