//! What `flow lint` asks, without a release: this crate knows neither the engine nor a step, and changes nothing.
//!
//! | module | what it answers | what it needs |
//! |---|---|---|
//! | [`migration`] | what pending migrations do to the rows that exist and to the version that still runs | their text |
//! | [`replay`] | whether an empty PostgreSQL agrees with that, statement for statement | PostgreSQL's programs, or a server |
//! | [`drift`] | whether `schema.prisma`, the migrations and a catalog say the same | their text, and a catalog as JSON |
//! | [`code`] | whether code survives a changed `schema.prisma` | a checkout; for types Node, `typescript` and Prisma |
//! | [`source`], [`since`], [`database`], [`settings`] | what is judged, and by whose word | files, git, `psql` |
//! | [`git`] | git as every question of this machine asks it | git |

pub mod baseline;
mod clock;
pub mod code;
pub mod database;
pub mod drift;
pub mod git;
pub mod migration;
pub mod replay;
pub mod settings;
mod shape;
pub mod since;
pub mod source;
mod url;
