//! What steps do their work with, an own step of another crate as well: hosts and commands on them, who keeps an
//! application running there, what is asked once more. No step lives here, and nothing here knows one.

pub mod again;
pub mod commands;
pub mod host;
pub mod plain;
pub mod probes;
pub mod psql;
pub mod reach;
pub mod secret;
pub mod supervisor;
