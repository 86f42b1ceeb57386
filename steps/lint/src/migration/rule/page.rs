//! `docs/rules.md`, made from the same texts that `flow lint --explain` shows.

use std::fmt::Write as _;

use super::{EXAMPLE_CONTEXT, RuleId, explain};
use crate::migration::report::Level;

impl RuleId {
    /// The levels its findings can have by themselves, the heaviest first.
    pub const fn levels(self) -> &'static [Level] {
        use Level::{Error, Note, Warning};
        match self {
            Self::DropContainer
            | Self::RenameColumn
            | Self::RenameTable
            | Self::Truncate
            | Self::DeleteAll
            | Self::UpdateAll
            | Self::NarrowType
            | Self::ConcurrentlyInTransaction
            | Self::NewLabelUsed
            | Self::ReplayFailed
            | Self::SyntaxError => &[Error],
            Self::ReplayDiffers => &[Error, Warning, Note],
            Self::DropColumn
            | Self::DropTable
            | Self::SetNotNull
            | Self::RequiredColumn
            | Self::EnumValueRemoved
            | Self::ViewInTheWay
            | Self::ViewColumn
            | Self::EditedMigration
            | Self::MadeTwice
            | Self::SchemaDrift
            | Self::CannotCheck => &[Error, Warning],
            Self::DropConstraint
            | Self::DropNotNull
            | Self::IndexBlocksWrites
            | Self::WorkUnderLock
            | Self::LockTimeout => &[Note],
            _ => &[Warning],
        }
    }
}

/// The page of rules, in Markdown.
pub fn rules_page() -> String {
    let mut page = String::from(
        "# Rules of the migration check\n\n\
        <!-- Generated from steps/lint/src/migration/rule; do not edit. UPDATE_RULES=1 cargo test -p flow-lint --test migration -->\n\n\
        `flow lint --explain RULE` shows the same. Errors block; a warning needs a decision (in a release: a signed waiver); notes are\n\
        shown on request. Levels can be changed and findings suppressed: see [the migration check](migration-check.md).\n\n\
        | rule | level | what it is about |\n|---|---|---|\n",
    );
    for &rule in RuleId::ALL {
        let title = explain(rule).title;
        let _infallible = writeln!(page, "| [`{rule}`](#{rule}) | {} | {title} |", levels(rule));
    }
    let _infallible = write!(
        page,
        "\nEvery example follows this schema, made by an earlier migration:\n\n```sql\n{}\n```\n",
        EXAMPLE_CONTEXT.trim()
    );
    for &rule in RuleId::ALL {
        let text = explain(rule);
        let _infallible = write!(
            page,
            "\n## {rule}\n\n{} ({}).\n\n{}\n\nInstead: {}\n\nFound:\n\n```sql\n{}\n```\n\nNot found:\n\n```sql\n{}\n```\n\nSource: {}.\n",
            capital(text.title),
            levels(rule),
            text.why,
            text.fix,
            text.bad,
            text.good,
            text.source
        );
    }
    page
}

fn levels(rule: RuleId) -> String {
    let words: Vec<&str> = rule.levels().iter().map(|level| level.as_str()).collect();
    words.join(" or ")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
