//! Enum labels that a file adds and then uses: `PostgreSQL` refuses that within one transaction (55P04).

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::tree::ident;
use crate::migration::op::{Item, Op, TypeChange};

/// The labels added so far.
#[derive(Debug, Default)]
pub(super) struct Additions(Vec<String>);

impl Additions {
    /// Takes note of what a statement adds, or says which of the added labels it names.
    pub(super) fn after(&mut self, statement: &SyntaxNode, items: &[Item]) -> Option<Op> {
        let before = self.0.len();
        self.0
            .extend(items.iter().filter_map(|item| match &item.op {
                Op::AlterType(_, TypeChange::AddLabel(label)) => Some(label.clone()),
                _ => None,
            }));
        let silent = matches!(
            statement.kind(),
            K::COMMENT_ON | K::CREATE_FUNCTION | K::CREATE_PROCEDURE
        );
        if silent || before < self.0.len() || self.0.is_empty() {
            return None;
        }
        let text = statement.text().to_string();
        let literals: Vec<String> = self
            .0
            .iter()
            .filter(|label| text.contains(&format!("'{}'", label.replace('\'', "''"))))
            .cloned()
            .collect();
        if literals.is_empty() {
            return None;
        }
        let names = if statement.kind() == K::DO {
            let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.map(str::to_owned).collect()
        } else {
            let named = |each: &SyntaxNode| {
                matches!(
                    each.kind(),
                    K::NAME_REF | K::PATH_SEGMENT | K::PATH_SEGMENT_REF
                )
            };
            statement
                .descendants()
                .filter(named)
                .map(|each| ident(&each))
                .collect()
        };
        Some(Op::Literals { literals, names })
    }
}
