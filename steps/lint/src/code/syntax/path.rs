//! What an expression names: a variable and the properties after it.

use oxc_ast::AstKind;
use oxc_ast::ast::{Expression, IdentifierReference};
use oxc_semantic::SymbolId;

use super::view::{Path, Root, View};

impl<'a> View<'a, '_> {
    /// The path of an expression, when it is one: what a call returns has none, as two calls need not return the same.
    pub(super) fn path(&self, start: AstKind<'a>) -> Option<Path> {
        let mut steps = Vec::new();
        let mut at = start;
        let root = loop {
            at = match self.bare(at) {
                AstKind::StaticMemberExpression(m) => {
                    steps.push(m.property.name.to_string());
                    AstKind::from_expression(&m.object)
                }
                AstKind::ComputedMemberExpression(m) => {
                    steps.push(self.key(&m.expression)?);
                    AstKind::from_expression(&m.object)
                }
                AstKind::IdentifierReference(name) => break self.root(name),
                AstKind::ThisExpression(_) => break Root::This,
                _ => return None,
            };
        };
        steps.reverse();
        Some(Path { root, steps })
    }

    /// Without `!`, casts and the node around a chain of `?.`.
    pub(super) fn bare(&self, start: AstKind<'a>) -> AstKind<'a> {
        let mut at = start;
        loop {
            at = match at {
                AstKind::TSNonNullExpression(e) => AstKind::from_expression(&e.expression),
                AstKind::TSAsExpression(e) => AstKind::from_expression(&e.expression),
                AstKind::TSSatisfiesExpression(e) => AstKind::from_expression(&e.expression),
                AstKind::TSTypeAssertion(e) => AstKind::from_expression(&e.expression),
                AstKind::ParenthesizedExpression(e) => AstKind::from_expression(&e.expression),
                AstKind::ChainExpression(e) => self.nodes().kind(e.expression.node_id()),
                _ => return at,
            };
        }
    }

    /// The variable of a name.
    pub(super) fn symbol(&self, name: &IdentifierReference<'_>) -> Option<SymbolId> {
        let reference = name.reference_id.get()?;
        self.scoping().get_reference(reference).symbol_id()
    }

    fn root(&self, name: &IdentifierReference<'_>) -> Root {
        match self.symbol(name) {
            Some(symbol) => Root::Symbol(symbol),
            None => Root::Global(name.name.to_string()),
        }
    }

    fn key(&self, key: &'a Expression<'a>) -> Option<String> {
        match key {
            Expression::StringLiteral(text) => Some(text.value.to_string()),
            Expression::NumericLiteral(number) => Some(number.value.to_string()),
            Expression::Identifier(name) => {
                Some(format!("[{:?} {}]", self.symbol(name), name.name))
            }
            _ => None,
        }
    }
}

/// The last name of an expression: `role` of `user.role`, of `role` and of `user["role"]`.
pub(super) fn last_name<'a>(view: &View<'a, '_>, kind: AstKind<'a>) -> Option<&'a str> {
    match view.bare(kind) {
        AstKind::StaticMemberExpression(m) => Some(m.property.name.as_str()),
        AstKind::ComputedMemberExpression(m) => match &m.expression {
            Expression::StringLiteral(text) => Some(text.value.as_str()),
            _ => None,
        },
        AstKind::IdentifierReference(name) => Some(name.name.as_str()),
        _ => None,
    }
}
