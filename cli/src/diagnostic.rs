//! What a command says when it did not do what was asked: what failed, why, what state the world is in, what to type.

use std::error::Error;
use std::fmt::Write as _;

use flow_engine::journal::JournalError;
use flow_engine::journal::sled::Holder;
use flow_engine::run::{LoadError, Refusal};
use flow_workflows::config::ConfigError;
use flow_workflows::roster::RosterError;
use flow_workflows::setup::SetupError;

use crate::exit::Exit;
use crate::view::clean;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// What failed, one sentence.
    pub(crate) message: String,
    /// Why, outermost first.
    pub(crate) causes: Vec<String>,
    /// What state the world is in.
    pub(crate) world: Option<String>,
    /// What to do or type next, one line each.
    pub(crate) hints: Vec<String>,
    /// How the process ends.
    pub(crate) exit: Exit,
}

impl Diagnostic {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Diagnostic {
            message: message.into(),
            causes: Vec::new(),
            world: None,
            hints: Vec::new(),
            exit,
        }
    }

    /// A wrong command line, or a file that cannot be used.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Diagnostic::new(Exit::Usage, message).world("Nothing was changed.")
    }

    /// The same for an error that says it, with everything beneath it as its causes.
    pub(crate) fn of(error: &dyn Error) -> Self {
        Diagnostic::usage(error.to_string()).beneath(error)
    }

    #[must_use]
    pub(crate) fn because(mut self, error: &dyn Error) -> Self {
        self.causes.push(error.to_string());
        self.beneath(error)
    }

    #[must_use]
    pub(crate) fn world(mut self, world: impl Into<String>) -> Self {
        self.world = Some(world.into());
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    fn beneath(mut self, error: &dyn Error) -> Self {
        let mut next = error.source();
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// As it is printed, with a line feed at the end.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("error: {}\n", clean(&self.message));
        for cause in &self.causes {
            let _infallible = writeln!(text, "  caused by: {}", clean(cause));
        }
        if self.world.is_some() || !self.hints.is_empty() {
            text.push('\n');
        }
        if let Some(world) = &self.world {
            let _infallible = writeln!(text, "{world}");
        }
        for hint in &self.hints {
            let _infallible = writeln!(text, "  {}", clean(hint));
        }
        text
    }
}

/// Where a project's files are described.
const FILES: &str = "for a project that is new to flow: docs/README.md of flow describes flow.toml, flow.people.toml and flow.data.toml, each with an example";

impl From<ConfigError> for Diagnostic {
    fn from(error: ConfigError) -> Self {
        let diagnostic = Diagnostic::usage(error.to_string()).beneath(&error);
        match error {
            ConfigError::Missing { .. } => diagnostic
                .hint("go to the project's folder, or name the file: flow --config PATH …")
                .hint(FILES),
            _ => diagnostic,
        }
    }
}

impl From<SetupError> for Diagnostic {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Config(error) | SetupError::Roster(RosterError::Config(error)) => {
                error.into()
            }
            SetupError::Roster(error) => {
                let hints = error.hints();
                let diagnostic = Diagnostic::usage(error.to_string()).beneath(&error);
                let diagnostic = diagnostic.world("Nothing was started.");
                hints.into_iter().fold(diagnostic, Diagnostic::hint)
            }
            error @ SetupError::Unfinished { .. } => Diagnostic::usage(error.to_string())
                .world("Nothing was looked at or started.")
                .hint(FILES),
            SetupError::Refused { ref fix, .. } => {
                Diagnostic::usage(error.to_string()).hint(fix.clone())
            }
            error @ SetupError::NoRelease(_) => Diagnostic::usage(error.to_string())
                .hint("[release.app] and what belongs to it: docs/README.md of flow"),
            other => Diagnostic::usage(other.to_string()).beneath(&other),
        }
    }
}

impl From<JournalError> for Diagnostic {
    fn from(error: JournalError) -> Self {
        let exit = match error {
            JournalError::Locked { .. }
            | JournalError::TakenOver { .. }
            | JournalError::Fenced { .. }
            | JournalError::Conflict { .. } => Exit::Locked,
            JournalError::Sealed { .. } => Exit::Refused,
            JournalError::Corrupt { .. }
            | JournalError::Pruned { .. }
            | JournalError::NoObject(_)
            | JournalError::Unusable { .. } => Exit::Usage,
            JournalError::Broken(_) => Exit::Unknown,
            _ => Exit::Bug,
        };
        let diagnostic = Diagnostic::new(exit, error.to_string()).beneath(&error);
        match error {
            JournalError::Sealed { run } => diagnostic
                .world("Nothing was changed.")
                .hint(format!("flow journal unseal {run}     bring it back first")),
            JournalError::Locked { holder } if holder.contains(Holder::STOPPED) => {
                let pid = holder.strip_prefix("pid ").and_then(|rest| rest.split(' ').next());
                diagnostic
                    .world("That process stands still, and so does the run it drives; this command changed nothing.")
                    .hint(format!("kill -CONT {}     let it go on, then ask again", pid.unwrap_or("PID")))
                    .hint("flow resume --take-over     or end it, and go on with its run; it loses nothing")
            }
            JournalError::Locked { .. } => diagnostic
                .world("That process drives a run or has just been asked something; this command changed nothing.")
                .hint("wait for it, or stop it with Ctrl-C: it loses nothing")
                .hint("when it has stopped or hangs: flow resume --take-over"),
            JournalError::TakenOver { .. }
            | JournalError::Fenced { .. }
            | JournalError::Conflict { .. } => {
                diagnostic.world("Another process has taken the run over; this one wrote nothing more.")
            }
            JournalError::Corrupt { .. } | JournalError::NoObject(_) => diagnostic
                .world("Nothing runs on a journal that cannot be trusted. Nothing was changed.")
                .hint("flow journal verify     name everything that is damaged"),
            JournalError::Unusable { .. } | JournalError::Pruned { .. } => {
                diagnostic.world("Nothing was changed.")
            }
            JournalError::Broken(_) => diagnostic
                .world("Nothing further was begun. What was acknowledged is safe; the last write may or may not be there.")
                .hint("make room on the disk or repair it, then: flow resume"),
            _ => diagnostic,
        }
    }
}

impl From<Refusal> for Diagnostic {
    fn from(refusal: Refusal) -> Self {
        let exit = match refusal {
            Refusal::NoStep(_) => Exit::Usage,
            _ => Exit::Refused,
        };
        Diagnostic::new(exit, refusal.to_string()).world("Nothing was changed.")
    }
}

impl From<LoadError> for Diagnostic {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::NoRun(_) => {
                Diagnostic::usage(error.to_string()).hint("flow list     show the runs there are")
            }
            LoadError::Journal(error) => error.into(),
            LoadError::Refused(refusal) => refusal.into(),
            LoadError::NoTurn(_) => Diagnostic::new(Exit::Locked, error.to_string())
                .world("What is on record is as the others wrote it.")
                .hint("flow resume     go on with it"),
            LoadError::SecondDriver { .. } => Diagnostic::new(Exit::Locked, error.to_string())
                .world("This process does nothing more; the other one may go on with the run.")
                .hint("flow status     see who drives it")
                .hint("flow resume     take it over, once the other one has ended"),
            LoadError::Codec { .. } | LoadError::Illegal(_) => {
                Diagnostic::new(Exit::Usage, error.to_string())
                    .beneath(&error)
                    .world("Nothing runs on a run that cannot be read. Nothing was changed.")
                    .hint("flow journal verify     look at every record of every run")
                    .hint("a newer flow may have written it: try that version")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_journal_names_the_holder_and_exits_with_7() {
        let error = JournalError::Locked {
            holder: "pid 7 on box".into(),
        };
        let diagnostic = Diagnostic::from(error);
        assert_eq!(diagnostic.exit, Exit::Locked);
        assert!(diagnostic.render().starts_with(
            "error: the journal is in use by pid 7 on box\n\nThat process drives a run"
        ));
    }

    #[test]
    fn who_stands_still_is_not_waited_for_nor_asked_to_end() {
        let holder = format!("pid 7 on box, boot b, since s ({})", Holder::STOPPED);
        let said = Diagnostic::from(JournalError::Locked { holder }).render();
        assert!(
            said.contains("kill -CONT 7  ") && said.contains("flow resume --take-over"),
            "{said}"
        );
        assert!(
            !said.contains("Ctrl-C") && !said.contains("wait for it"),
            "{said}"
        );
    }

    #[test]
    fn causes_stand_under_the_message_and_the_world_after_a_blank_line() {
        let io = std::io::Error::other("disk full");
        let text = Diagnostic::usage("it failed")
            .because(&io)
            .hint("flow list")
            .render();
        assert_eq!(
            text,
            "error: it failed\n  caused by: disk full\n\nNothing was changed.\n  flow list\n"
        );
    }

    #[test]
    fn a_refused_order_exits_with_3_and_an_unknown_step_with_2() {
        assert_eq!(
            Diagnostic::from(Refusal::ProductionChanged).exit,
            Exit::Refused
        );
        assert_eq!(
            Diagnostic::from(Refusal::NoStep("x".into())).exit,
            Exit::Usage
        );
    }
}
