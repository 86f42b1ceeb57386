//! Values of enums that are no more, and those that are new.

use std::collections::BTreeSet;

use oxc_ast::AstKind;
use oxc_ast::ast::{Expression, SwitchStatement, TSTypeName};
use oxc_semantic::SymbolId;
use oxc_span::GetSpan;

use super::model::type_name;
use super::path::last_name;
use super::view::View;
use crate::code::Hit;
use crate::code::schema::{Changes, Schema, ValueName};

impl<'a> View<'a, '_> {
    /// Uses of values that are no more, and switches that do not know a new one.
    pub(super) fn values(&self, old: &Schema, changes: &Changes) -> Vec<Hit> {
        let mut hits = Vec::new();
        for node in self.nodes().iter() {
            let found: Vec<&ValueName> = match node.kind() {
                AstKind::StaticMemberExpression(m) => {
                    let (of, value) = (
                        AstKind::from_expression(&m.object),
                        m.property.name.as_str(),
                    );
                    gone(changes, value, |v| self.is_enum(of, &v.of))
                }
                AstKind::ComputedMemberExpression(m) => match &m.expression {
                    Expression::StringLiteral(value) => {
                        let of = AstKind::from_expression(&m.object);
                        gone(changes, value.value.as_str(), |v| self.is_enum(of, &v.of))
                    }
                    _ => continue,
                },
                AstKind::TSQualifiedName(n) => gone(changes, n.right.name.as_str(), |v| {
                    self.is_enum_type(&n.left, &v.of)
                }),
                AstKind::StringLiteral(text) => {
                    let value = text.value.as_str();
                    gone(changes, value, |v| {
                        self.is_label_of(node.id(), &v.of, value, old)
                    })
                }
                AstKind::ObjectProperty(p) if !p.computed => match p.key.static_name() {
                    Some(key) => gone(changes, &key, |v| self.is_key_of(node.id(), &v.of)),
                    None => continue,
                },
                AstKind::SwitchStatement(s) => {
                    self.switched(s, old, changes, &mut hits);
                    continue;
                }
                _ => continue,
            };
            for gone in found {
                let name = format!("{}.{}", gone.of, gone.value);
                let message = format!(
                    "{name} is no more: what is compared with it never matches, and what writes it fails"
                );
                hits.push(self.hit(node.kind().span().start, "removed-value", &name, message));
            }
        }
        hits
    }

    /// `Role`, `$Enums.Role`, `Prisma.Role`, or a name that one of these was imported as.
    pub(super) fn is_enum(&self, kind: AstKind<'a>, of: &str) -> bool {
        match self.bare(kind) {
            AstKind::IdentifierReference(name) => match self.symbol(name) {
                Some(symbol) => self.is_imported_as(symbol, of),
                None => name.name == of,
            },
            AstKind::StaticMemberExpression(m) => m.property.name == of,
            _ => false,
        }
    }

    fn is_enum_type(&self, name: &TSTypeName<'a>, of: &str) -> bool {
        match name {
            TSTypeName::IdentifierReference(name) => match self.symbol(name) {
                Some(symbol) => self.is_imported_as(symbol, of),
                None => name.name == of,
            },
            TSTypeName::QualifiedName(name) => name.right.name == of,
            TSTypeName::ThisExpression(_) => false,
        }
    }

    /// A variable that stands for what another file calls `name`; one that this file declares is another thing, unless it
    /// is taken from the client (`const { Role } = require("@prisma/client")`, `const Role = $Enums.Role`).
    fn is_imported_as(&self, symbol: SymbolId, name: &str) -> bool {
        match self.semantic.symbol_declaration(symbol).kind() {
            AstKind::ImportSpecifier(s) => s.imported.name() == name,
            AstKind::ImportDefaultSpecifier(s) => s.local.name == name,
            AstKind::VariableDeclarator(d) => match &d.init {
                Some(Expression::StaticMemberExpression(m)) => m.property.name == name,
                Some(Expression::CallExpression(call)) => {
                    call.is_require_call() && self.scoping().symbol_name(symbol) == name
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// A `switch` without `default` over an enum that has a new value, where all old ones have their case.
    fn switched(
        &self,
        s: &'a SwitchStatement<'a>,
        old: &Schema,
        changes: &Changes,
        hits: &mut Vec<Hit>,
    ) {
        if s.cases.iter().any(|case| case.test.is_none()) {
            return;
        }
        for new in &changes.values_added {
            let Some(known) = old.enums.get(&new.of) else {
                continue;
            };
            let cases: BTreeSet<&str> = s
                .cases
                .iter()
                .filter_map(|case| self.case_of(case.test.as_ref()?, s, &new.of, old))
                .collect();
            let mut left = known.values.keys().filter(|value| {
                !changes
                    .values_removed
                    .iter()
                    .any(|v| v.of == new.of && v.value == **value)
            });
            if !cases.is_empty()
                && left.all(|value| cases.contains(value.as_str()))
                && !cases.contains(new.value.as_str())
            {
                let name = format!("{}.{}", new.of, new.value);
                let message = format!(
                    "this switch knows every value of {} but the new {name}, and has no default",
                    new.of
                );
                hits.push(self.hit(s.span.start, "added-value", &name, message));
            }
        }
    }

    fn case_of(
        &self,
        test: &'a Expression<'a>,
        s: &'a SwitchStatement<'a>,
        of: &str,
        old: &Schema,
    ) -> Option<&'a str> {
        match test {
            Expression::StaticMemberExpression(m) => self
                .is_enum(AstKind::from_expression(&m.object), of)
                .then(|| m.property.name.as_str()),
            Expression::StringLiteral(label) => {
                let on = AstKind::from_expression(&s.discriminant);
                self.has_enum(on, of, label.value.as_str(), old)
                    .then(|| label.value.as_str())
            }
            _ => None,
        }
    }

    /// The name at the end of a type is that of the enum.
    pub(super) fn names_enum(&self, of: &str, name: &TSTypeName<'a>) -> bool {
        type_name(name).is_some() && self.is_enum_type(name, of)
    }

    /// The last name of an expression, as fields are looked up by.
    pub(super) fn field_name(&self, kind: AstKind<'a>) -> Option<&'a str> {
        last_name(self, kind)
    }
}

/// The values that are no more and called so, as far as `of` says that they are meant.
fn gone<'c>(
    changes: &'c Changes,
    value: &str,
    of: impl Fn(&ValueName) -> bool,
) -> Vec<&'c ValueName> {
    let named = changes.values_removed.iter().filter(|v| v.value == value);
    named.filter(|v| of(v)).collect()
}
