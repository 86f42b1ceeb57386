//! The signature of a start, where the roster bars who starts from answering for the release.

use std::path::Path;
use std::time::Duration;

use flow_engine::driver::NewRun;
use flow_engine::signal::Signal;
use flow_engine::step::Step as _;
use flow_steps::means::kinds;
use flow_steps::means::reports::people::Signer;
use flow_steps::means::signature::roster::People;
use flow_steps::means::signature::sign_off::SignOff;
use flow_steps::means::signature::starter::HOURS_MAX;
use flow_steps::means::signature::statement::{Decision, Subject, Words};
use flow_steps::means::signature::{starter, statement};

use crate::args::Start;
use crate::command::sign;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::people;
use crate::session::Session;

/// Signs the start of a run that does not exist yet, checks it as the run will, and finds out whether the others can sign
/// it off. Refused before anything is stored.
pub(super) async fn start(
    session: &Session,
    new: &NewRun,
    step: &str,
    args: &Start,
) -> Result<Signal, Diagnostic> {
    if starter::is_nameless(&new.by) {
        return Err(nameless(&new.by.name));
    }
    let roster = session.project()?.rosters().0.of(&new.plan).await;
    let roster = roster.map_err(|e| nothing(Diagnostic::usage(e.to_string())))?;
    let key = args.key.as_deref();
    let (role, person) = people::signer(&roster, None, key, &new.by.name)
        .map_err(|_| unknown(&roster, key, &args.workflow))?;
    let now = session.now();
    let run = new.preview(now);
    let run = run.map_err(|e| nothing(Diagnostic::usage(e.to_string())))?;
    let words = Words {
        subject: Subject::Start,
        role: role.to_owned(),
        signer: person.name.clone(),
        decision: Decision::Approve,
        note: String::new(),
        finding: None,
        after: None,
        issued_at: now,
        expires_at: now.plus(Duration::from_secs(HOURS_MAX * 3600)),
    };
    let text = statement::build(&run, step, words);
    let text = text.map_err(|e| nothing(people::refused(&e)))?.text();
    sign::show_and_ask(&text, args.yes).map_err(nothing)?;
    let answer = sign::sign(text, key, person).await.map_err(|e| {
        nothing(e).hint(format!(
            "flow start {} --key FILE     the private key, or add it to the agent",
            args.workflow
        ))
    })?;
    let signer = starter::verify_start(&run, &roster, &answer, session.now()).await;
    let signer = signer.map_err(|e| nothing(people::refused(&e)))?;
    others_can_sign(new, &roster, &signer)?;
    Ok(Signal {
        step: step.to_owned(),
        id: answer.signal_id(),
        by: new.by.clone(),
        body: answer.body(),
        at: session.now(),
    })
}

fn nothing(diagnostic: Diagnostic) -> Diagnostic {
    diagnostic.world("Nothing was started.")
}

/// A starter whom no login name tells apart could answer for their own release under another entry of the roster.
fn nameless(name: &str) -> Diagnostic {
    let message = format!(
        "the roster says `forbid_starter`, and `{name}`, as which this runs, has no login name on this machine"
    );
    nothing(Diagnostic::new(Exit::Refused, message)).hint(
        "getent passwd UID     must name the user: add it to /etc/passwd, or to the directory that the machine asks",
    )
}

/// Nobody is known to start: which key, or which person, is asked for.
fn unknown(roster: &People, key: Option<&Path>, workflow: &str) -> Diagnostic {
    let message = match key {
        Some(key) => format!(
            "the start is signed where the roster says `forbid_starter`, and {} is no key of the roster with its .pub beside it",
            key.display()
        ),
        None => "the start is signed where the roster says `forbid_starter`, and it is not clear with whose key".into(),
    };
    let several = roster.roles.values().flatten().count() > 1;
    let refused = nothing(Diagnostic::new(Exit::Refused, message));
    let refused = refused.hint(format!(
        "flow start {workflow} --key FILE     {} of the roster's people signs the start",
        if several { "one" } else { "the one" }
    ));
    refused.hint(
        "who only starts releases: [[roles.starter]] name and key in flow.people.toml, committed",
    )
}

/// A role that nobody but the starter holds could never sign: said now, not after staging.
fn others_can_sign(new: &NewRun, roster: &People, starter: &Signer) -> Result<(), Diagnostic> {
    let asked = new.plan.nodes.iter();
    let asked = asked.filter(|node| node.kind == kinds::SIGN_OFF);
    let roles = asked.filter_map(|node| SignOff::decode(node.version, &node.params).ok());
    let is_barred = |role: &str| {
        let people = roster.of_role(role);
        let is_barred = |p| starter::is_starter(roster, starter, p) || p.is(&new.by.name);
        people.iter().all(is_barred)
    };
    let barred: Vec<String> = roles
        .map(|asked| asked.role)
        .filter(|role| is_barred(role))
        .collect();
    if barred.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} starts this, so nobody is left to sign as {}",
        starter.signer,
        barred.join(", ")
    );
    Err(nothing(Diagnostic::new(Exit::Refused, message))
        .hint("have somebody else start it: another holder of a role, or somebody under [[roles.starter]] who holds no other")
        .hint("entries that share a name, an address or a login are one person"))
}
