//! `flow answer`: answers whatever a step asks. `flow sign`, `check` and `waive` are short forms of it.

use std::io::Read as _;
use std::path::Path;

use flow_engine::answer::{Answer as Shape, Reply, Subject};
use flow_engine::id::RunId;
use flow_engine::run::Run;
use flow_engine::run::options::Question;
use flow_engine::signal::Signal;
use flow_steps::means::again::question_of;
use flow_steps::means::commands;

use super::{check, sign, waive};
use crate::actor;
use crate::args::{Answer, Check, Sign, Waive};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;
use crate::view;

/// The longest file that is taken as an answer, in bytes; a text has at most 3,000 characters.
const FILE_MAX: u64 = 16 * 1024;

/// Finds out what the step asks, and hands in what the command line says.
pub(crate) async fn run(session: &Session, args: Answer) -> Result<Exit, Diagnostic> {
    let run = session.open().await?.find(&args.run).await?;
    if args.json {
        view::out_json(&view::json::Questions::of(&run).only(&args.step));
        return Ok(Exit::Done);
    }
    let question = question(&run, &args.step)?;
    fits(&run, &question, &args)?;
    match question.answer.clone() {
        Shape::Signature {
            subject: Subject::Waiver,
            about: Some(finding),
            ..
        } => waive::run(session, waiver(&run, finding, args)?).await,
        Shape::Signature { role, .. } => sign::run(session, signature(role, args)).await,
        Shape::Checklist { .. } => check::run(session, checklist(args)).await,
        Shape::Choice { of } => {
            let word = chosen(&run, &question, &of, &args)?;
            reply(session, &run, &question, &Reply::Choice(word)).await
        }
        Shape::Text { .. } => {
            let text = written(&run, &question, &args)?;
            reply(session, &run, &question, &Reply::Text(text)).await
        }
        Shape::Command(_) => Err(Diagnostic::usage(format!(
            "`{}` was asked by an older version of flow, which named a command",
            question.step
        ))
        .hint(commands::answering(&run, &question))),
    }
}

fn question(run: &Run, step: &str) -> Result<Question, Diagnostic> {
    let status = || format!("flow status {}     what is asked, and of whom", run.id);
    if run.plan.node(step).is_none() {
        let message = format!("the plan of run {} has no step `{step}`", run.id);
        return Err(Diagnostic::usage(message).hint(status()));
    }
    question_of(run, step).ok_or_else(|| {
        Diagnostic::new(Exit::Refused, format!("`{step}` asks nothing now"))
            .world("Nothing was stored.")
            .hint(status())
    })
}

/// Refuses what the question does not take, before anything is shown or signed.
fn fits(run: &Run, question: &Question, args: &Answer) -> Result<(), Diagnostic> {
    let (takes, what): (&[&str], _) = match &question.answer {
        Shape::Signature { .. } => (&["--reject", "--note", "--key", "--yes"], "a signature"),
        Shape::Checklist { .. } => (&["--item", "--note"], "a checklist"),
        Shape::Choice { .. } => (&["--choice"], "a choice"),
        Shape::Text { .. } => (&["--text", "--file"], "a text"),
        Shape::Command(_) => (&[], "what an older version asked for"),
    };
    let given = [
        ("--choice", args.choice.is_some()),
        ("--text", args.text.is_some()),
        ("--file", args.file.is_some()),
        ("--item", !args.items.is_empty()),
        ("--reject", args.reject),
        ("--note", args.note.is_some()),
        ("--key", args.key.is_some()),
        ("--yes", args.yes),
    ];
    let odd = given
        .into_iter()
        .find(|(name, given)| *given && !takes.contains(name));
    let Some((name, _)) = odd else {
        return Ok(());
    };
    let message = format!("`{}` takes {what}, and {name} is none", question.step);
    Err(Diagnostic::usage(message)
        .world("Nothing was stored.")
        .hint(commands::answering(run, question)))
}

fn waiver(run: &Run, finding: String, args: Answer) -> Result<Waive, Diagnostic> {
    if args.reject {
        let message = format!("`{}` asks for a waiver, which is given or not", args.step);
        return Err(Diagnostic::usage(message)
            .world("Nothing was signed.")
            .hint(format!("flow cancel {} --reason …     end the run", run.id)));
    }
    let reason = args.note.ok_or_else(|| {
        Diagnostic::usage("a waiver needs a reason, which is signed: --note TEXT")
            .world("Nothing was signed.")
    })?;
    Ok(Waive {
        run: args.run,
        step: args.step,
        finding,
        reason,
        key: args.key,
        yes: args.yes,
    })
}

fn signature(role: String, args: Answer) -> Sign {
    Sign {
        run: args.run,
        role,
        step: Some(args.step),
        approve: !args.reject,
        reject: args.reject,
        note: args.note,
        key: args.key,
        yes: args.yes,
        export: None,
        import: None,
    }
}

fn checklist(args: Answer) -> Check {
    Check {
        run: args.run,
        checklist: Some(args.step),
        items: args.items,
        note: args.note.unwrap_or_default(),
        json: false,
    }
}

/// The word that is named, or that is typed on the terminal.
fn chosen(
    run: &Run,
    question: &Question,
    of: &[String],
    args: &Answer,
) -> Result<String, Diagnostic> {
    if let Some(word) = &args.choice {
        return Ok(word.clone());
    }
    let words = of.join(", ");
    let typed = asked(run, question, &format!("One of {words}: "));
    typed.ok_or_else(|| nothing_given(run, question, &format!("one of {words}")))
}

/// The text that is given, or read from a file or standard input, or typed on the terminal.
fn written(run: &Run, question: &Question, args: &Answer) -> Result<String, Diagnostic> {
    if let Some(text) = &args.text {
        return Ok(text.clone());
    }
    if let Some(path) = &args.file {
        return read(path);
    }
    let typed = asked(run, question, "Your answer: ");
    typed.ok_or_else(|| {
        nothing_given(
            run,
            question,
            "--text TEXT, or --file FILE, `-` for standard input",
        )
    })
}

/// What a person types; nothing where this is no terminal.
fn asked(run: &Run, question: &Question, prompt: &str) -> Option<String> {
    if !view::is_interactive() {
        return None;
    }
    let wait = run
        .waiting()
        .find(|(step, _)| run.plan.nodes[*step as usize].key == question.step);
    if let Some((_, wait)) = wait {
        view::note(&format!("{}\n", view::clean(&wait.what)));
    }
    view::ask(prompt).filter(|typed| !typed.is_empty())
}

fn nothing_given(run: &Run, question: &Question, what: &str) -> Diagnostic {
    Diagnostic::usage(format!(
        "nothing is answered: `{}` takes {what}",
        question.step
    ))
    .world("Nothing was stored.")
    .hint(commands::answering(run, question))
}

/// A short file, or standard input for `-`, without the line break at its end.
fn read(path: &Path) -> Result<String, Diagnostic> {
    let failed = |e: &dyn std::error::Error| {
        Diagnostic::usage(format!("{} cannot be read", path.display()))
            .because(e)
            .world("Nothing was stored.")
    };
    let mut bytes = Vec::new();
    let most = FILE_MAX + 1;
    let count = if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    if count.map_err(|e| failed(&e))? as u64 > FILE_MAX {
        let message = format!("{} has more than {FILE_MAX} bytes", path.display());
        return Err(Diagnostic::usage(message).world("Nothing was stored."));
    }
    let text = String::from_utf8(bytes).map_err(|e| failed(&e))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Has the step judge a choice or a text, and stores it.
async fn reply(
    session: &Session,
    run: &Run,
    question: &Question,
    reply: &Reply,
) -> Result<Exit, Diagnostic> {
    let judge = session.judge()?;
    let at = session.now();
    let signal = Signal {
        step: question.step.clone(),
        // A question may be answered anew, so that each command's answer is its own.
        id: format!("answer-{}", RunId::generate(at)),
        by: actor::me(),
        body: reply.body(),
        at,
    };
    sign::hand_in(session, &judge, run, signal, "answered and stored").await
}

#[cfg(test)]
mod tests;
