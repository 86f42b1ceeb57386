//! What a release does to the world: one file, or one folder, per thing. Steps do not know one another.

pub mod host;
pub mod migration;
pub mod people;
pub mod pg;
