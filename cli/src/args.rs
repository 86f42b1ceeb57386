//! The command line. The comments of this file are what `flow --help` shows.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Parser, Subcommand};

mod journal;
mod lock;
mod look;
mod workflow;

pub(crate) use journal::*;
pub(crate) use lock::*;
pub(crate) use look::*;
pub(crate) use workflow::{asks_for_something, command, parse, problem};

/// Runs the release protocol as a durable plan: every step is on record before it touches anything, may be killed at
/// any moment, and is undone in reverse order when production does not come up.
///
/// Exit codes: 0 done · 1 a check failed, run parked or cancelled · 2 usage, configuration or journal · 3 refused by a
/// gate · 4 waiting for a person · 5 rolled back and verified · 6 rollback incomplete, page someone · 7 locked by
/// another, or under way in another process · 70 a bug in flow · 75 outcome unknown, or no answer · 130 interrupted;
/// `flow resume` goes on.
#[derive(Debug, Parser)]
#[command(
    name = "flow",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Global {
    /// The configuration; by default `flow.toml` here or in the nearest folder above
    #[arg(long, global = true, value_name = "FILE", env = "FLOW_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Where runs are kept; by default `.flow` beside the configuration
    #[arg(long, global = true, value_name = "DIR", env = "FLOW_STATE")]
    pub(crate) state: Option<PathBuf>,
    /// Plain lines even on a terminal; `NO_COLOR` does the same
    #[arg(long, global = true)]
    pub(crate) plain: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts a run and drives it
    Start(Start),
    /// Goes on with an interrupted or parked run
    Resume(Resume),
    /// One screen: where a run is, for whom it waits, what is next, what a rollback would undo now
    Status(Status),
    /// Runs, newest first
    List(List),
    /// Output of a run's steps
    Logs(Logs),
    /// Rows a run lost or changed, or its rollback set aside, by key: read on the host, kept nowhere
    Rows(Rows),
    /// Answers whatever a step asks; `check`, `sign` and `waive` are short forms of it
    Answer(Answer),
    /// Answers a checklist
    Check(Check),
    /// Signs off with an SSH key what a run shows, or rejects it
    Sign(Sign),
    /// Accepts one warning that may be waived, with a reason
    Waive(Waive),
    /// Tries the step that failed again, and goes on
    Retry(Retry),
    /// Goes on without a step; only steps that allow it, or an undo that cannot succeed
    Skip(Skip),
    /// States what became of a step whose outcome is unknown, and goes on
    Settle(Settle),
    /// Undoes everything a run started, newest first
    Rollback(Rollback),
    /// Stops a run before production changes, and undoes what must be undone
    Cancel(Cancel),
    /// Keeps releases out of an environment until someone lifts the lock
    Lock(Lock),
    /// Lifts the lock of an environment, such as the one a rollback leaves, with a reason
    Unlock(Unlock),
    /// Lets writers into a database left read-only, when no run is at hand to do it
    Thaw(Thaw),
    /// Everything on record about a run, as a file
    Export(Export),
    /// Writes flow.toml, flow.people.toml and flow.data.toml from what the repository and, if asked, the hosts say
    Init(Init),
    /// Looks at everything a run will need, touching nothing
    Doctor(Doctor),
    /// Every step a run would take: what it does, who answers, what undoes it
    Plan(Plan),
    /// Writes a small crate with a workflow and a step of your own
    NewWorkflow(NewWorkflow),
    /// Runs the whole protocol on three throw-away hosts on this machine
    Demo(Demo),
    /// Checks migrations for what loses data or breaks the version that runs, for CI and pre-commit
    Lint(Lint),
    /// Looks after the store of runs
    #[command(subcommand)]
    Journal(Journal),
    /// What a shell needs to complete `flow` commands
    Completions(Completions),
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell to write completions for
    pub(crate) shell: clap_complete::Shell,
}

/// What it cannot find out it asks on a terminal; elsewhere, and with an empty answer, the line says TODO, and `flow
/// doctor` names it. A file that is there is never written over.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder of the repository; by default this one
    pub(crate) dir: Option<PathBuf>,
    /// The environments in their order, production last; by default test,stage,prod
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) path: Vec<String>,
    /// A host of an environment, as it is typed after `ssh`; once for each host, that of the deploy first
    #[arg(long = "host", value_name = "ENV=ALIAS")]
    pub(crate) hosts: Vec<String>,
    /// Where the application is on the hosts
    #[arg(long, value_name = "DIR")]
    pub(crate) app_dir: Option<String>,
    /// An ssh configuration instead of your own; `flow.toml` names it, too
    #[arg(long, value_name = "FILE")]
    pub(crate) ssh_config: Option<PathBuf>,
    /// Look at the hosts over ssh as well, reading only: processes, folders, databases and their columns
    #[arg(long)]
    pub(crate) look_at_hosts: bool,
    /// Do not ask on the terminal
    #[arg(long)]
    pub(crate) yes: bool,
}

/// RUN is an id, the beginning of one, or `latest`.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The workflow; `flow start WORKFLOW --help` shows what it asks
    #[arg(required = true)]
    pub(crate) workflow: String,
    /// What was typed for the workflow itself
    #[arg(skip)]
    pub(crate) input: ArgMatches,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    /// Your own key for this run: starting again with the same key goes on with that run. Refused with 2 when the key
    /// belongs to another commit or workflow
    #[arg(long, value_name = "KEY")]
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) wait: Wait,
    /// The key to sign the start with, where the roster bars the starter from answering (`forbid_starter`): a private key,
    /// or a public one whose private key the agent has
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Do not ask on the terminal
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Whether to stay.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Wait {
    /// Stay while only people are waited for (the default on a terminal)
    #[arg(long, overrides_with = "no_wait")]
    pub(crate) wait: bool,
    /// Leave with exit code 4 when only people are waited for (the default elsewhere)
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The run; without it the only unfinished one
    pub(crate) run: Option<String>,
    /// Take the journal from a process on this machine that has stopped or hangs: it is fenced off, then killed
    #[arg(long)]
    pub(crate) take_over: bool,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Debug, Args)]
pub(crate) struct Answer {
    /// The run: its id, an unambiguous beginning of it, or `latest`
    pub(crate) run: String,
    /// The step that asks, as `flow status` shows it
    pub(crate) step: String,
    /// For a choice: the word you choose. Without it you are asked on the terminal
    #[arg(long, value_name = "WORD")]
    pub(crate) choice: Option<String>,
    /// For a text: your words. Without any you are asked on the terminal
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    pub(crate) text: Option<String>,
    /// For a text: a file that holds your words, `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// For a checklist: one answer; once per item
    #[arg(long = "item", value_name = "KEY=pass|fail|na")]
    pub(crate) items: Vec<String>,
    /// For a signature: reject; says why with --note
    #[arg(long, requires = "note")]
    pub(crate) reject: bool,
    /// For a signature: a note that is signed too, the reason of a waiver or a rejection. For a checklist: a note with
    /// every answer
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// For a signature: the key, a private one, or a public one whose private key the agent has
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// For a signature: do not ask on the terminal
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only show what is asked and which answer is taken, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The run: its id, an unambiguous beginning of it, or `latest`
    pub(crate) run: String,
    /// The step of the checklist or review, such as `test/features`; without it the checklist that waits
    pub(crate) checklist: Option<String>,
    /// One answer; once per item. Without any it asks on the terminal
    #[arg(long = "item", value_name = "KEY=pass|fail|na")]
    pub(crate) items: Vec<String>,
    /// A note that goes with every answer given here
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
    /// Only show what is asked and what was answered, as JSON
    #[arg(long, conflicts_with = "items")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The run: its id, an unambiguous beginning of it, or `latest`
    pub(crate) run: String,
    /// The role you sign as, such as `qa`
    #[arg(long)]
    pub(crate) role: String,
    /// The review to sign, such as `schema/migration-review`; without it the role's sign-off
    #[arg(long)]
    pub(crate) step: Option<String>,
    /// Approve (the default)
    #[arg(long, conflicts_with = "reject")]
    pub(crate) approve: bool,
    /// Reject; says why with --note
    #[arg(long, requires = "note")]
    pub(crate) reject: bool,
    /// A note that is signed too
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// The key to sign with: a private key, or a public one whose private key the agent has
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Do not ask on the terminal
    #[arg(long)]
    pub(crate) yes: bool,
    /// Write what is to be signed to this file, to be signed on another machine
    #[arg(long, value_name = "FILE", conflicts_with = "import")]
    pub(crate) export: Option<PathBuf>,
    /// Take a signature that was made on another machine over the exported file
    #[arg(long, value_name = "FILE.sig", conflicts_with = "key")]
    pub(crate) import: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Waive {
    /// The run: its id, an unambiguous beginning of it, or `latest`
    pub(crate) run: String,
    /// The step that found something
    pub(crate) step: String,
    /// What it found, as it is named there
    pub(crate) finding: String,
    /// Why that is acceptable
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// The key to sign with: a private key, or a public one whose private key the agent has
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Do not ask on the terminal
    #[arg(long)]
    pub(crate) yes: bool,
}

/// How an order is carried out.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Obey {
    /// Only store the order and exit with 0; `flow resume` carries it out, or the process that drives the run
    #[arg(long)]
    pub(crate) no_drive: bool,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// The run: its id, an unambiguous beginning of it, or `latest`
    pub(crate) run: String,
    /// The step that failed; refused when it is another one
    pub(crate) step: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "retry")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) obey: Obey,
}

#[derive(Debug, Args)]
pub(crate) struct Skip {
    /// The run: its id, an unambiguous beginning of it, or `latest`
    pub(crate) run: String,
    /// The key of the step, as `flow status` shows it
    pub(crate) step: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) obey: Obey,
}

#[derive(Debug, Args)]
#[group(id = "outcome", required = true, multiple = false, args = ["done", "not_done"])]
pub(crate) struct Settle {
    /// The run: its id, an unambiguous beginning of it, or `latest`
    pub(crate) run: String,
    /// The key of the step, as `flow status` shows it
    pub(crate) step: String,
    /// It was done
    #[arg(long)]
    pub(crate) done: bool,
    /// It was not done
    #[arg(long)]
    pub(crate) not_done: bool,
    /// How you know
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) obey: Obey,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The run: its id, an unambiguous beginning of it, or `latest`
    pub(crate) run: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Do not ask; required when this is not a terminal
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) obey: Obey,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The run: its id, an unambiguous beginning of it, or `latest`
    pub(crate) run: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) obey: Obey,
}
