//! The rules of the house, held by a test: who may import whom, who may tell the time, who may print, how long a file
//! and a function may be, what a name and a doc comment must say.
//!
//! Each rule is a function from sources to breaches, so a test can feed it a source that breaks it. The workspace itself
//! is read in `tests/house.rs`, where the exceptions stand with their reasons.
//!
//! * [`source`]: a file, parsed, without what only tests compile.
//! * [`imports`]: the modules of a crate and which file takes which name from which other file.
//! * [`circles`]: files that need one another in a ring.
//! * [`layers`]: crates, and steps and means, point down.
//! * [`words`]: forbidden paths and macros, attributes, names and doc comments.
//! * [`lengths`]: lines of files and functions.

pub mod circles;
pub mod imports;
pub mod layers;
pub mod lengths;
pub mod source;
pub mod words;

/// One place that breaks one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breach {
    /// The file, from the root of the workspace, with `/`.
    pub file: String,
    /// The line, counted from 1; 0 where the breach is the file's as a whole.
    pub line: usize,
    /// What is wrong, as one sentence for whoever has to mend it.
    pub what: String,
}
