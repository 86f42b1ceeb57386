//! What a release does to the world: one file, or one folder, per thing. Steps do not know one another; they meet
//! through outputs and arguments. What they do it with, and an own step may use as well, lies in [`means`].

pub mod code;
pub mod deploy;
pub mod drift;
pub mod gate;
pub mod health;
pub mod identity;
pub mod lease;
pub mod mail;
pub mod means;
pub mod people;
pub mod pg;
pub mod pm2;
pub mod schema;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod watch;
