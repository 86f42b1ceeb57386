//! What a condition proves about a value.

use oxc_ast::AstKind;
use oxc_ast::ast::{
    BinaryExpression, BinaryOperator, CallExpression, Expression, LogicalOperator, UnaryOperator,
};

use super::path::last_name;
use super::view::{Path, View};

/// How deep conditions are followed, through variables that hold them as well.
const DEPTH: u32 = 64;

/// What a value is when it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// A column that may be null: the client returns `null`, never `undefined`.
    Null,
    /// A field that is no more.
    Undefined,
}

/// Functions that return true for nothing that is missing, by their usual names.
const CHECKS: [&str; 8] = [
    "isArray",
    "Boolean",
    "isString",
    "isDefined",
    "isPresent",
    "isNotNull",
    "isNonNull",
    "isNotNil",
];

impl<'a> View<'a, '_> {
    /// Whether `target` is there when `condition` turned out to be `truth`.
    pub(super) fn proves(
        &self,
        condition: AstKind<'a>,
        truth: bool,
        target: &Path,
        missing: Absence,
    ) -> bool {
        self.proved(condition, truth, target, missing, DEPTH)
    }

    fn proved(
        &self,
        condition: AstKind<'a>,
        truth: bool,
        target: &Path,
        missing: Absence,
        depth: u32,
    ) -> bool {
        let Some(depth) = depth.checked_sub(1) else {
            return false;
        };
        let go = |e: &'a Expression<'a>, truth| {
            self.proved(AstKind::from_expression(e), truth, target, missing, depth)
        };
        match self.bare(condition) {
            AstKind::UnaryExpression(e) if e.operator == UnaryOperator::LogicalNot => {
                go(&e.argument, !truth)
            }
            AstKind::LogicalExpression(e) => match (e.operator, truth) {
                (LogicalOperator::And, true) | (LogicalOperator::Or, false) => {
                    go(&e.left, truth) || go(&e.right, truth)
                }
                (LogicalOperator::And, false) | (LogicalOperator::Or, true) => {
                    go(&e.left, truth) && go(&e.right, truth)
                }
                (LogicalOperator::Coalesce, _) => false,
            },
            AstKind::BinaryExpression(e) => self.compared(e, truth, target, missing),
            AstKind::CallExpression(call) if truth => self.checked(call, target),
            AstKind::IdentifierReference(name) => {
                let itself = truth && self.path(condition).as_ref() == Some(target);
                itself || self.held(name).is_some_and(|e| go(e, truth))
            }
            other => {
                truth
                    && self
                        .path(other)
                        .is_some_and(|path| path.begins_with(target))
            }
        }
    }

    /// The condition that a constant holds.
    fn held(&self, name: &oxc_ast::ast::IdentifierReference<'a>) -> Option<&'a Expression<'a>> {
        let symbol = self.symbol(name)?;
        if self.scoping().symbol_is_mutated(symbol) {
            return None;
        }
        match self.semantic.symbol_declaration(symbol).kind() {
            AstKind::VariableDeclarator(d) if d.id.is_binding_identifier() => {
                match d.init.as_ref()? {
                    e @ (Expression::UnaryExpression(_)
                    | Expression::BinaryExpression(_)
                    | Expression::LogicalExpression(_)) => Some(e),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn compared(
        &self,
        e: &'a BinaryExpression<'a>,
        truth: bool,
        target: &Path,
        missing: Absence,
    ) -> bool {
        use BinaryOperator as Op;
        let equals = matches!(e.operator, Op::Equality | Op::StrictEquality);
        let differs = matches!(e.operator, Op::Inequality | Op::StrictInequality);
        let equal = (equals && truth) || (differs && !truth);
        let unequal = (equals && !truth) || (differs && truth);
        let loose = matches!(e.operator, Op::Equality | Op::Inequality);
        let sides = [(&e.left, &e.right), (&e.right, &e.left)];
        sides.into_iter().any(|(one, other)| {
            let path = |e| self.path(AstKind::from_expression(e));
            if let Expression::UnaryExpression(of) = one
                && of.operator == UnaryOperator::Typeof
            {
                let about = path(&of.argument).as_ref() == Some(target);
                return about
                    && ((equal && type_proves(other, missing))
                        || (unequal && type_rules_out(other, missing)));
            }
            let Some(path) = path(one).filter(|path| path.begins_with(target)) else {
                return false;
            };
            let deeper = path != *target;
            if equal {
                return is_something(other);
            }
            if unequal {
                return match missing {
                    _ if loose => other.is_null_or_undefined(),
                    // Through `?.` a missing value is `undefined`.
                    _ if deeper => other.is_undefined(),
                    Absence::Null => other.is_null(),
                    Absence::Undefined => other.is_undefined(),
                };
            }
            match e.operator {
                Op::LessThan | Op::LessEqualThan | Op::GreaterThan | Op::GreaterEqualThan => {
                    truth && deeper
                }
                Op::Instanceof => truth && std::ptr::eq(one, &raw const e.left),
                _ => false,
            }
        })
    }

    /// Whether a call proves that the field is there: `Array.isArray(x.field)`, `x.field?.includes("a")`.
    fn checked(&self, call: &'a CallExpression<'a>, target: &Path) -> bool {
        let callee = AstKind::from_expression(&call.callee);
        let name = last_name(self, callee).unwrap_or_default();
        let first = call.arguments.first().and_then(|a| a.as_expression());
        let on = |e| self.path(AstKind::from_expression(e)).as_ref() == Some(target);
        let deeper = self
            .path(callee)
            .is_some_and(|path| path.begins_with(target) && path != *target);
        deeper || (CHECKS.contains(&name) && first.is_some_and(on))
    }
}

/// `typeof x === "string"`.
fn type_proves(word: &Expression<'_>, missing: Absence) -> bool {
    let Expression::StringLiteral(word) = word else {
        return false;
    };
    word.value != "undefined" && (missing == Absence::Undefined || word.value != "object")
}

/// `typeof x !== "undefined"`, which says nothing about null.
fn type_rules_out(word: &Expression<'_>, missing: Absence) -> bool {
    let of_missing = match missing {
        Absence::Null => "object",
        Absence::Undefined => "undefined",
    };
    word.is_specific_string_literal(of_missing)
}

fn is_something(e: &Expression<'_>) -> bool {
    e.is_literal() && !e.is_null() || matches!(e, Expression::TemplateLiteral(_))
}
