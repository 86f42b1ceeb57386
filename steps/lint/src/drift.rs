//! Drift: `schema.prisma`, the migrations and a database's catalog are three statements of one thing, and must agree.
//!
//! Each is brought to a [`Shape`], and two shapes are compared. Silence means that two things are known to be equal, or that
//! text does not tell: the latter is counted ([`Comparison::undecided`]), never guessed.

mod catalog;
mod close;
mod compare;
mod declaration;
mod external;
mod names;
mod place;
mod prisma;
mod sides;
mod source;

pub use crate::shape::{Guard, Shape};
pub use catalog::{Catalog, QUERY};
pub use compare::{Comparison, Difference, Scope};
pub use declaration::Declaration;
pub use external::External;
pub use prisma::declared;
pub use sides::{
    SCHEMA, Sides, UnreadableSchema, catalog_and_migrations, catalog_and_schema, findings, left_by,
    schema_and_migrations,
};
pub use source::{MOST, Tree, beside, find, is_schema};
