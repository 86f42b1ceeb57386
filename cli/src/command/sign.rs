//! `flow sign`: shows what is signed, signs it and hands it in.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use flow_engine::clock::Timestamp;
use flow_engine::run::Run;
use flow_engine::signal::Signal;
use flow_steps::means::signature::roster::{NAMESPACE, Person};
use flow_steps::means::signature::statement::{Decision, Subject, Words};
use flow_steps::means::signature::verify::SignedAnswer;
use flow_steps::means::signature::{sshsig, statement};

use crate::args::Sign;
use crate::control::Receipt;
use crate::control::server::Verifier as _;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::people::{self, Judge, Roster, refused};
use crate::session::Session;
use crate::{actor, files, view};

/// What is said of a signature that is stored.
pub(super) const SIGNED: &str = "signed and stored";
/// The longest file that is imported, in bytes; an answer has at most 3,700.
const IMPORT_MAX: u64 = 16 * 1024;

/// Shows exactly what is signed, signs it where the key is, checks it as the step will, and hands it in.
pub(crate) async fn run(session: &Session, args: Sign) -> Result<Exit, Diagnostic> {
    let (judge, roster) = (session.judge()?, Roster::of(session.project()?));
    let run = session.open().await?.find(&args.run).await?;
    let asked = people::to_sign(&run, &args.role, args.step.as_deref())?;
    if let Some(signature) = &args.import {
        let answer = import(signature)?;
        return hand_in(
            session,
            &judge,
            &run,
            signal(&asked.step, &answer, session.now()),
            SIGNED,
        )
        .await;
    }
    let people = roster.people(&run).await?;
    let after = Roster::rejection(&run, &asked, &people, session.now()).await?;
    let me = actor::me();
    let (role, person) = people::signer(&people, Some(&args.role), args.key.as_deref(), &me.name)?;
    let now = session.now();
    let words = Words {
        subject: asked.subject,
        role: role.to_owned(),
        signer: person.name.clone(),
        decision: if args.reject {
            Decision::Reject
        } else {
            Decision::Approve
        },
        note: args.note.clone().unwrap_or_default(),
        finding: asked.finding.clone(),
        after,
        issued_at: now,
        expires_at: now.plus(Duration::from_secs(asked.hours.saturating_mul(3600))),
    };
    let text = statement::build(&run, &asked.step, words)
        .map_err(|e| refused(&e))?
        .text();
    if let Some(path) = &args.export {
        return export(&run, &args, path, &text);
    }
    if asked.subject == Subject::Review {
        view::note(&super::check::review::text(&run, &asked.step).await?);
    }
    show_and_ask(&text, args.yes)?;
    let answer = sign(text, args.key.as_deref(), person).await?;
    hand_in(
        session,
        &judge,
        &run,
        signal(&asked.step, &answer, session.now()),
        SIGNED,
    )
    .await
}

/// What is signed is what was on the screen; a person says yes to it.
pub(super) fn show_and_ask(text: &str, yes: bool) -> Result<(), Diagnostic> {
    view::note(&format!(
        "This is what you sign, to the letter:\n\n{text}\n"
    ));
    if yes {
        return Ok(());
    }
    if !view::is_interactive() {
        return Err(
            Diagnostic::usage("signing asks first, and this is not a terminal")
                .hint("add --yes when you have read what is signed"),
        );
    }
    match view::ask("Sign it? Type `yes`: ") {
        Some(answer) if answer == "yes" => Ok(()),
        _ => Err(Diagnostic::usage("`yes` was not typed").world("Nothing was signed.")),
    }
}

/// Signs with the key that is named, or has the agent sign with the key of the roster.
pub(super) async fn sign(
    text: String,
    key: Option<&Path>,
    person: &Person,
) -> Result<SignedAnswer, Diagnostic> {
    let failed = |e: &dyn std::error::Error| {
        Diagnostic::usage("it could not be signed")
            .because(e)
            .world("Nothing was signed or stored.")
    };
    let signature = if let Some(key) = key {
        sshsig::sign(text.as_bytes(), key, None).await
    } else {
        let mut public = tempfile::Builder::new()
            .prefix("flow-key-")
            .suffix(".pub")
            .tempfile()
            .map_err(|e| failed(&e))?;
        writeln!(public, "{}", person.key).map_err(|e| failed(&e))?;
        sshsig::sign(text.as_bytes(), public.path(), None).await
    };
    let signature = signature.map_err(|e| failed(&e))?;
    Ok(SignedAnswer {
        statement: text,
        signature,
    })
}

/// The signal that carries a signed answer.
pub(super) fn signal(step: &str, answer: &SignedAnswer, at: Timestamp) -> Signal {
    Signal {
        step: step.to_owned(),
        id: answer.signal_id(),
        by: actor::me(),
        body: answer.body(),
        at,
    }
}

/// Has an answer judged here, hands it in where it is judged again, and says what became of it: `stored` where it is new.
pub(super) async fn hand_in(
    session: &Session,
    judge: &Judge,
    run: &Run,
    signal: Signal,
    stored: &str,
) -> Result<Exit, Diagnostic> {
    let step = signal.step.clone();
    judge.verify(run, &signal).await?;
    let store = session.open().await?;
    let mut run = store.find(run.id.as_str()).await?;
    let posted = store.signal(&mut run, signal).await?;
    let word = match posted {
        Receipt::Stored => stored,
        Receipt::Already => "was stored before",
    };
    view::note(&format!("run {}, {step}: {word}\n", run.id));
    if store.driven().is_none() {
        view::note(&format!(
            "Nobody drives the run now:\n  flow resume {}\n",
            run.id
        ));
    }
    Ok(Exit::Done)
}

fn export(run: &Run, args: &Sign, path: &Path, text: &str) -> Result<Exit, Diagnostic> {
    files::write_new(path, text)?;
    let shown = path.display();
    view::note(&format!(
        "{shown} holds what is to be signed. Read it, then:\n  \
         ssh-keygen -Y sign -n {NAMESPACE} -f KEY {shown}\n  \
         flow sign {} --role {}{} --import {shown}.sig\n",
        run.id,
        args.role,
        args.step
            .as_ref()
            .map(|step| format!(" --step {step}"))
            .unwrap_or_default()
    ));
    Ok(Exit::Done)
}

/// A signature, and beside it the text it is over: `FILE.sig` and `FILE`.
fn import(signature: &Path) -> Result<SignedAnswer, Diagnostic> {
    if signature.extension().is_none_or(|e| e != "sig") {
        return Err(Diagnostic::usage(
            "the signature's file must be named FILE.sig, beside the FILE that was signed",
        ));
    }
    Ok(SignedAnswer {
        statement: read_short(&signature.with_extension(""))?,
        signature: read_short(signature)?,
    })
}

/// A regular file of at most [`IMPORT_MAX`] bytes: neither a pipe that never ends nor one that nobody writes to.
fn read_short(path: &Path) -> Result<String, Diagnostic> {
    let failed = |e: &dyn std::error::Error| {
        Diagnostic::usage(format!("{} cannot be read", path.display()))
            .because(e)
            .world("Nothing was stored.")
    };
    let meta = std::fs::metadata(path).map_err(|e| failed(&e))?;
    if !meta.is_file() || meta.len() > IMPORT_MAX {
        let message = format!(
            "{} is no regular file of at most {IMPORT_MAX} bytes, as a statement and its signature are",
            path.display()
        );
        return Err(Diagnostic::usage(message).world("Nothing was stored."));
    }
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(IMPORT_MAX).read_to_string(&mut text))
        .map_err(|e| failed(&e))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_imported_is_a_short_regular_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        let longest = usize::try_from(IMPORT_MAX).expect("small");
        std::fs::write(path("good"), "x".repeat(longest)).expect("writes");
        std::fs::write(path("long"), "x".repeat(longest + 1)).expect("writes");
        std::fs::write(path("binary"), [0xff, 0xfe]).expect("writes");
        let made = std::process::Command::new("mkfifo")
            .arg(path("pipe"))
            .status();
        assert!(made.expect("mkfifo starts").success());
        assert_eq!(read_short(&path("good")).map(|t| t.len()), Ok(longest));
        // Nobody writes to the pipe, and `/dev/zero` never ends: neither is waited for.
        for bad in ["long", "binary", "pipe", "none", ".", "/dev/zero"] {
            let refused = read_short(&path(bad)).map_err(|d| d.exit);
            assert_eq!(refused, Err(Exit::Usage), "{bad}");
        }
    }
}
