//! PostgreSQL: what a database holds, backups that are proven, read-only mode, restoring and comparing.
//!
//! Everything runs through single processes on the database's host (`psql`, `pg_dump`, `dd`, `cat`). There is no
//! shell pipe: this program owns the bytes in between and looks at both ends' exit status, because a pipe hides the
//! death of everything but its last member. A restore never goes into a live database but into a fresh one, which
//! takes the live one's name once it is proven equal; the replaced one is kept.

mod addition;
mod applied;
mod aside;
mod backup;
mod baseline;
mod behind;
mod capture;
mod catalog;
mod copy_safe;
mod counts;
mod drill;
mod dump;
mod expected;
mod file;
mod freeze;
mod horizon;
mod integrity;
mod load;
mod loadable;
mod manifest;
pub mod mode;
mod outlook;
mod places;
mod policy;
mod proof;
mod record;
mod rehearsal;
mod restore;
mod right;
mod rights;
mod room;
mod rows;
mod scan;
mod scratch;
mod settings;
mod shape;
mod space;
mod state;
mod swap;
mod thaw;

pub use addition::Addition;
pub use applied::{Applied, MigrationsApplied};
pub use aside::Aside;
pub use backup::TakeBackup;
pub use baseline::Baseline;
pub use behind::Behind;

pub use copy_safe::{Copied, CopySafe, Corrected, TakeBack, TakenBack};
pub use counts::{CountsMatch, CountsReport};

pub use expected::{Expectation, ExpectedShape};

pub use integrity::{Integrity, IntegrityReport, TableFinding};
pub use manifest::{Backup, Compression};
pub use outlook::{BeforeStop, Outlook, OutlookError, Restorable, outlook};
pub(crate) use outlook::{Halt, Question};

pub use policy::{DataPolicy, Pending, Policy, unlisted};
pub use proof::RestoreProof;

pub use record::RecordState;
pub use rehearsal::{Rehearsal, RestoreRehearsal};
pub use right::Right;
pub use rights::{Purpose, Remarks, Rights, rights};
pub use room::{Room, room};
pub use rows::{Fate, Row, RunRows, TableRows, rows_of};
pub use thaw::Thaw;

pub use catalog::Column;
pub use shape::{Change, Shape, Thing};
pub use state::{Bucket, DbState, TableState};

#[cfg(test)]
pub(crate) mod tests;
