//! What is done with a value.

use oxc_ast::AstKind;
use oxc_ast::ast::{BinaryOperator, BindingPattern, Expression, TSType};
use oxc_semantic::{NodeId, SymbolId};

use super::view::View;

/// What is done with a value that may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    /// `!` declares it to be there.
    Asserted,
    /// It becomes `any`.
    AsAny,
    /// Something of it is needed, and a missing value throws.
    Opened,
    /// It becomes part of a text, and a missing one reads `null` or `undefined`.
    Printed,
    /// It gets another name.
    Named(SymbolId),
    /// Nothing that the syntax shows to go wrong.
    Fine,
}

impl<'a> View<'a, '_> {
    /// What is done with the value of an expression.
    pub(super) fn used(&self, value: NodeId) -> Usage {
        let nodes = self.nodes();
        let mut at = value;
        loop {
            let parent = nodes.parent_id(at);
            if parent == at {
                return Usage::Fine;
            }
            match nodes.kind(parent) {
                AstKind::TSNonNullExpression(_) => return Usage::Asserted,
                AstKind::TSAsExpression(e) if is_any(&e.type_annotation) => return Usage::AsAny,
                AstKind::TSTypeAssertion(e) if is_any(&e.type_annotation) => return Usage::AsAny,
                AstKind::ConditionalExpression(e) if e.test.node_id() != at => at = parent,
                AstKind::LogicalExpression(e) if e.right.node_id() == at => at = parent,
                AstKind::TSAsExpression(_)
                | AstKind::TSTypeAssertion(_)
                | AstKind::TSSatisfiesExpression(_)
                | AstKind::ParenthesizedExpression(_)
                | AstKind::ChainExpression(_) => at = parent,
                kind => return self.used_by(kind, parent, at),
            }
        }
    }

    fn used_by(&self, parent: AstKind<'a>, id: NodeId, at: NodeId) -> Usage {
        let opened = match parent {
            AstKind::StaticMemberExpression(m) => !m.optional,
            AstKind::PrivateFieldExpression(m) => !m.optional,
            AstKind::ComputedMemberExpression(m) => m.object.node_id() == at && !m.optional,
            AstKind::CallExpression(c) => c.callee.node_id() == at && !c.optional,
            AstKind::NewExpression(c) => c.callee.node_id() == at,
            AstKind::TaggedTemplateExpression(t) => t.tag.node_id() == at,
            AstKind::SpreadElement(_) => {
                !matches!(self.nodes().parent_kind(id), AstKind::ObjectExpression(_))
            }
            AstKind::ForOfStatement(s) => s.right.node_id() == at,
            AstKind::BinaryExpression(e) => match e.operator {
                BinaryOperator::In | BinaryOperator::Instanceof => {
                    e.right.node_id() == at && e.operator == BinaryOperator::In
                }
                BinaryOperator::Addition if is_text(&e.left) || is_text(&e.right) => {
                    return Usage::Printed;
                }
                _ => false,
            },
            AstKind::TemplateLiteral(_) => {
                let tagged = matches!(
                    self.nodes().parent_kind(id),
                    AstKind::TaggedTemplateExpression(_)
                );
                return if tagged { Usage::Fine } else { Usage::Printed };
            }
            AstKind::VariableDeclarator(d) => match &d.id {
                BindingPattern::BindingIdentifier(name) => {
                    return name.symbol_id.get().map_or(Usage::Fine, Usage::Named);
                }
                _ => true,
            },
            _ => false,
        };
        if opened { Usage::Opened } else { Usage::Fine }
    }
}

pub(super) fn is_any(of: &TSType<'_>) -> bool {
    matches!(of, TSType::TSAnyKeyword(_))
}

fn is_text(e: &Expression<'_>) -> bool {
    matches!(
        e,
        Expression::StringLiteral(_) | Expression::TemplateLiteral(_)
    )
}
