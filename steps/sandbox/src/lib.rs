//! Three throw-away hosts on this machine — test, stage and prod — for `flow demo` and for end-to-end tests; or one
//! environment of five hosts ([`Layout::FiveHosts`]), for those who have more.
//!
//! Every part is real: sshd, `PostgreSQL`, pm2, git, Node, a GraphQL application, Prisma's migrations, and a mail server
//! with STARTTLS. All of it lives in one folder, listens on loopback only and ends with the [`Sandbox`].
//!
//! ```no_run
//! use flow_sandbox::{Options, Sandbox};
//! let sandbox = Sandbox::up("/tmp/demo".as_ref(), &Options::default(), &mut |line| drop(line.to_owned()))?;
//! let customers = sandbox.sql("prod", r#"select count(*) from "Customer""#)?;
//! # Ok::<(), flow_sandbox::SandboxError>(())
//! ```

mod application;
mod attempt;
mod cache;
mod cgroups;
mod claim;
mod clock;
mod containers;
mod data;
mod error;
mod faults;
mod files;
mod ground;
mod host;
mod hosts;
mod image;
mod keys;
mod kit;
mod ledger;
mod mail;
mod neighbours;
mod options;
mod origin;
mod plain;
mod plan;
mod probe;
mod process;
mod roster;
mod sandbox;
mod ssh;
mod tools;
mod wire;

pub use error::SandboxError;
pub use host::Host;
pub use hosts::{FIVE_HOSTS, HOSTS, Layout, Role};
pub use keys::Person;
pub use ledger::LedgerLine;
pub use mail::{Mail, Smtp};
pub use neighbours::NEIGHBOURS;
pub use options::{Isolation, Options};
pub use roster::commit_alone;
pub use sandbox::Sandbox;
pub use wire::Wire;
