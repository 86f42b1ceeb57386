//! Forbidden paths.
