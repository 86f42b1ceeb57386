//! The facts of a plan that are read from it, by whoever asks what a run is about. A stored plan has them: none is ever
//! called otherwise.

/// The commit that is released, in full.
pub const COMMIT: &str = "commit";
/// The file that counts as the roster, as `SHA256 COMMIT:PATH`.
pub const ROSTER: &str = "roster";
/// The reviewed ref whose later commits take keys out of the roster; only where the team has one.
pub const ROSTER_REF: &str = "roster-ref";

/// All of them.
pub const ALL: [&str; 3] = [COMMIT, ROSTER, ROSTER_REF];
