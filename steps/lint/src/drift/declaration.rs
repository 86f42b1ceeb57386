//! What a schema says of a database, whatever language it is written in.

use std::collections::BTreeSet;

use super::external::External;
use crate::shape::Shape;

/// What a schema declares.
#[derive(Debug, Clone, Default)]
pub struct Declaration {
    /// The tables and enums.
    pub shape: Shape,
    /// The schemas that it speaks of; what lies in others is none of its business. The application's own is empty.
    pub schemas: BTreeSet<String>,
    /// What it speaks of and its migrations leave to others.
    pub external: External,
}
