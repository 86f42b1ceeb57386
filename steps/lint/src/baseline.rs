//! What git or a database says beside the text of the files.

use std::collections::BTreeSet;

use crate::migration::history::Fault;

/// Which migrations are new, and which are no longer what they were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    /// The names of the migrations that are to be judged.
    pub new: BTreeSet<String>,
    /// What happened to those that were there before.
    pub faults: Vec<Fault>,
    /// The tables and views that the database has in its own schema; empty when none was asked, and when it has no history.
    pub tables: BTreeSet<String>,
    /// The application's own schema as the URL names it; nothing when no database was asked.
    pub schema: Option<String>,
}
