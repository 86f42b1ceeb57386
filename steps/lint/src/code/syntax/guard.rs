//! Whether a value is proved present where it is used.
//!
//! Understood: the right side of `&&` and `||`, both sides of `?:`, `if`, `while`, `for`; a statement before that leaves
//! when the value is missing (`return`, `throw`, `continue`, `break`, functions that never return) or assigns it; calls of
//! `assert` and `invariant`; conditions held by a constant. A proof is void when its variable or a part of the path is
//! assigned between the proof and the use.

use oxc_ast::AstKind;
use oxc_ast::ast::{AssignmentOperator, AssignmentTarget, Expression, Statement};
use oxc_semantic::NodeId;
use oxc_span::GetSpan;

use super::path::last_name;
use super::proof::Absence;
use super::view::{Path, Root, View};

/// Functions that do not return: of frameworks, and of Node.js.
const LEAVES: [&str; 5] = [
    "exit",
    "notFound",
    "redirect",
    "permanentRedirect",
    "unreachable",
];

/// Functions that throw unless their first argument holds.
const ASSERTS: [&str; 4] = ["assert", "invariant", "ok", "strict"];

impl<'a> View<'a, '_> {
    /// Whether `target` is proved present at `node`.
    pub(super) fn guarded(&self, node: NodeId, target: &Path, missing: Absence) -> bool {
        let nodes = self.nodes();
        let used = nodes.kind(node).span().start;
        let of = |e: &'a Expression<'a>, truth| {
            let holds = self.proves(AstKind::from_expression(e), truth, target, missing);
            holds && !self.written(target, e.span().end, used)
        };
        let mut child = node;
        for parent in nodes.ancestors(node) {
            let proved = match parent.kind() {
                AstKind::LogicalExpression(e) if e.right.node_id() == child => {
                    (e.operator.is_and() && of(&e.left, true))
                        || (e.operator.is_or() && of(&e.left, false))
                }
                AstKind::ConditionalExpression(e) if e.consequent.node_id() == child => {
                    of(&e.test, true)
                }
                AstKind::ConditionalExpression(e) if e.alternate.node_id() == child => {
                    of(&e.test, false)
                }
                AstKind::IfStatement(s) if s.consequent.node_id() == child => of(&s.test, true),
                AstKind::IfStatement(s) if s.test.node_id() != child => of(&s.test, false),
                AstKind::WhileStatement(s) if s.body.node_id() == child => of(&s.test, true),
                AstKind::ForStatement(s) if s.body.node_id() == child => {
                    s.test.as_ref().is_some_and(|test| of(test, true))
                }
                AstKind::BlockStatement(s) => self.before(&s.body, child, target, missing, used),
                AstKind::FunctionBody(s) => {
                    self.before(&s.statements, child, target, missing, used)
                }
                AstKind::Program(s) => self.before(&s.body, child, target, missing, used),
                AstKind::SwitchCase(s) => self.before(&s.consequent, child, target, missing, used),
                AstKind::StaticBlock(s) => self.before(&s.body, child, target, missing, used),
                AstKind::TSModuleBlock(s) => self.before(&s.body, child, target, missing, used),
                AstKind::Function(f) if f.is_declaration() || !self.is_constant(target) => {
                    return false;
                }
                AstKind::ArrowFunctionExpression(_) | AstKind::PropertyDefinition(_)
                    if !self.is_constant(target) =>
                {
                    return false;
                }
                _ => false,
            };
            if proved {
                return true;
            }
            child = parent.id();
        }
        false
    }

    /// A variable that is never assigned again, and nothing of it.
    fn is_constant(&self, target: &Path) -> bool {
        match target.root {
            Root::Symbol(symbol) => {
                target.steps.is_empty() && !self.scoping().symbol_is_mutated(symbol)
            }
            _ => false,
        }
    }

    /// Whether a statement before the one that holds the use proves it.
    fn before(
        &self,
        list: &'a [Statement<'a>],
        child: NodeId,
        target: &Path,
        missing: Absence,
        used: u32,
    ) -> bool {
        let earlier = list.iter().take_while(|s| s.node_id() != child);
        earlier.into_iter().any(|statement| {
            self.leaves_proved(statement, target, missing)
                && !self.written(target, statement.span().end, used)
        })
    }

    fn leaves_proved(&self, statement: &'a Statement<'a>, target: &Path, missing: Absence) -> bool {
        match statement {
            Statement::IfStatement(s) => {
                let test = AstKind::from_expression(&s.test);
                let settled = |s| self.leaves(s) || self.assigns(s, target);
                (settled(&s.consequent) && self.proves(test, false, target, missing))
                    || (s.alternate.as_ref().is_some_and(settled)
                        && self.proves(test, true, target, missing))
            }
            Statement::ExpressionStatement(s) => match &s.expression {
                Expression::CallExpression(call) => {
                    let name = last_name(self, AstKind::from_expression(&call.callee));
                    let first = call.arguments.first().and_then(|a| a.as_expression());
                    name.is_some_and(|name| ASSERTS.contains(&name))
                        && first.is_some_and(|e| {
                            self.proves(AstKind::from_expression(e), true, target, missing)
                        })
                }
                _ => self.assigns(statement, target),
            },
            _ => false,
        }
    }

    /// Whether what comes after the statement is not reached.
    fn leaves(&self, statement: &'a Statement<'a>) -> bool {
        match statement {
            Statement::ReturnStatement(_)
            | Statement::ThrowStatement(_)
            | Statement::ContinueStatement(_)
            | Statement::BreakStatement(_) => true,
            Statement::BlockStatement(s) => s.body.iter().any(|s| self.leaves(s)),
            Statement::IfStatement(s) => {
                self.leaves(&s.consequent) && s.alternate.as_ref().is_some_and(|s| self.leaves(s))
            }
            Statement::ExpressionStatement(s) => match &s.expression {
                Expression::CallExpression(call) => {
                    last_name(self, AstKind::from_expression(&call.callee))
                        .is_some_and(|name| LEAVES.contains(&name))
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether the statement gives `target` a value that is something.
    fn assigns(&self, statement: &'a Statement<'a>, target: &Path) -> bool {
        match statement {
            Statement::BlockStatement(s) => s.body.last().is_some_and(|s| self.assigns(s, target)),
            Statement::ExpressionStatement(s) => match &s.expression {
                Expression::AssignmentExpression(e) => {
                    let something = (e.right.is_literal() && !e.right.is_null())
                        || matches!(
                            e.right,
                            Expression::TemplateLiteral(_)
                                | Expression::ObjectExpression(_)
                                | Expression::ArrayExpression(_)
                                | Expression::NewExpression(_)
                        );
                    let kept = matches!(
                        e.operator,
                        AssignmentOperator::Assign
                            | AssignmentOperator::LogicalOr
                            | AssignmentOperator::LogicalNullish
                    );
                    something && kept && self.assigned(&e.left).as_ref() == Some(target)
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn assigned(&self, to: &'a AssignmentTarget<'a>) -> Option<Path> {
        self.path(self.nodes().kind(to.node_id()))
    }

    /// Whether `target`, or what it is a property of, is assigned between two places.
    fn written(&self, target: &Path, from: u32, to: u32) -> bool {
        let between = |at: u32| from <= at && at < to;
        if let Root::Symbol(symbol) = target.root {
            let assigned = self
                .scoping()
                .get_resolved_references(symbol)
                .any(|r| r.is_write() && between(self.nodes().kind(r.node_id()).span().start));
            if assigned {
                return true;
            }
        }
        !target.steps.is_empty()
            && self
                .assignments()
                .iter()
                .any(|(at, path)| between(*at) && target.begins_with(path))
    }

    /// Places where a property is assigned.
    pub(super) fn assignments(&self) -> &[(u32, Path)] {
        self.assigned.get_or_init(|| {
            let nodes = self.nodes().iter();
            nodes
                .filter_map(|node| match node.kind() {
                    AstKind::AssignmentExpression(e) => {
                        Some((e.span.start, self.assigned(&e.left)?))
                    }
                    _ => None,
                })
                .collect()
        })
    }
}
