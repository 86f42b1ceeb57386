//! The release protocol, written as code on engine and steps.

pub mod config;
pub mod setup;
