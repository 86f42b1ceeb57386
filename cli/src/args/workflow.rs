//! The arguments of `flow start` and `flow plan` that belong to the workflow that is named there.

use std::ffi::OsString;

use clap::builder::PossibleValuesParser;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};
use flow_workflows::config::{CORE, RELEASE, RELEASE_KEYS};
use flow_workflows::workflow::{AnyWorkflow, Workflows};

use super::{Cli, Command};

/// The commands that take a workflow.
const TAKE_ONE: [&str; 2] = ["start", "plan"];

/// The command line of a program, with the arguments of this workflow.
pub(crate) fn command(workflows: &Workflows, chosen: Option<&dyn AnyWorkflow>) -> clap::Command {
    let with = |command: clap::Command| {
        let names: Vec<&'static str> = workflows.names().collect();
        let first = names.first().copied();
        let command = command.mut_arg("workflow", |arg| {
            let arg = arg.value_parser(PossibleValuesParser::new(names));
            match first {
                Some(first) => arg.required(false).default_value(first),
                None => arg,
            }
        });
        match chosen {
            Some(workflow) => workflow.arguments(command).after_help(about(workflows)),
            None => command,
        }
    };
    let command = Cli::command();
    TAKE_ONE
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, with))
}

fn about(workflows: &Workflows) -> String {
    let lines = workflows
        .all()
        .map(|workflow| format!("  {:<12} {}\n", workflow.name(), workflow.about()));
    format!("Workflows:\n{}", lines.collect::<String>())
}

/// Reads the command line. The workflow that is named decides which arguments there are: the words are read with those of
/// one that seems to be named, then with those of the first one, and the reading counts that names the same workflow.
pub(crate) fn parse(workflows: &Workflows, words: &[OsString]) -> Result<Cli, clap::Error> {
    let named = words
        .iter()
        .skip(1)
        .find_map(|word| workflows.named(word.to_str()?).ok());
    let mut wrong = None;
    for chosen in [named, workflows.all().next()] {
        match read(workflows, chosen, words) {
            Ok((cli, None)) => return Ok(cli),
            Ok((_, Some(other))) => match read(workflows, workflows.named(&other).ok(), words) {
                Ok((cli, _)) => return Ok(cli),
                Err(error) => wrong = wrong.or(Some(error)),
            },
            Err(error) => wrong = wrong.or(Some(error)),
        }
    }
    let wrong = unknown(workflows, words).or(wrong);
    Err(wrong.unwrap_or_else(|| clap::Error::new(clap::error::ErrorKind::MissingSubcommand)))
}

/// Says of the word after `start` or `plan` that it names no workflow. Its arguments are nobody's then, and to name those
/// would lead away from what is wrong.
fn unknown(workflows: &Workflows, words: &[OsString]) -> Option<clap::Error> {
    let takes_one = |word: &OsString| TAKE_ONE.iter().any(|name| word == name);
    let at = words.iter().position(takes_one)?;
    let named = words.get(at + 1)?.to_str()?;
    if named.starts_with('-') || workflows.named(named).is_ok() {
        return None;
    }
    let first = workflows.all().next();
    let error = read(workflows, first, words.get(..=at + 1)?).err()?;
    (error.kind() == clap::error::ErrorKind::InvalidValue).then_some(error)
}

/// Reads the words with the arguments of one workflow, and names the workflow that they mean where that is another one.
fn read(
    workflows: &Workflows,
    chosen: Option<&dyn AnyWorkflow>,
    words: &[OsString],
) -> Result<(Cli, Option<String>), clap::Error> {
    let matches = command(workflows, chosen).try_get_matches_from(words)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    let typed = matches.subcommand().map(|(_, typed)| typed.clone());
    let workflow = match (&mut cli.command, typed) {
        (Command::Start(args), Some(typed)) => {
            args.input = typed;
            args.workflow.clone()
        }
        (Command::Plan(args), Some(typed)) => {
            args.input = typed;
            args.workflow.clone()
        }
        _ => return Ok((cli, None)),
    };
    let same = chosen.is_some_and(|chosen| chosen.name() == workflow);
    Ok((cli, (!same).then_some(workflow)))
}

/// Whether anything was typed for a workflow itself.
pub(crate) fn asks_for_something(workflow: &dyn AnyWorkflow, typed: &ArgMatches) -> bool {
    let own = workflow.arguments(clap::Command::new("own"));
    own.get_arguments().any(|arg| {
        let source = typed.value_source(arg.get_id().as_str());
        source == Some(clap::parser::ValueSource::CommandLine)
    })
}

/// Why these workflows cannot be in one program, naming both sides.
pub(crate) fn problem(workflows: &Workflows) -> Option<String> {
    let all: Vec<&dyn AnyWorkflow> = workflows.all().collect();
    for (n, workflow) in all.iter().enumerate() {
        let (name, type_name) = (workflow.name(), workflow.type_name());
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(legal) {
            return Some(format!(
                "the workflow {type_name} is named `{}`: a letter first, then a-z, 0-9 and `-`",
                name.escape_debug()
            ));
        }
        if let Some(first) = all.iter().take(n).find(|first| first.name() == name) {
            return Some(format!(
                "two workflows have the name `{name}`: {} and {type_name}",
                first.type_name()
            ));
        }
        let section = workflow.section();
        if CORE.contains(&section) || RELEASE_KEYS.contains(&section) {
            return Some(format!(
                "the workflow {type_name} reads the section `{section}` of flow.toml, which is a key of the core or of [{RELEASE}]"
            ));
        }
        if let Some(clash) = argument_clash(*workflow) {
            return Some(clash);
        }
    }
    None
}

/// The first argument of a workflow that `flow` has already.
fn argument_clash(workflow: &dyn AnyWorkflow) -> Option<String> {
    let own = workflow.arguments(clap::Command::new("own"));
    let cli = Cli::command();
    let taken = TAKE_ONE
        .into_iter()
        .filter_map(|name| cli.find_subcommand(name))
        .flat_map(clap::Command::get_arguments)
        .chain(cli.get_arguments());
    let taken: Vec<&clap::Arg> = taken.collect();
    own.get_arguments().find_map(|arg| {
        let same = |other: &&&clap::Arg| {
            let long = arg.get_long().is_some() && arg.get_long() == other.get_long();
            let short = arg.get_short().is_some() && arg.get_short() == other.get_short();
            long || short || arg.get_id() == other.get_id()
        };
        taken.iter().find(same)?;
        let shown = arg
            .get_long()
            .map_or_else(|| arg.get_id().to_string(), |long| format!("--{long}"));
        Some(format!(
            "the argument `{shown}` of the workflow `{}` ({}) clashes with one that flow start or flow plan has",
            workflow.name(),
            workflow.type_name()
        ))
    })
}

#[cfg(test)]
mod tests;
