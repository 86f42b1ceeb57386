//! Whether code, the new one and the one that is deployed, survives a changed `schema.prisma`.
//!
//! The compiler answers first: the client is generated and the project's own `tsc` is run with the old and the new
//! schema, and only what is new is reported ([`types`]). Beside it a look at the syntax finds what types cannot see
//! ([`syntax`]), and at the GraphQL schema what it promises and a nullable column cannot keep ([`graphql`]).

pub mod graphql;
pub mod schema;
pub mod syntax;
pub mod types;

use serde::{Deserialize, Serialize};

/// A place in code that the change of the schema reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hit {
    /// The file, relative to the root of the checkout, with `/`.
    pub file: String,
    /// The line in that file, from 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// What was found, in a word that does not change: `unguarded-access`, `non-null-assertion`, `any`, `ts-ignore`,
    /// `raw-sql`, `removed-value`, `non-null-in-graphql`, `type-error`, `added-value`,
    /// `not-read`.
    pub kind: String,
    /// What it is about: `Model.field`, `Enum.VALUE`, or a code of the compiler.
    pub about: String,
    /// What is wrong and what helps, in one sentence.
    pub message: String,
}

impl Hit {
    /// Whether the place is about the values of an enum, not about fields.
    pub fn is_about_values(&self) -> bool {
        matches!(self.kind.as_str(), "removed-value" | "added-value")
    }
}
