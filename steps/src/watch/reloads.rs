//! Restarts that pm2 makes by itself of a process that is well: for a file it watches, or one that grew too large.
//!
//! Such a restart sets anew when the process was ordered to start (measured with pm2 7.0.4); one after a crash does not.

use flow_engine::step::{Cx, StepError};
use serde::{Deserialize, Serialize};

use super::Seen;
use crate::means::supervisor::settle::CRASH_LOOP;
use crate::means::supervisor::{App, ProcessList};

/// So many restarts of one process within so much watched time, in milliseconds, are a crash loop whoever makes them.
const WINDOW: u64 = 120_000;

/// What is known of the restarts of one process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reloads {
    /// Its counter at the last look.
    restarts: u64,
    /// When it had been ordered to start last then.
    ordered: Option<u64>,
    /// After how much watched time each that was forgiven was seen, in milliseconds.
    forgiven: Vec<u64>,
    /// How many are open, because the new process was not up yet at the last look.
    open: u64,
}

impl Reloads {
    fn since(app: &App) -> Self {
        Reloads {
            restarts: app.restarts,
            ordered: app.ordered,
            ..Reloads::default()
        }
    }

    /// How many restarts of it do not count.
    pub(super) fn excused(&self) -> u64 {
        self.open + self.forgiven()
    }

    pub(super) fn forgiven(&self) -> u64 {
        self.forgiven.len() as u64
    }

    /// Takes what a look shows; answers how many restarts are forgiven by it.
    fn look(&mut self, was: &App, app: &App, millis: u64) -> u64 {
        let grown = app.restarts.saturating_sub(self.restarts);
        let lately = self.forgiven.iter().filter(|at| **at + WINDOW > millis);
        let often = lately.count() as u64 + grown >= CRASH_LOOP;
        // Of two at one look, one may be a crash.
        let well = grown == 1 || app.exit_code.unwrap_or(0) == 0;
        let ordered = app.ordered > self.ordered;
        let by_pm2 = app.reloads && ordered && well && !often && is_same_code(was, app);
        if grown > 0 && by_pm2 && !app.is_running() && self.open == 0 {
            self.open = grown;
            return 0;
        }
        self.open = 0;
        self.restarts = app.restarts;
        self.ordered = app.ordered;
        if !by_pm2 || !app.is_running() {
            return 0;
        }
        let more = usize::try_from(grown).unwrap_or(usize::MAX);
        self.forgiven.extend(std::iter::repeat_n(millis, more));
        grown
    }
}

impl Seen {
    /// Forgives the restarts that pm2 made by itself, and says so: the new process is up and runs the same code. Its health is
    /// asked for as ever.
    ///
    /// Fails when a process that was forgiven runs other code.
    pub(super) fn forgive(&mut self, cx: &Cx, list: &ProcessList) -> Result<(), StepError> {
        for app in &list.apps {
            let known = |was: &&App| was.id == app.id && was.name == app.name;
            let Some(was) = self.from.apps.iter().find(known) else {
                continue;
            };
            let reloads = self.reloads.entry(app.id);
            let reloads = reloads.or_insert_with(|| Reloads::since(was));
            if reloads.look(was, app, self.millis) > 0 {
                cx.log(format!(
                    "{}: forgiven, pm2 restarted it by itself for a changed file or for its memory, and it is up with the same code",
                    app.in_words()
                ));
            }
            if reloads.forgiven() > 0 && !is_same_code(was, app) {
                return Err(StepError::fail(format!(
                    "pm2 restarted {} by itself while it was watched, and it runs other code than the release",
                    app.in_words()
                )));
            }
        }
        Ok(())
    }
}

/// Whether it runs from the same place, at the commit and with the version it had. pm2 looks a commit up after the start.
fn is_same_code(was: &App, app: &App) -> bool {
    let agree = |a: &Option<String>, b: &Option<String>| {
        a.as_ref().zip(b.as_ref()).is_none_or(|(a, b)| a == b)
    };
    was.folder == app.folder
        && was.script == app.script
        && agree(&was.revision, &app.revision)
        && agree(&was.version, &app.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(restarts: u64, ordered: u64) -> App {
        App {
            name: "api".into(),
            status: "online".into(),
            pid: 1,
            restarts,
            ordered: Some(ordered),
            reloads: true,
            ..App::default()
        }
    }

    #[test]
    fn what_pm2_ordered_is_forgiven_and_a_crash_a_loop_other_code_or_an_unwatched_process_is_not() {
        let was = app(4, 10);
        let look = |app: &App| Reloads::since(&was).look(&was, app, 0);
        assert_eq!(look(&app(5, 11)), 1);
        assert_eq!(look(&app(5, 10)), 0, "a crash");
        assert_eq!(look(&app(7, 11)), 0, "a loop");
        let unwatched = App {
            reloads: false,
            ..app(5, 11)
        };
        assert_eq!(look(&unwatched), 0);
        let elsewhere = App {
            folder: Some("/b".into()),
            ..app(5, 11)
        };
        assert_eq!(look(&elsewhere), 0);
        let crashed = App {
            exit_code: Some(1),
            ..app(6, 11)
        };
        assert_eq!(look(&crashed), 0, "a crash before it");
    }

    #[test]
    fn three_within_two_minutes_are_a_loop_and_one_that_is_not_up_yet_is_open_for_one_look() {
        let was = app(0, 0);
        let mut reloads = Reloads::since(&was);
        assert_eq!(reloads.look(&was, &app(1, 1), 0), 1);
        assert_eq!(reloads.look(&was, &app(2, 2), 50_000), 1);
        assert_eq!(reloads.look(&was, &app(3, 3), 130_000), 1);
        assert_eq!(reloads.look(&was, &app(4, 4), 140_000), 0);
        assert_eq!(reloads.excused(), 3);
        let mut reloads = Reloads::since(&was);
        let launching = App {
            status: "launching".into(),
            ..app(1, 1)
        };
        assert_eq!(reloads.look(&was, &launching, 0), 0);
        assert_eq!(reloads.excused(), 1);
        assert_eq!(reloads.clone().look(&was, &app(1, 1), 0), 1);
        assert_eq!(reloads.look(&was, &launching, 0), 0);
        assert_eq!(reloads.excused(), 0);
    }
}
