//! The sandbox, exercised as `flow` and its tests use it: real ssh, real databases, real mail.

mod deploy;
mod hosts;
mod life;
mod mail;
mod shared;
