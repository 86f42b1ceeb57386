//! Commands that look, check and export; see the module above.

use std::path::PathBuf;

use clap::{ArgMatches, Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The run: an id, the beginning of one, or `latest`
    #[arg(default_value = "latest")]
    pub(crate) run: String,
    /// Show every step that a rollback would undo now, too
    #[arg(long)]
    pub(crate) undo: bool,
    /// Show it again every second until it is over or parked
    #[arg(long, conflicts_with = "json")]
    pub(crate) watch: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only this environment
    #[arg(long, value_name = "ENV")]
    pub(crate) env: Option<String>,
    /// Only runs in this state
    #[arg(long, value_name = "STATE")]
    pub(crate) is: Option<RunState>,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

/// The states `flow list` tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunState {
    /// Under way: a process drives it
    UnderWay,
    /// Waiting for people
    Waiting,
    /// Not over, and nobody drives it
    Interrupted,
    /// Stopped until a person decides
    Parked,
    /// Steps are being undone
    Unwinding,
    /// Over, every step done
    Completed,
    /// Over, everything undone
    RolledBack,
    /// Over, stopped before production changed
    Cancelled,
    /// Over, undone but for what was given up
    RolledBackInPart,
    /// Its records cannot be read
    Damaged,
}

#[derive(Debug, Args)]
pub(crate) struct Rows {
    /// The run: its id, an unambiguous beginning of it, or `latest`
    #[arg(default_value = "latest")]
    pub(crate) run: String,
    /// Only this table, as `table` or `schema.table`
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// Write every row into this folder, a file for each table, readable by you alone
    #[arg(long, value_name = "DIR")]
    pub(crate) csv: Option<PathBuf>,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The run: its id, an unambiguous beginning of it, or `latest`
    #[arg(default_value = "latest")]
    pub(crate) run: String,
    /// Only this step
    pub(crate) step: Option<String>,
    /// Go on showing what is added until the run stops or is over
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Exactly what the hosts sent, with colours and whatever else steers a terminal
    #[arg(long)]
    pub(crate) raw: bool,
    /// Begin at this byte of each step's output
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) since: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The run: its id, an unambiguous beginning of it, or `latest`
    #[arg(required_unless_present = "all")]
    pub(crate) run: Option<String>,
    /// Every run there is, aborted ones too
    #[arg(long, conflicts_with = "run")]
    pub(crate) all: bool,
    /// The file to write; without it the export is printed
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// In which form
    #[arg(long, value_enum, default_value = "json")]
    pub(crate) format: ExportFormat,
}

/// Forms of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Every record with its place in the hash chain
    Json,
    /// A report for people
    Md,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Only this environment
    pub(crate) env: Option<String>,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The workflow; `flow plan WORKFLOW --help` shows what it asks
    #[arg(required = true)]
    pub(crate) workflow: String,
    /// What was typed for the workflow itself
    #[arg(skip)]
    pub(crate) input: ArgMatches,
    /// In which form
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: PlanFormat,
}

/// Forms of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// Lines for people to read
    Text,
    /// As it would be stored
    Json,
    /// A flow chart
    Mermaid,
}

#[derive(Debug, Args)]
pub(crate) struct NewWorkflow {
    /// The folder of the crate, whose name it gets; must be new or empty
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The source of flow that the crate depends on: a checkout, or the URL of its git repository; by default the checkout
    /// that this program was built from
    #[arg(long, value_name = "PATH|URL")]
    pub(crate) flow: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// What goes wrong in it
    #[arg(long = "break", value_enum, value_name = "WHAT")]
    pub(crate) fault: Option<Fault>,
    /// Bring the hosts up for people to play on, until Ctrl-C or the end of the input
    #[arg(long)]
    pub(crate) interactive: bool,
    /// Leave the folder, for a look around
    #[arg(long)]
    pub(crate) keep: bool,
    /// The folder to use; must not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// What the demo can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// `flow` is killed in the middle of the production deploy, and resumed
    Crash,
    /// The release loses rows in production: rolled back
    LostRows,
    /// The release has a migration that drops a column: refused
    BadMigration,
    /// The new version is not healthy in production: rolled back
    Health,
    /// The machine that drives falls asleep while production is read-only: production opens itself, and the release goes on
    Sleep,
    /// The network to production is away for half a minute in the middle of the deploy: nothing is rolled back
    Network,
    /// The schema has a table and a column that no migration makes: refused
    Drift,
    /// Production's disk has no room for the backup: refused before anything is written (hosts in containers)
    FullDisk,
}

/// Exit codes: 0 clean, 1 findings, 2 usage.
#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// Folders of migrations (Prisma's, or plain SQL files), or single migrations; by default the configured folder
    pub(crate) paths: Vec<PathBuf>,
    /// Check the code instead: what the schema at HEAD breaks in the code at HEAD and at the revision of --since, which
    /// stands for what is deployed. Text or JSON
    #[arg(long, requires = "since", conflicts_with_all = ["paths", "database", "explain"])]
    pub(crate) code: bool,
    /// In which form
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: LintFormat,
    /// Judge only migrations that are new since this revision; one that was changed or removed since is an error
    #[arg(long, value_name = "REV")]
    pub(crate) since: Option<String>,
    /// Judge only migrations this database has not applied; an applied one that was changed is an error. A URL, or
    /// `env:NAME` for one that holds a password; read with `psql`, in a transaction that cannot write
    #[arg(long, value_name = "URL", conflicts_with = "since")]
    pub(crate) database: Option<String>,
    /// Replay the history in a throw-away PostgreSQL as well, and compare what its catalog shows with what the text check says:
    /// on a server of its own, or on the one of the URL (or `env:NAME`), in a database that is made and dropped
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) replay: Option<String>,
    /// SQL that runs before a replay, with all rights: the roles, schemas and extensions the history takes for granted
    #[arg(long, value_name = "FILE", requires = "replay")]
    pub(crate) replay_setup: Option<PathBuf>,
    /// Show notes too
    #[arg(long)]
    pub(crate) notes: bool,
    /// What makes it exit with 1
    #[arg(long, value_enum, default_value = "warning")]
    pub(crate) fail_on: FailOn,
    /// Say what a rule is about, and nothing else; without a rule: which there are
    #[arg(long, value_name = "RULE", num_args = 0..=1, default_missing_value = "")]
    pub(crate) explain: Option<String>,
}

/// Forms of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintFormat {
    /// One finding after another
    Text,
    /// A list of findings
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

/// From which level on findings count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Everything, notes included
    Note,
    /// Warnings and errors
    Warning,
    /// Errors, and nothing below
    Error,
}
