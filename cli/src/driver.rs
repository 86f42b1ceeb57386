//! Who drives a run, as far as that can be told from here.
//!
//! The journal names the process that drove last. Whether it still does, only the lock on the journal says: it goes with
//! the process. Of a folder that came from another machine the lock says nothing.

use flow_engine::journal::sled::Holder;
use flow_engine::run::Run;
use serde::Serialize;

/// A process and the machine it runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its number there.
    pub(crate) pid: u32,
    /// The machine's name.
    pub(crate) host: String,
}

impl Process {
    /// Reads what [`flow_engine::lease::holder`] wrote; nothing when it is something else.
    pub(crate) fn parse(holder: &str) -> Option<Process> {
        let rest = holder.strip_prefix("process ")?;
        let (pid, rest) = rest.split_once(" on ")?;
        let host = rest.rsplit_once(" (boot ").map_or(rest, |(host, _)| host);
        Some(Process {
            pid: pid.parse().ok()?,
            host: host.to_owned(),
        })
    }

    fn in_words(&self) -> String {
        format!("process {} on {}", self.pid, self.host)
    }
}

/// Who drives a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Driver {
    /// This process does.
    Alive(Process),
    /// This process does, and stands still: SIGSTOP, or a debugger.
    Stopped(Process),
    /// Nobody: the one that did last is gone, or drives another run by now.
    Gone(Process),
    /// It ran on another machine, and nothing here says whether it still does.
    Elsewhere(Process),
    /// Nobody ever did.
    Nobody,
    /// It was not asked: only what the journal says counts.
    Unasked,
}

/// The driver as `flow status --json` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DriverRow {
    pid: u32,
    host: String,
    /// Whether it drives the run now; nothing when that cannot be told from here.
    alive: Option<bool>,
    /// Whether it stands still.
    stopped: bool,
}

/// Who has the journal, for the question who drives.
pub(crate) enum Occupant<'a> {
    /// A process that answers, which drives this run.
    Answers {
        /// The run it drives.
        driving: &'a str,
        /// Itself, as it names itself.
        holder: &'a str,
    },
    /// A process that does not answer.
    Silent(&'a Holder),
    /// Nobody drives it, as far as this machine can tell.
    ByNobody {
        /// The name of the machine that this is.
        here: &'a str,
    },
}

impl Driver {
    /// Who drives a run, given who has the journal.
    pub(crate) fn of(run: &Run, held: &Occupant<'_>) -> Driver {
        let last = Process::parse(&run.holder);
        match held {
            Occupant::Answers { driving, holder } if *driving == run.id.as_str() => {
                Process::parse(holder)
                    .or(last)
                    .map_or(Driver::Nobody, Driver::Alive)
            }
            Occupant::Answers { .. } => last.map_or(Driver::Nobody, Driver::Gone),
            Occupant::Silent(holder) => match last {
                Some(last) if last.pid == holder.pid && last.host == holder.host => {
                    if holder.is_stopped() {
                        Driver::Stopped(last)
                    } else {
                        Driver::Alive(last)
                    }
                }
                last => last.map_or(Driver::Nobody, Driver::Gone),
            },
            Occupant::ByNobody { here } => match last {
                Some(last) if last.host != *here => Driver::Elsewhere(last),
                last => last.map_or(Driver::Nobody, Driver::Gone),
            },
        }
    }

    /// Whether a process has the run in hand, standing still or not.
    pub(crate) fn has_it(&self) -> bool {
        matches!(self, Driver::Alive(_) | Driver::Stopped(_))
    }

    /// How a sentence about the run goes on: who drives it.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Driver::Alive(p) => format!("driven by {}", p.in_words()),
            Driver::Stopped(p) => format!(
                "but {}, which drives it, is stopped: nothing goes on (`kill -CONT {}` lets it go on, \
                 `flow resume --take-over` replaces it)",
                p.in_words(),
                p.pid
            ),
            Driver::Gone(p) => format!("nobody drives it: {} is gone", p.in_words()),
            Driver::Elsewhere(p) => format!(
                "nobody drives it here; whether {} still does cannot be told from this machine",
                p.in_words()
            ),
            Driver::Nobody => "nobody has driven it yet".to_owned(),
            Driver::Unasked => String::new(),
        }
    }

    /// For `--json`; nothing when nobody ever drove.
    pub(crate) fn shown(&self) -> Option<DriverRow> {
        let (process, alive, stopped) = match self {
            Driver::Alive(p) => (p, Some(true), false),
            Driver::Stopped(p) => (p, Some(true), true),
            Driver::Gone(p) => (p, Some(false), false),
            Driver::Elsewhere(p) => (p, None, false),
            Driver::Nobody | Driver::Unasked => return None,
        };
        Some(DriverRow {
            pid: process.pid,
            host: process.host.clone(),
            alive,
            stopped,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flow_engine::journal::memory::MemoryJournal;

    use super::*;
    use crate::testing;

    async fn run() -> Run {
        let journal = Arc::new(MemoryJournal::default());
        let (run, _) = testing::driven(&journal, vec![], false).await;
        let mut run = Run::clone(&run);
        run.holder = "process 7 on box (boot 0a1b2c3d)".into();
        run
    }

    fn process(pid: u32, host: &str) -> Process {
        Process {
            pid,
            host: host.into(),
        }
    }

    #[tokio::test]
    async fn the_last_driver_on_record_is_not_taken_for_one_that_drives() {
        let run = run().await;
        let nobody = Occupant::ByNobody { here: "box" };
        assert_eq!(Driver::of(&run, &nobody), Driver::Gone(process(7, "box")));
        let other = Occupant::Answers {
            driving: "r-other",
            holder: "process 9 on box (boot 0a1b2c3d)",
        };
        assert_eq!(Driver::of(&run, &other), Driver::Gone(process(7, "box")));
    }

    #[tokio::test]
    async fn a_process_that_answers_for_the_run_drives_it() {
        let run = run().await;
        let held = Occupant::Answers {
            driving: run.id.as_str(),
            holder: "process 9 on box (boot 0a1b2c3d)",
        };
        let driver = Driver::of(&run, &held);
        assert_eq!(driver, Driver::Alive(process(9, "box")));
        let shown = driver.shown().expect("a driver");
        assert_eq!((shown.alive, shown.stopped), (Some(true), false));
    }

    #[tokio::test]
    async fn of_a_folder_from_another_machine_nothing_is_claimed() {
        let run = run().await;
        let driver = Driver::of(&run, &Occupant::ByNobody { here: "laptop" });
        assert_eq!(driver, Driver::Elsewhere(process(7, "box")));
        assert_eq!(driver.shown().expect("a driver").alive, None);
        assert!(driver.in_words().contains("cannot be told"), "{driver:?}");
    }

    #[tokio::test]
    async fn a_silent_holder_drives_the_run_only_when_it_is_the_one_on_record() {
        let run = run().await;
        let mut holder = Holder::this_process();
        let named = Process::parse(&run.holder).expect("a process");
        (holder.pid, holder.host) = (named.pid, named.host);
        assert_eq!(
            Driver::of(&run, &Occupant::Silent(&holder)),
            Driver::Alive(process(7, "box"))
        );
        holder.pid = 8;
        assert_eq!(
            Driver::of(&run, &Occupant::Silent(&holder)),
            Driver::Gone(process(7, "box"))
        );
    }
}
