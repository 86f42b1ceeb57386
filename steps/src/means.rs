//! What steps do their work with, an own step of another crate as well: hosts and commands on them, databases, who keeps an
//! application running, signed answers. No step lives here. What steps tell one another by lies here, too: the kinds that
//! are looked for in a run ([`kinds`]), what is reported ([`reports`]) and noted ([`notes`]), and what a run has come to by
//! that ([`standing`], [`freezes`], [`again`]).

pub mod again;
pub mod checklist;
pub mod commands;
pub mod facts;
pub mod freezes;
pub mod git;
pub mod host;
pub mod kinds;
pub mod lease;
pub mod migrations;
pub mod notes;
pub mod plain;
pub mod probes;
pub mod promotion;
pub mod psql;
pub mod reach;
pub mod read_only;
pub mod reports;
pub mod secret;
pub mod signature;
pub mod standing;
pub mod supervisor;
