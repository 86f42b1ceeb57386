//! `flow status`.

use std::time::Duration;

use flow_engine::clock::{Clock as _, SystemClock};
use flow_engine::run::{Life, Run};

use crate::args::{Global, Status};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::state::State;
use crate::store::Store;
use crate::view::{self, json, text};

/// Shows one run; exits with 0 whatever its state is, which `--json` carries as `exit`.
pub(crate) async fn run(global: &Global, args: &Status) -> Result<Exit, Diagnostic> {
    let state = State::of(global)?;
    if args.watch {
        return watch(global, &state, &args.run).await;
    }
    let run = Store::look(&state).await?.look_up(&args.run).await?;
    let now = SystemClock.now();
    if args.json {
        view::out_json(&json::Status::of(&run, now));
    } else {
        view::out(&text::status(&run, now));
    }
    Ok(Exit::Done)
}

/// Shows it again whenever it changed, at most once a second, until it needs nobody to drive it.
async fn watch(global: &Global, state: &State, named: &str) -> Result<Exit, Diagnostic> {
    let animate = view::may_animate(global.plain);
    let mut shown = None;
    loop {
        let run = Store::look(state).await?.look_up(named).await?;
        let news = shown != Some(run.next_seq);
        if animate || news {
            if animate {
                view::out_raw("\x1b[2J\x1b[H");
            }
            view::out(&format!("{}\n", text::status(&run, SystemClock.now())));
            shown = Some(run.next_seq);
        }
        if rests(&run) {
            return Ok(Exit::of_run(&run));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

pub(super) fn rests(run: &Run) -> bool {
    matches!(run.life, Life::Finished { .. } | Life::Parked { .. })
}
