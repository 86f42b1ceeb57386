//! The release protocol, written as code on engine and steps.

pub mod config;
pub mod doctor;
mod git;
pub mod guard;
pub mod production;
pub mod registry;
pub mod release;
pub mod roster;
pub mod setup;
