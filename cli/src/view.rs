//! What is shown. Only this module and `main` write to standard output and standard error.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flow_engine::plan::Plan;
use flow_engine::record::Verdict;
use flow_engine::run::{Life, Run, Status, StepState, Undo};
use flow_steps::means::standing::{HostFacts, standing_beside};

use crate::driver::Driver;
use crate::exit::Exit;
use crate::questions;

pub(crate) mod aside;
pub(crate) mod beside;
mod clean;
mod columns;
pub(crate) mod export;
mod fit;
pub(crate) mod json;
pub(crate) mod line;
pub(crate) mod lint;
pub(crate) mod live;
pub(crate) mod next;
pub(crate) mod plan;
pub(crate) mod text;

pub(crate) use clean::{clean, clean_lines, cut, to_json};
pub(crate) use columns::padded;

/// Prints data, without anything that would steer a terminal: much of it comes from hosts, git and people. A reader
/// that went away (`flow list | head -1`) is no error.
pub(crate) fn out(text: &str) {
    out_raw(&clean_lines(text));
}

/// Whether output was lost, as on a full disk. It is said once, and the exit code says it, too.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints data exactly as it is: what `flow` itself steers the terminal with, and what a person asked for raw.
pub(crate) fn out_raw(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    drop(stdout);
    heed(written);
}

/// Prints what the command line itself asks for, such as `--help`, or what is wrong with it; how the process ends.
pub(crate) fn out_usage(said: &clap::Error) -> Exit {
    let written = said.print();
    if said.use_stderr() {
        return Exit::Usage;
    }
    heed(written.and_then(|()| std::io::stdout().flush()));
    as_written(Exit::Done)
}

/// Remembers that output was lost, and says so once. A reader that went away asked for no more.
fn heed(written: std::io::Result<()>) {
    let Err(error) = written else { return };
    if error.kind() != std::io::ErrorKind::BrokenPipe && !LOST.swap(true, Ordering::Relaxed) {
        note(&format!(
            "output is lost, what was printed is cut: {error}\n\
             What was asked goes on all the same, and what a run did is on record.\n  \
             make room there or print elsewhere, then look again: flow status, flow logs, flow export\n"
        ));
    }
}

/// How a process ends whose output may have been lost: nobody takes half an export for a whole one.
pub(crate) fn as_written(exit: Exit) -> Exit {
    match exit {
        Exit::Done if LOST.load(Ordering::Relaxed) => Exit::Unwritten,
        other => other,
    }
}

/// Prints a remark: what is being done, what to type next. Cleaned as [`out`] is.
pub(crate) fn note(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _reader_may_be_gone = stderr.write_all(clean_lines(text).as_bytes());
}

/// Prints a value as JSON.
pub(crate) fn out_json(value: &impl serde::Serialize) {
    out(&format!("{}\n", to_json(value)));
}

/// Whether a person sits before input and output.
pub(crate) fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether `NO_COLOR` says something (<https://no-color.org>).
fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
}

/// Whether what is said on standard error may be coloured: only for eyes, never in a log file.
pub(crate) fn may_colour(plain: bool) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|t| t == "dumb");
    !plain && !no_colour() && !dumb && std::io::stderr().is_terminal()
}

/// Whether a live tree may be drawn. Where standard output is a file or a pipe, lines go there: a log of the release is
/// worth more than a picture of it.
pub(crate) fn may_animate(plain: bool) -> bool {
    may_colour(plain) && std::io::stdout().is_terminal()
}

/// Asks a person for a line; nothing at the end of input.
pub(crate) fn ask(question: &str) -> Option<String> {
    note(question);
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim().to_owned())
}

/// A duration for people: `8 s`, `3 min`, `2 h 5 min`, `4 d`.
pub(crate) fn age(age: Duration) -> String {
    let s = age.as_secs();
    match s {
        0..120 => format!("{s} s"),
        120..7200 => format!("{} min", s / 60),
        7200..172_800 if (s / 60).is_multiple_of(60) => format!("{} h", s / 3600),
        7200..172_800 => format!("{} h {} min", s / 3600, s / 60 % 60),
        _ => format!("{} d", s / 86_400),
    }
}

/// The sign before a step.
pub(crate) fn mark(state: &StepState) -> &'static str {
    match (state.undo, state.status) {
        (Undo::Undone, _) => "↩",
        (Undo::Running | Undo::RetryAt(_), _) => "«",
        (Undo::Failed, _) | (_, Status::Failed) => "✘",
        (Undo::GivenUp, _) => "!",
        (_, Status::Done) => "✔",
        (_, Status::Running) => "▶",
        (_, Status::Waiting) => "?",
        (_, Status::RetryAt(_)) => "↻",
        (_, Status::Skipped) => "–",
        (_, Status::Pending) => "·",
    }
}

/// The commit a plan is about, shortened, and its subject where planning recorded one.
pub(crate) fn commit(plan: &Plan) -> String {
    commit_of(plan.fact("commit"), plan.fact("subject"))
}

/// The workflow, and the commit where it is about one.
pub(crate) fn what(plan: &Plan) -> String {
    match plan.fact("commit") {
        "" => plan.workflow.clone(),
        _ => format!("{} of {}", plan.workflow, commit(plan)),
    }
}

/// A commit, shortened, and its subject where there is one.
pub(crate) fn commit_of(commit: &str, subject: &str) -> String {
    let commit: String = commit.chars().take(12).collect();
    match subject {
        "" => commit,
        subject => format!("{commit} {}", clean(subject)),
    }
}

/// What a run is doing, as the end of a sentence that begins with "it": also who drives it, for a run that nobody drives
/// is not under way.
pub(crate) fn doing(run: &Run, driver: &Driver) -> String {
    let who = driver.in_words();
    let waits = questions::asked(run);
    match &run.life {
        Life::Finished { .. } | Life::Parked { .. } => run.in_a_word().to_owned(),
        Life::Forward if !waits.is_empty() => match driver {
            Driver::Alive(_) | Driver::Unasked => format!("waits for {waits}"),
            Driver::Stopped(_) => format!("waits for {waits}, {who}"),
            _ => format!("waits for {waits}; {who}"),
        },
        Life::Forward
            if run.waiting().next().is_some()
                && matches!(
                    driver,
                    Driver::Gone(_) | Driver::Elsewhere(_) | Driver::Nobody
                ) =>
        {
            format!("is answered; {who}")
        }
        Life::Forward | Life::Unwinding(_) => match driver {
            Driver::Unasked if run.unwinding().is_some() => {
                "is not over, and is to be undone".into()
            }
            Driver::Unasked => "is not over".into(),
            Driver::Alive(_) | Driver::Stopped(_) => format!("{}, {who}", run.in_a_word()),
            Driver::Nobody => format!("was not begun: {who}"),
            Driver::Gone(_) | Driver::Elsewhere(_) => {
                let within = match run.unwinding() {
                    Some(unwind) if unwind.cancelled => " in the middle of a cancellation",
                    Some(_) if !run.production_changed() => {
                        " in the middle of a rollback before it changed production"
                    }
                    Some(_) => " in the middle of a rollback",
                    None => "",
                };
                format!("is INTERRUPTED{within}; {who}")
            }
        },
    }
}

/// What a run left production in, one line each: always at least one. As far as the journal knows.
pub(crate) fn production(run: &Run) -> Vec<String> {
    production_beside(run, HostFacts::default())
}

/// The same, where production's host was asked.
pub(crate) fn production_beside(run: &Run, host: HostFacts) -> Vec<String> {
    let standing = standing_beside(run, host);
    if !standing.is_empty() {
        return standing;
    }
    if !flow_steps::means::standing::standing(run).is_empty() {
        return vec!["as its host says: this run began to change it".to_owned()];
    }
    let undone = matches!(run.verdict(), Some(Verdict::RolledBack));
    let words = if !run.production_changed() {
        "not touched by this run"
    } else if undone {
        "as before: what this run changed was undone"
    } else {
        "changed by this run"
    };
    vec![words.to_owned()]
}

/// How many steps are done, skipped ones included.
pub(crate) fn done(run: &Run) -> usize {
    let over = |s: &&StepState| matches!(s.status, Status::Done | Status::Skipped);
    run.steps.iter().filter(over).count()
}

/// `1 step`, `2 steps`.
pub(crate) fn steps(count: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} step{plural}")
}

#[cfg(test)]
mod tests;
