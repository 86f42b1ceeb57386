//! `flow waive`: accepts one warning, signed.

use std::time::Duration;

use flow_engine::run::Run;
use flow_steps::means::signature::statement;
use flow_steps::means::signature::statement::{Decision, Subject, Words};
use flow_steps::means::signature::verify::SignOffRefusal;
use flow_steps::means::signature::waiver::{AskedWaivers, HOURS_MAX};

use crate::actor;
use crate::args::Waive;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::people::{self, Roster, refused};
use crate::session::Session;

/// Signs that one finding of one step is accepted. Only a finding that the step asks about now, by the role it asks, is
/// signed at all: anything else would be on record without any effect.
pub(crate) async fn run(session: &Session, args: Waive) -> Result<Exit, Diagnostic> {
    let (judge, roster) = (session.judge()?, Roster::of(session.project()?));
    let run = session.open().await?.find(&args.run).await?;
    let asked = AskedWaivers::of(&run, &args.step)
        .ok_or_else(|| not_asked(&run, &SignOffRefusal::NoWaiver(args.step.clone())))?;
    let finding = asked
        .find(&args.step, &args.finding)
        .map_err(|e| not_asked(&run, &e))?
        .to_owned();
    let people = roster.people(&run).await?;
    let me = actor::me();
    let (role, person) = people::signer(&people, Some(&asked.role), args.key.as_deref(), &me.name)?;
    if role != asked.role {
        let message = format!(
            "`{}` asks the role `{}`, and this is a key of {}, `{role}`",
            args.step, asked.role, person.name
        );
        return Err(Diagnostic::new(Exit::Refused, message).world("Nothing was signed."));
    }
    let now = session.now();
    let words = Words {
        subject: Subject::Waiver,
        role: role.to_owned(),
        signer: person.name.clone(),
        decision: Decision::Approve,
        note: args.reason,
        finding: Some(finding),
        after: None,
        issued_at: now,
        expires_at: now.plus(Duration::from_secs(HOURS_MAX * 3600)),
    };
    let text = statement::build(&run, &args.step, words)
        .map_err(|e| refused(&e))?
        .text();
    super::sign::show_and_ask(&text, args.yes)?;
    let answer = super::sign::sign(text, args.key.as_deref(), person).await?;
    let signal = super::sign::signal(&args.step, &answer, session.now());
    super::sign::hand_in(session, &judge, &run, signal, super::sign::SIGNED).await
}

fn not_asked(run: &Run, why: &SignOffRefusal) -> Diagnostic {
    Diagnostic::new(Exit::Refused, why.to_string())
        .world("Nothing was signed or stored.")
        .hint(format!(
            "flow status {}     what is asked, and of whom",
            run.id
        ))
}
