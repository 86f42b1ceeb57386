//! Workflows: what they are, and the release protocol, written as code on engine and steps.
//!
//! | module | what it has |
//! |---|---|
//! | `workflow` | what a workflow is, and the set of them that a program has |
//! | `shipped` | `release` and `promote`, as such values |
//! | `project`, `config` | a team's project: the core of `flow.toml` and a section for each workflow |
//! | `release` | the protocol, phase by phase, and its steps with their parameters |
//! | `setup`, `roster`, `production`, `doctor` | what `[release]` names: people, data, repository, hosts |
//! | `init` | what `flow init` finds out, and the text of the three files |
//! | `registry` | the steps of this repository |
//! | `guard` | who else could write a file that `flow` believes |

pub mod config;
pub mod doctor;
mod git;
pub mod guard;
pub mod init;
pub mod local;
mod mailing;
pub mod production;
pub mod project;
pub mod registry;
pub mod release;
pub mod roster;
pub mod setup;
pub mod shipped;
pub mod workflow;
