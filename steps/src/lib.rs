//! What a release does to the world: one file, or one folder, per thing. Steps do not know one another; they meet
//! through outputs and arguments.

pub mod again;
pub mod code;
pub mod commands;
pub mod deploy;
pub mod drift;
pub mod gate;
pub mod health;
pub mod host;
pub mod identity;
pub mod lease;
pub mod mail;
pub mod people;
pub mod pg;
pub mod plain;
pub mod pm2;
pub mod reach;
pub mod schema;
pub mod standing;
pub mod supervisor;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod watch;
