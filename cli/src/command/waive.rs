//! `flow waive`.

use std::time::Duration;

use flow_engine::clock::{Clock as _, SystemClock};
use flow_steps::people::statement::{self, Words};
use flow_steps::people::waiver::HOURS_MAX;
use flow_steps::people::{Decision, Subject};

use crate::actor;
use crate::args::{Global, Waive};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::people::{self, Roster, refused};
use crate::project;
use crate::store::Store;

/// Signs that one finding of one step is accepted. Whether it may be waived at all, the step decides.
pub(crate) async fn run(global: &Global, args: Waive) -> Result<Exit, Diagnostic> {
    let (state, setup) = project::open(global)?;
    let roster = people::roster(&setup);
    let run = Store::open(&state).await?.find(&args.run).await?;
    let me = actor::me();
    let (role, person) = people::signer(&roster, None, args.key.as_deref(), &me.name)?;
    let now = SystemClock.now();
    let words = Words {
        subject: Subject::Waiver,
        role: role.to_owned(),
        signer: person.name.clone(),
        decision: Decision::Approve,
        note: args.reason,
        finding: Some(args.finding),
        issued_at: now,
        expires_at: now.plus(Duration::from_secs(HOURS_MAX * 3600)),
    };
    let text = statement::build(&run, &args.step, words)
        .map_err(|e| refused(&e))?
        .text();
    super::sign::show_and_ask(&text, args.yes)?;
    let answer = super::sign::sign(text, args.key.as_deref(), person).await?;
    super::sign::hand_in(&state, Roster(roster), &run, &args.step, answer).await
}
