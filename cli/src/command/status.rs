//! `flow status`: where a run is, and what can be done now.

use std::time::Duration;

use flow_engine::run::{Life, Run};
use flow_workflows::production::HostSays;

use super::lock;
use crate::args::Status;
use crate::diagnostic::Diagnostic;
use crate::driver::Driver;
use crate::exit::Exit;
use crate::session::Session;
use crate::view::beside::Beside;
use crate::view::{self, json, next, text};

/// Shows one run; exits with 0 whatever its state is, which `--json` carries as `exit`. A run that cannot be read is not
/// shown: with `--json` what is known of it is printed, and the exit code is 2.
pub(crate) async fn run(session: &Session, args: &Status) -> Result<Exit, Diagnostic> {
    let state = session.state()?;
    if args.watch {
        return watch(session, &args.run).await;
    }
    let store = session.look().await?;
    let run = match store.look_up(&args.run).await {
        Ok(run) => run,
        Err(error) => {
            if args.json
                && let Some(damaged) = store.damaged(&args.run).await?
            {
                view::out_json(&json::Summary::of_damaged(&damaged));
            }
            return Err(error);
        }
    };
    let driver = store.driver(&run);
    drop(store);
    let beside = Beside {
        host: ask_host(session, &run, &driver).await,
        mailed: flow_steps::mail::holders(&state.mails(), &run.id),
        unlocked: next::left_a_lock(&run) && lock::is_lifted(session, &run).await,
    };
    let now = session.now();
    if args.json {
        let status = json::Status::of(&run, &driver, now);
        view::out_json(&status.beside(&run, &driver, &beside));
    } else {
        view::out(&text::status_beside(&run, &driver, &beside, now));
        if args.undo {
            view::out(&text::rollback(&run));
        }
    }
    Ok(Exit::Done)
}

/// What production's host says, where the run left something unusual there and nobody drives it: what the journal knows
/// may be old by then. Nothing in all other cases, which are most, and where there is no configuration to reach it by.
async fn ask_host(session: &Session, run: &Run, driver: &Driver) -> HostSays {
    let unusual = !flow_steps::means::standing::standing(run).is_empty();
    if !unusual || driver.has_it() {
        return HostSays::default();
    }
    match session.setup() {
        Ok(setup) => setup.ask_host(&run.plan.environment).await,
        Err(_) => HostSays::default(),
    }
}

/// Shows it again whenever it changed, at most once a second, until it needs nobody to drive it.
async fn watch(session: &Session, named: &str) -> Result<Exit, Diagnostic> {
    let animate = view::may_animate(session.plain());
    let mut shown = None;
    loop {
        let store = session.look().await?;
        let run = store.look_up(named).await?;
        let driver = store.driver(&run);
        let look = Some((run.next_seq, driver.clone()));
        let news = shown != look;
        if animate || news {
            if animate {
                view::out_raw("\x1b[2J\x1b[H");
            }
            let text = text::status(&run, &driver, session.now());
            view::out(&format!("{text}\n"));
            shown = look;
        }
        if rests(&run) {
            return Ok(Exit::of_run(&run, &driver));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

pub(super) fn rests(run: &Run) -> bool {
    matches!(run.life, Life::Finished { .. } | Life::Parked { .. })
}
