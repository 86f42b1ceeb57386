//! The rules no flag can switch off, judged at the moment they matter.
//!
//! A gate reads the journal (this run and the earlier ones) and the host's own clock. It never repairs anything: it
//! passes, or it refuses and says what would satisfy it.

mod backup;
mod overtaken;
mod preflight;
mod promotion;

pub use backup::{BackupFresh, BackupRule, Freshness};
pub use preflight::{CodeBefore, Free, Preflight, Ready};
pub use promotion::Promotion;
