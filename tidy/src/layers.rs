//! Crates, and steps and means, point down.
