//! Whether a text in quotes is the label of an enum.

use oxc_ast::AstKind;
use oxc_ast::ast::{BindingPattern, CallExpression, JSXAttributeName, TSType};
use oxc_semantic::NodeId;

use super::model::delegate;
use super::view::View;
use crate::code::schema::Schema;

/// Keys between a field and its value in a query.
const OPERATORS: [&str; 9] = [
    "in", "notIn", "equals", "not", "set", "push", "has", "hasSome", "hasEvery",
];

/// Functions that say which texts a field may have: those of validators.
const VALIDATORS: [&str; 8] = [
    "enum",
    "literal",
    "union",
    "oneOf",
    "array",
    "nativeEnum",
    "picklist",
    "valid",
];

/// Types that are a part of another one's values, or a list of them.
const PARTS: [&str; 6] = [
    "Extract",
    "Exclude",
    "Array",
    "ReadonlyArray",
    "Set",
    "Readonly",
];

impl<'a> View<'a, '_> {
    /// Whether the text at `id` stands where a value of the enum is meant.
    pub(super) fn is_label_of(&self, id: NodeId, of: &str, value: &str, old: &Schema) -> bool {
        let nodes = self.nodes();
        let mut at = id;
        loop {
            let parent = nodes.parent_id(at);
            if parent == at {
                return false;
            }
            match nodes.kind(parent) {
                AstKind::ConditionalExpression(e) if e.test.node_id() != at => {}
                AstKind::LogicalExpression(e) => {
                    if e.right.node_id() == at
                        && self.has_enum(AstKind::from_expression(&e.left), of, value, old)
                    {
                        return true;
                    }
                }
                AstKind::TSAsExpression(e) => {
                    if self.type_has(&e.type_annotation, of) {
                        return true;
                    }
                }
                AstKind::TSTypeAssertion(e) => {
                    if self.type_has(&e.type_annotation, of) {
                        return true;
                    }
                }
                AstKind::TSSatisfiesExpression(e) => {
                    if self.type_has(&e.type_annotation, of) {
                        return true;
                    }
                }
                AstKind::ArrayExpression(_)
                | AstKind::ObjectExpression(_)
                | AstKind::TSLiteralType(_)
                | AstKind::TSUnionType(_)
                | AstKind::JSXExpressionContainer(_)
                | AstKind::ParenthesizedExpression(_)
                | AstKind::TSTypeParameterInstantiation(_) => {}
                AstKind::NewExpression(e) if e.callee.is_specific_id("Set") => {}
                AstKind::ObjectProperty(p) if p.value.node_id() == at => {
                    let key = p.key.static_name().unwrap_or_default();
                    if !OPERATORS.contains(&key.as_ref()) {
                        return self.field_has(&key, parent, of, value, old);
                    }
                }
                AstKind::CallExpression(call) if call.callee.node_id() != at => {
                    let name = self.field_name(AstKind::from_expression(&call.callee));
                    if !name.is_some_and(|name| VALIDATORS.contains(&name)) {
                        return false;
                    }
                }
                AstKind::StaticMemberExpression(m) => {
                    return self.is_searched(parent, m.property.name.as_str(), of, value, old);
                }
                kind => return self.is_label_in(kind, at, of, value, old),
            }
            at = parent;
        }
    }

    fn is_label_in(
        &self,
        parent: AstKind<'a>,
        at: NodeId,
        of: &str,
        value: &str,
        old: &Schema,
    ) -> bool {
        let has = |e| self.has_enum(AstKind::from_expression(e), of, value, old);
        match parent {
            AstKind::BinaryExpression(e) if e.operator.is_equality() => {
                let other = if e.left.node_id() == at {
                    &e.right
                } else {
                    &e.left
                };
                has(other)
            }
            AstKind::SwitchCase(_) => match self.nodes().parent_kind(parent.node_id()) {
                AstKind::SwitchStatement(s) => has(&s.discriminant),
                _ => false,
            },
            AstKind::AssignmentExpression(e) if e.right.node_id() == at => {
                self.has_enum(self.nodes().kind(e.left.node_id()), of, value, old)
            }
            AstKind::VariableDeclarator(d) => match (&d.type_annotation, &d.id) {
                (Some(annotated), _) => self.type_has(&annotated.type_annotation, of),
                (None, BindingPattern::BindingIdentifier(name)) => {
                    self.name_has(name.name.as_str(), of, value, old)
                }
                _ => false,
            },
            AstKind::FormalParameter(p) => match (&p.type_annotation, &p.pattern) {
                (Some(annotated), _) => self.type_has(&annotated.type_annotation, of),
                (None, BindingPattern::BindingIdentifier(name)) => {
                    self.name_has(name.name.as_str(), of, value, old)
                }
                _ => false,
            },
            AstKind::AssignmentPattern(p) => match self.nodes().parent_kind(parent.node_id()) {
                AstKind::BindingProperty(b) => {
                    let key = b.key.static_name().unwrap_or_default();
                    p.right.node_id() == at && self.name_has(&key, of, value, old)
                }
                _ => false,
            },
            AstKind::JSXAttribute(a) => match &a.name {
                JSXAttributeName::Identifier(name) => {
                    self.name_has(name.name.as_str(), of, value, old)
                }
                JSXAttributeName::NamespacedName(_) => false,
            },
            AstKind::TSTypeAnnotation(_) => {
                match self.nodes().parent_kind(self.nodes().parent_id(at)) {
                    AstKind::TSPropertySignature(p) => p
                        .key
                        .static_name()
                        .is_some_and(|key| self.name_has(&key, of, value, old)),
                    _ => false,
                }
            }
            AstKind::TSTypeReference(named) => {
                let name = super::model::type_name(&named.type_name).unwrap_or_default();
                let arguments = named.type_arguments.as_ref();
                PARTS.contains(&name)
                    && arguments
                        .is_some_and(|a| a.params.iter().any(|of_type| self.type_has(of_type, of)))
            }
            _ => false,
        }
    }

    /// `["A", "B"].includes(x.role)`, `new Set(["A"]).has(x.role)`.
    fn is_searched(
        &self,
        member: NodeId,
        method: &str,
        of: &str,
        value: &str,
        old: &Schema,
    ) -> bool {
        if !["includes", "indexOf", "has"].contains(&method) {
            return false;
        }
        match self.nodes().parent_kind(member) {
            AstKind::CallExpression(call) => call
                .arguments
                .first()
                .and_then(|a| a.as_expression())
                .is_some_and(|e| self.has_enum(AstKind::from_expression(e), of, value, old)),
            _ => false,
        }
    }

    /// Whether an expression has the enum as its type: by a type, by the field of a model that is known, or by its name.
    pub(super) fn has_enum(&self, kind: AstKind<'a>, of: &str, value: &str, old: &Schema) -> bool {
        let kind = self.bare(kind);
        match kind {
            AstKind::StaticMemberExpression(m) => {
                let name = m.property.name.as_str();
                match self.model_of(AstKind::from_expression(&m.object), old) {
                    Some(model) => old.models[model]
                        .fields
                        .get(name)
                        .is_some_and(|f| f.kind == of),
                    None => self.name_has(name, of, value, old),
                }
            }
            AstKind::IdentifierReference(name) => {
                let declared = self
                    .symbol(name)
                    .map(|s| self.semantic.symbol_declaration(s).kind());
                let annotated = match declared {
                    Some(AstKind::VariableDeclarator(d)) if d.id.is_binding_identifier() => {
                        if let (None, Some(init)) = (&d.type_annotation, &d.init)
                            && init.is_member_expression()
                        {
                            return self.has_enum(AstKind::from_expression(init), of, value, old);
                        }
                        d.type_annotation.as_ref()
                    }
                    Some(AstKind::FormalParameter(p)) if p.pattern.is_binding_identifier() => {
                        p.type_annotation.as_ref()
                    }
                    _ => None,
                };
                match annotated.map(|a| &a.type_annotation) {
                    Some(TSType::TSStringKeyword(_)) | None => {
                        self.name_has(name.name.as_str(), of, value, old)
                    }
                    Some(annotated) => self.type_has(annotated, of),
                }
            }
            kind => self
                .field_name(kind)
                .is_some_and(|name| self.name_has(name, of, value, old)),
        }
    }

    /// Whether a type is the enum, with or without null, a list of it or a type with it as an argument.
    fn type_has(&self, kind: &TSType<'a>, of: &str) -> bool {
        match kind {
            TSType::TSUnionType(any) => any.types.iter().any(|kind| self.type_has(kind, of)),
            TSType::TSArrayType(list) => self.type_has(&list.element_type, of),
            TSType::TSTypeReference(named) => {
                let inner = named.type_arguments.as_ref();
                self.names_enum(of, &named.type_name)
                    || inner.is_some_and(|inner| {
                        inner.params.iter().any(|kind| self.type_has(kind, of))
                    })
            }
            _ => false,
        }
    }

    /// A key of an object: of a query when it is in one, and by its name otherwise.
    fn field_has(&self, key: &str, property: NodeId, of: &str, value: &str, old: &Schema) -> bool {
        let query = self
            .nodes()
            .ancestor_kinds(property)
            .find_map(|kind| match kind {
                AstKind::CallExpression(call) => self.queried(call, old),
                _ => None,
            });
        match query {
            // Relations lead from a query to fields of other models, so only another enum of the same name excludes it.
            Some(model) => match old.models[model].fields.get(key) {
                Some(field) => {
                    field.kind == of
                        || !old.enums.contains_key(&field.kind)
                            && self.name_has(key, of, value, old)
                }
                None => self.name_has(key, of, value, old),
            },
            None => self.name_has(key, of, value, old),
        }
    }

    fn queried<'m>(&self, call: &'a CallExpression<'a>, old: &'m Schema) -> Option<&'m str> {
        match self.bare(AstKind::from_expression(&call.callee)) {
            AstKind::StaticMemberExpression(m) => {
                delegate(self.field_name(AstKind::from_expression(&m.object))?, old)
            }
            _ => None,
        }
    }

    /// Whether a field of this name has the enum as its type. Where fields of the same name have another enum with the
    /// same value, or a text, only when the file speaks of a model that has it.
    fn name_has(&self, name: &str, of: &str, value: &str, old: &Schema) -> bool {
        let mut ours = Vec::new();
        let mut others = false;
        for (model, known) in &old.models {
            match known.fields.get(name) {
                Some(field) if field.kind == of => ours.push(model),
                Some(field) => {
                    let same = old
                        .enums
                        .get(&field.kind)
                        .map(|e| e.values.contains_key(value));
                    others |= same.unwrap_or(field.kind == "String");
                }
                None => {}
            }
        }
        let spoken = |model: &&String| self.speaks_of(model);
        if others {
            ours.iter().any(spoken)
        } else {
            !ours.is_empty()
        }
    }

    /// A key of a `Record<Enum, …>`.
    pub(super) fn is_key_of(&self, property: NodeId, of: &str) -> bool {
        let nodes = self.nodes();
        let object = nodes.parent_id(property);
        let kind = match nodes.parent_kind(object) {
            AstKind::VariableDeclarator(d) => {
                d.type_annotation.as_ref().map(|a| &a.type_annotation)
            }
            AstKind::TSSatisfiesExpression(e) => Some(&e.type_annotation),
            AstKind::TSAsExpression(e) => Some(&e.type_annotation),
            AstKind::PropertyDefinition(d) => {
                d.type_annotation.as_ref().map(|a| &a.type_annotation)
            }
            _ => None,
        };
        kind.is_some_and(|kind| self.keyed_by(kind, of))
    }

    fn keyed_by(&self, kind: &TSType<'a>, of: &str) -> bool {
        match kind {
            TSType::TSMappedType(mapped) => self.type_has(&mapped.constraint, of),
            TSType::TSTypeReference(named) => {
                let name = super::model::type_name(&named.type_name).unwrap_or_default();
                let Some(first) = named.type_arguments.as_ref().and_then(|a| a.params.first())
                else {
                    return false;
                };
                match name {
                    "Record" => self.type_has(first, of),
                    "Partial" | "Readonly" | "Required" => self.keyed_by(first, of),
                    _ => false,
                }
            }
            _ => false,
        }
    }
}
