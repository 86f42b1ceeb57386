//! The processes of the application before, during and after a release: recorded, brought back, looked at.
//!
//! The kinds of these steps are named after pm2, the first of the [supervisors](crate::means::supervisor); they serve the
//! others as well.

mod online;
mod place;
mod processes;
mod restarted;

pub use crate::means::supervisor::{App, Application, Kept, Kind, ProcessList, Whose, whose};
pub use online::Online;
pub use place::Released;
pub use processes::Processes;
pub use restarted::Restarted;

#[cfg(test)]
pub(crate) mod tests;
