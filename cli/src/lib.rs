//! The command line of `flow`, as a library: a program of its own adds its steps to those that are here.
//!
//! | module | what it has |
//! |---|---|
//! | `app` | [`App`]: what a program is made of, and its `main` |
//! | `args`, `command` | the command line, and one file for each verb |
//! | `session` | what one command works on: configuration, state folder, journal |
//! | `store`, `state`, `upkeep` | the runs there are, where they are kept, and looking after them |
//! | `drive`, `control`, `notices` | driving a run, the socket by which others speak to the driver, mail that did not go out |
//! | `people`, `actor` | answers before they are stored, and who gives them |
//! | `view`, `diagnostic`, `exit` | everything that is printed, and how the process ends |
//! | `demo` | `flow demo` |

mod actor;
mod app;
mod args;
mod command;
mod control;
mod demo;
mod diagnostic;
mod drive;
mod driver;
mod exit;
mod files;
mod logs;
mod notices;
mod people;
mod project;
mod questions;
mod session;
mod state;
mod store;
#[cfg(test)]
mod testing;
mod upkeep;
mod view;

pub use app::App;
