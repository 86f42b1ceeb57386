//! A file that was parsed, and what all looks at it need.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use oxc_ast::AstKind;
use oxc_semantic::{AstNodes, Scoping, Semantic, SymbolId};

use crate::code::Hit;
use crate::code::schema::{Changes, FieldName, Schema};

/// What a path begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Root {
    /// A variable of the file.
    Symbol(SymbolId),
    /// A name that the file does not declare.
    Global(String),
    /// The object of a method: `this`.
    This,
}

/// Such as `user.profile.name`, whatever `?.`, `!` and casts are on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// What it begins with.
    pub(super) root: Root,
    /// The properties, in their order.
    pub(super) steps: Vec<String>,
}

impl Path {
    /// The path that is one variable of the file.
    pub(super) fn variable(symbol: SymbolId) -> Path {
        Path {
            root: Root::Symbol(symbol),
            steps: Vec::new(),
        }
    }

    /// It begins with all of `other`.
    pub(super) fn begins_with(&self, other: &Path) -> bool {
        self.root == other.root && self.steps.starts_with(&other.steps)
    }
}

/// A parsed file.
pub(super) struct View<'a, 's> {
    file: &'s str,
    /// The whole text.
    pub(super) text: &'s str,
    /// What was read.
    pub(super) semantic: &'s Semantic<'a>,
    /// Where lines begin.
    lines: Vec<usize>,
    /// All names and strings, in lower case.
    words: BTreeSet<String>,
    /// Where properties are assigned, once it was asked for.
    pub(super) assigned: OnceCell<Vec<(u32, Path)>>,
}

impl<'a, 's> View<'a, 's> {
    pub(super) fn new(file: &'s str, text: &'s str, semantic: &'s Semantic<'a>) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let lines = std::iter::once(0)
            .chain(breaks.map(|(at, _)| at + 1))
            .collect();
        View {
            file,
            text,
            semantic,
            lines,
            words: words(semantic.nodes()),
            assigned: OnceCell::new(),
        }
    }

    /// All that is found.
    pub(super) fn about(&self, old: &Schema, changes: &Changes) -> Vec<Hit> {
        let mut hits = self.nulls(old, changes);
        hits.extend(self.suppressed(changes));
        hits.extend(self.raw_sql(old, changes));
        hits.extend(self.values(old, changes));
        hits
    }

    pub(super) fn nodes(&self) -> &'s AstNodes<'a> {
        self.semantic.nodes()
    }

    pub(super) fn scoping(&self) -> &'s Scoping {
        self.semantic.scoping()
    }

    /// Whether a name or string of the file contains this name, in whatever case.
    pub(super) fn speaks_of(&self, model: &str) -> bool {
        let model = model.to_lowercase();
        self.words.iter().any(|word| word.contains(&model))
    }

    pub(super) fn hit(&self, at: u32, kind: &str, about: &str, message: String) -> Hit {
        let (line, column) = self.place(at as usize);
        Hit {
            file: self.file.to_owned(),
            line,
            column,
            kind: kind.to_owned(),
            about: about.to_owned(),
            message,
        }
    }

    /// Line and column, from 1, of a byte.
    pub(super) fn place(&self, at: usize) -> (u32, u32) {
        let line = self.lines.partition_point(|begin| *begin <= at) - 1;
        let before = self.text.get(self.lines[line]..at).unwrap_or_default();
        let column = before.chars().count() + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (number(line + 1), number(column))
    }

    /// A line by its number, from 1.
    pub(super) fn line(&self, number: u32) -> Option<&'s str> {
        let from = *self.lines.get(number as usize - 1)?;
        let to = self.lines.get(number as usize).copied();
        self.text.get(from..to.unwrap_or(self.text.len()))
    }
}

fn words(nodes: &AstNodes<'_>) -> BTreeSet<String> {
    nodes
        .iter()
        .filter_map(|node| match node.kind() {
            AstKind::IdentifierName(name) => Some(name.name.to_lowercase()),
            AstKind::IdentifierReference(name) => Some(name.name.to_lowercase()),
            AstKind::BindingIdentifier(name) => Some(name.name.to_lowercase()),
            AstKind::StringLiteral(text) => Some(text.value.to_lowercase()),
            AstKind::TemplateElement(text) => Some(text.value.raw.to_lowercase()),
            _ => None,
        })
        .collect()
}

/// How a field is spoken of.
pub(super) fn called(field: &FieldName) -> String {
    format!("{}.{}", field.model, field.field)
}

/// Whether `word` is in `text` with nothing before and after it that would make it another word.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            !text[..at].chars().next_back().is_some_and(part)
                && !text[at + word.len()..].chars().next().is_some_and(part)
        })
}
