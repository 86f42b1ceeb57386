//! What the exit code of `flow` means. Scripts and CI rely on this table.

use flow_engine::driver::Stop;
use flow_engine::record::{ParkReason, Verdict};
use flow_engine::run::{Life, Run};

use crate::driver::Driver;
use crate::questions;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// What was asked is done; of a run: it is completed.
    Done = 0,
    /// A check failed and the run is parked; or a run was cancelled; or `doctor` found something.
    Failed = 1,
    /// The command line, a configuration file or the journal cannot be used. Nothing was changed.
    Usage = 2,
    /// A gate said no.
    Refused = 3,
    /// People are waited for.
    Waiting = 4,
    /// Rolled back, and verified to be as before.
    RolledBack = 5,
    /// The rollback of a run that changed production is incomplete. People are needed now.
    RollbackIncomplete = 6,
    /// Another process or another run is in the way, or has the run in hand and goes on with it.
    Locked = 7,
    /// A bug in flow.
    Bug = 70,
    /// What was asked is done, and what it shows could not be written whole. Only ever in the place of [`Exit::Done`]:
    /// every other code says more.
    Unwritten = 74,
    /// What became of a step is not known, and a person must look; or what it needs could not be reached, and `flow
    /// resume` goes on when it can.
    Unknown = 75,
    /// Asked to stop by Ctrl-C or a signal, or found interrupted: nobody drives the run. `flow resume` goes on.
    Interrupted = 130,
}

impl Exit {
    /// The exit code of a driver that stopped with this run.
    pub(crate) fn of_stop(run: &Run, stop: &Stop) -> Exit {
        match stop {
            Stop::Finished(verdict) => Exit::of_verdict(*verdict),
            Stop::Parked(why) => Exit::of_park(run, why),
            Stop::WaitingForPeople => Exit::Waiting,
            Stop::Interrupted => Exit::Interrupted,
        }
    }

    /// The exit code of a run as it is now: what `flow status` would answer to a script. Only a run that is done is 0. One
    /// that another process has in hand is that process's; one that nobody drives was interrupted, and when that
    /// happened in the rollback of a run that changed production, the rollback is incomplete.
    pub(crate) fn of_run(run: &Run, driver: &Driver) -> Exit {
        match &run.life {
            Life::Finished { verdict, .. } => Exit::of_verdict(*verdict),
            Life::Parked { why, .. } => Exit::of_park(run, why),
            Life::Forward if questions::are_open(run) => Exit::Waiting,
            Life::Forward | Life::Unwinding(_) if driver.has_it() => Exit::Locked,
            Life::Unwinding(_) if run.production_changed() => Exit::RollbackIncomplete,
            Life::Forward | Life::Unwinding(_) => Exit::Interrupted,
        }
    }

    /// The exit code of another `flow` process.
    pub(crate) fn of_code(code: i32) -> Exit {
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Refused,
            Exit::Waiting,
            Exit::RolledBack,
            Exit::RollbackIncomplete,
            Exit::Locked,
            Exit::Unwritten,
            Exit::Unknown,
            Exit::Interrupted,
        ];
        let known = all.into_iter().find(|exit| i32::from(*exit as u8) == code);
        known.unwrap_or(Exit::Bug)
    }

    /// The exit code of a run that ended like this.
    pub(crate) fn of_verdict(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Completed => Exit::Done,
            Verdict::RolledBack => Exit::RolledBack,
            Verdict::Cancelled => Exit::Failed,
            Verdict::RolledBackInPart => Exit::RollbackIncomplete,
        }
    }

    /// People are woken for production only. What a run left undone elsewhere waits as any other failure does.
    fn of_park(run: &Run, why: &ParkReason) -> Exit {
        let untouched = !run.production_changed();
        match why {
            ParkReason::UndoFailed { .. } if untouched => Exit::Failed,
            ParkReason::UndoUnreached { .. } if untouched => Exit::Unknown,
            ParkReason::StepFailed { .. } => Exit::Failed,
            ParkReason::Refused { .. } => Exit::Refused,
            ParkReason::Unknown { .. } | ParkReason::Unreached { .. } => Exit::Unknown,
            ParkReason::UndoFailed { .. } | ParkReason::UndoUnreached { .. } => {
                Exit::RollbackIncomplete
            }
            ParkReason::Unreadable { .. } => Exit::Usage,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_a_driver_stops_has_the_documented_exit_code() {
        use crate::testing;

        let step = 0;
        let unreadable = || ParkReason::Unreadable {
            step,
            why: String::new(),
        };
        let plan = testing::plan(false);
        let untouched = testing::run_of("r-test", &plan, &testing::done(0));
        let changed = [testing::done(0), testing::done(1)].concat();
        let changed = testing::run_of("r-test", &plan, &changed);
        // Its code where production was changed, and where it was not: people are woken for production only.
        let table = [
            (Stop::Finished(Verdict::Completed), 0, 0),
            (Stop::Finished(Verdict::Cancelled), 1, 1),
            (Stop::Finished(Verdict::RolledBack), 5, 5),
            (Stop::Finished(Verdict::RolledBackInPart), 6, 6),
            (Stop::Parked(ParkReason::StepFailed { step }), 1, 1),
            (Stop::Parked(ParkReason::Refused { step }), 3, 3),
            (Stop::Parked(ParkReason::Unknown { step }), 75, 75),
            (Stop::Parked(ParkReason::UndoFailed { step }), 6, 1),
            (Stop::Parked(ParkReason::Unreached { step }), 75, 75),
            (Stop::Parked(ParkReason::UndoUnreached { step }), 6, 75),
            (Stop::Parked(unreadable()), 2, 2),
            (Stop::WaitingForPeople, 4, 4),
            (Stop::Interrupted, 130, 130),
        ];
        for (stop, code, before) in table {
            assert_eq!(Exit::of_stop(&changed, &stop) as u8, code, "{stop:?}");
            assert_eq!(Exit::of_stop(&untouched, &stop) as u8, before, "{stop:?}");
        }
    }

    #[tokio::test]
    async fn a_run_that_is_not_done_never_exits_with_0() {
        use std::sync::Arc;

        use flow_engine::journal::memory::MemoryJournal;
        use flow_engine::run::Unwind;

        use crate::driver::Process;
        use crate::testing::{self, NOON};

        let process = || Process {
            pid: 7,
            host: "box".into(),
        };
        let journal = Arc::new(MemoryJournal::default());
        let (waiting, _) = testing::driven(&journal, vec![], false).await;
        let mut forward = Run::clone(&waiting);
        for step in &mut forward.steps {
            step.wait = None;
        }
        let mut unwinding = forward.clone();
        unwinding.life = Life::Unwinding(Unwind {
            why: "x".into(),
            cancelled: false,
            since: NOON,
        });
        let mut early = unwinding.clone();
        for step in &mut early.steps {
            step.started = None;
        }
        let alive = || Driver::Alive(process());
        let table = [
            (&*waiting, alive(), 4),
            (&*waiting, Driver::Gone(process()), 4),
            (&forward, alive(), 7),
            (&forward, Driver::Stopped(process()), 7),
            (&forward, Driver::Gone(process()), 130),
            (&forward, Driver::Elsewhere(process()), 130),
            (&forward, Driver::Unasked, 130),
            (&unwinding, alive(), 7),
            (&unwinding, Driver::Gone(process()), 6),
            (&unwinding, Driver::Unasked, 6),
            (&early, alive(), 7),
            (&early, Driver::Gone(process()), 130),
            (&early, Driver::Unasked, 130),
        ];
        for (run, driver, code) in table {
            let exit = Exit::of_run(run, &driver) as u8;
            assert_eq!(exit, code, "{driver:?} {:?}", run.life);
        }
    }
}
