//! The processes of the application, as pm2 keeps them.
//!
//! What pm2 7 does and this has to live with (measured): `pm2 jlist` prints banners before its JSON when it has to
//! start its daemon; it repeats the whole environment of every process, secrets included, of which nothing is kept
//! in a journal; it lists pm2's own modules and other people's applications like one's own; `pm2 restart` answers 0
//! while the application crash-loops, so only a restart counter that stands still counts, and it starts a name with
//! the definition of the last release, not of the one that is put back; `pm2 stop` leaves the timer of `cron_restart`.
//! Names are not unique: every command of pm2 that takes one acts on all of that name, in whatever namespace and
//! whoever's they are, `pm2 start FILE` and a watched file too, and `pm2 resurrect` passes over a name that it knows.

use std::time::Duration;

use flow_engine::step::StepError;

use crate::host::{Command, Host};
use crate::reach;

mod application;
mod bring_back;
mod counterparts;
mod definition;
mod list;
mod online;
mod place;
mod processes;
mod read;
mod restarted;
mod settle;
mod stop;

pub use application::Application;
pub use definition::Kept;
pub use list::{App, ProcessList};
pub use online::Online;
pub use place::Released;
pub use processes::Processes;
pub use restarted::Restarted;
pub(crate) use settle::CRASH_LOOP;

/// How long processes may take to come online; the slowest Node application seen with a cold disk took a third of it.
const ONLINE_WITHIN: Duration = Duration::from_mins(1);
/// How long pm2 may take to stop or start some processes; a process deaf to its signal costs it a few seconds.
const ACT_WITHIN: Duration = Duration::from_mins(2);

/// pm2 on a host, and which of its processes are meant.
pub(crate) struct Pm2<'a> {
    pub(crate) host: &'a dyn Host,
    /// The program and its leading arguments, such as `sudo -u app pm2`.
    pub(crate) program: &'a [String],
    pub(crate) application: &'a Application,
}

/// What pm2 keeps on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// Which processes are the application's and which are left alone.
    pub words: String,
    /// Whether each of the application's is online.
    pub all_up: bool,
}

/// What pm2 keeps on a host; or why a release could not go by it.
pub async fn whose(
    host: &dyn Host,
    program: &[String],
    application: &Application,
) -> Result<Whose, String> {
    let pm2 = Pm2 {
        host,
        program,
        application,
    };
    let found = pm2.inventory().await.map_err(|e| e.to_string())?;
    let rule = application.in_words();
    let unknown = |name: &&String| !found.own.apps.iter().any(|a| a.name == **name);
    let unknown: Vec<&str> = application
        .processes
        .iter()
        .filter(unknown)
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        return Err(format!("pm2 knows no {}", unknown.join(", ")));
    }
    let alone = if found.others.is_empty() {
        String::new()
    } else {
        format!("; left alone: {}", found.others.join(", "))
    };
    if found.own.apps.is_empty() {
        return Err(format!("no process is the application's ({rule}){alone}"));
    }
    let own: Vec<String> = found
        .own
        .apps
        .iter()
        .map(|a| format!("{} {}", a.name, a.status))
        .collect();
    Ok(Whose {
        words: format!("the application's ({rule}): {}{alone}", own.join(", ")),
        all_up: found.own.apps.iter().all(|a| a.status == "online"),
    })
}

impl Pm2<'_> {
    fn command(&self, args: &[&str]) -> Result<Command, StepError> {
        reach::command(self.program, args)
    }

    /// Has pm2 save its list, which it starts again after a restart of the host.
    async fn save(&self) -> Result<(), StepError> {
        reach::run(self.host, &self.command(&["save"])?).await?;
        Ok(())
    }

    /// Stops, restarts or deletes processes by their numbers: a name may be another application's too, or mean all.
    async fn act(&self, what: &str, ids: &[u64], known: &list::Inventory) -> Result<(), StepError> {
        let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
        let taken = |id: &&String| known.names.contains(*id) || known.namespaces.contains(*id);
        if let Some(taken) = ids.iter().find(taken) {
            return Err(StepError::fail(format!(
                "a process or a namespace on `{}` is named {taken}, which pm2 takes for that number of another one; rename it",
                self.host.name()
            )));
        }
        let mut args = vec![what];
        args.extend(ids.iter().map(String::as_str));
        reach::run(self.host, &self.command(&args)?.deadline(ACT_WITHIN)).await?;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
