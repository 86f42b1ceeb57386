//! Uses of fields that may be missing now.

use std::collections::BTreeMap;

use oxc_ast::AstKind;
use oxc_ast::ast::{BindingPattern, BindingProperty, Expression};
use oxc_semantic::{NodeId, SymbolId};
use oxc_span::GetSpan;

use super::proof::Absence;
use super::used::Usage;
use super::view::{Path, View, called};
use crate::code::Hit;
use crate::code::schema::{Changes, FieldName, Schema};

/// How often a value may get another name and still be followed.
const NAMES: u32 = 4;

/// What may be missing: fields of one name, of one model or several.
type Fields<'c> = Vec<(&'c FieldName, Absence)>;

/// A value that may be missing, at one place.
struct Value<'c> {
    fields: Fields<'c>,
    /// The model of its base is known to be that of `fields`.
    sure: bool,
    path: Option<Path>,
}

impl<'a> View<'a, '_> {
    /// The hits of all fields that may be missing.
    pub(super) fn nulls(&self, old: &Schema, changes: &Changes) -> Vec<Hit> {
        let mut names: BTreeMap<&str, Fields<'_>> = BTreeMap::new();
        let nullable = changes.nullable.iter().map(|f| (f, Absence::Null));
        let removed = changes.removed.iter().map(|f| (f, Absence::Undefined));
        for (field, missing) in nullable.chain(removed) {
            names
                .entry(field.field.as_str())
                .or_default()
                .push((field, missing));
        }
        let mut hits = Vec::new();
        for node in self.nodes().iter() {
            match node.kind() {
                AstKind::StaticMemberExpression(m) => {
                    if let Some(fields) = names.get(m.property.name.as_str()) {
                        self.member(node.id(), &m.object, fields, old, &mut hits);
                    }
                }
                AstKind::ComputedMemberExpression(m) => {
                    if let Expression::StringLiteral(name) = &m.expression
                        && let Some(fields) = names.get(name.value.as_str())
                    {
                        self.member(node.id(), &m.object, fields, old, &mut hits);
                    }
                }
                AstKind::BindingProperty(p) if !p.computed => {
                    let fields = p
                        .key
                        .static_name()
                        .and_then(|name| names.get(name.as_ref()));
                    if let Some(fields) = fields {
                        self.taken_apart(node.id(), p, fields, old, &mut hits);
                    }
                }
                _ => {}
            }
        }
        hits
    }

    fn member<'c>(
        &self,
        id: NodeId,
        object: &'a Expression<'a>,
        fields: &Fields<'c>,
        old: &Schema,
        hits: &mut Vec<Hit>,
    ) {
        let base = AstKind::from_expression(object);
        let Some(mut value) = value_of(self.model_of(base, old), fields) else {
            return;
        };
        value.path = self.path(self.nodes().kind(id));
        let used = self.used(id);
        if self.is_any(base) && !self.is_target(id) && !self.is_defaulted(id) {
            self.report(id, Usage::AsAny, &value, hits);
        } else {
            self.follow(id, used, &value, NAMES, hits);
        }
    }

    /// `const { field } = x`, `({ field: other }) => …`.
    fn taken_apart<'c>(
        &self,
        id: NodeId,
        property: &'a BindingProperty<'a>,
        fields: &Fields<'c>,
        old: &Schema,
        hits: &mut Vec<Hit>,
    ) {
        let nodes = self.nodes();
        let pattern = nodes.parent_id(id);
        let from = match nodes.parent_kind(pattern) {
            AstKind::VariableDeclarator(d) if d.id.node_id() == pattern => d.init.as_ref(),
            _ => None,
        };
        let base = from.map(AstKind::from_expression);
        let Some(mut value) = value_of(
            match base {
                Some(base) => self.model_of(base, old),
                None => self.model_of_pattern(pattern, old),
            },
            fields,
        ) else {
            return;
        };
        value.path = base.and_then(|base| self.path(base)).map(|mut path| {
            path.steps.push(fields[0].0.field.clone());
            path
        });
        match &property.value {
            BindingPattern::BindingIdentifier(name) => {
                let Some(symbol) = name.symbol_id.get() else {
                    return;
                };
                if base.is_some_and(|base| self.is_any(base)) {
                    self.report(id, Usage::AsAny, &value, hits);
                } else {
                    self.follow(id, Usage::Named(symbol), &value, NAMES, hits);
                }
            }
            BindingPattern::AssignmentPattern(_)
                if fields.iter().all(|f| f.1 == Absence::Undefined) => {}
            // A default stands in for `undefined`, not for null.
            BindingPattern::AssignmentPattern(p) => {
                if let BindingPattern::BindingIdentifier(name) = &p.left
                    && let Some(symbol) = name.symbol_id.get()
                {
                    let only_null = value
                        .fields
                        .iter()
                        .filter(|f| f.1 == Absence::Null)
                        .copied()
                        .collect();
                    value.fields = only_null;
                    self.follow(id, Usage::Named(symbol), &value, NAMES, hits);
                }
            }
            _ => self.follow(id, Usage::Opened, &value, NAMES, hits),
        }
    }

    fn follow(&self, id: NodeId, used: Usage, value: &Value<'_>, names: u32, hits: &mut Vec<Hit>) {
        let Some(names) = names.checked_sub(1) else {
            return;
        };
        if used == Usage::Fine || self.is_target(id) {
            return;
        }
        let fields = value.fields.iter().copied().filter(|(_, missing)| {
            let guarded = value
                .path
                .as_ref()
                .is_some_and(|path| self.guarded(id, path, *missing));
            !guarded
        });
        let left = Value {
            fields: fields.collect(),
            sure: value.sure,
            path: None,
        };
        if left.fields.is_empty() {
            return;
        }
        match used {
            Usage::Named(symbol) => self.follow_name(symbol, &left, names, hits),
            _ => self.report(id, used, &left, hits),
        }
    }

    fn follow_name(&self, symbol: SymbolId, value: &Value<'_>, names: u32, hits: &mut Vec<Hit>) {
        let value = Value {
            fields: value.fields.clone(),
            sure: value.sure,
            path: Some(Path::variable(symbol)),
        };
        for reference in self.scoping().get_resolved_references(symbol) {
            if reference.is_read() {
                let id = reference.node_id();
                self.follow(id, self.used(id), &value, names, hits);
            }
        }
    }

    fn report(&self, id: NodeId, used: Usage, value: &Value<'_>, hits: &mut Vec<Hit>) {
        let at = self.nodes().kind(id).span();
        let written = self
            .text
            .get(at.start as usize..at.end as usize)
            .unwrap_or_default();
        let written: String = written.split_whitespace().collect::<Vec<_>>().join(" ");
        let written: String = written.chars().take(60).collect();
        for (field, missing) in &value.fields {
            let name = called(field);
            let (state, reads) = match missing {
                Absence::Null => ("may be null now", "null"),
                Absence::Undefined => ("is no more", "undefined"),
            };
            let (kind, message) = match used {
                Usage::Asserted => (
                    "non-null-assertion",
                    format!(
                        "`{written}` is asserted with `!`, and {name} {state}: say what happens without it"
                    ),
                ),
                Usage::AsAny => (
                    "any",
                    format!(
                        "`{written}` has type any, so the compiler cannot see that {name} {state}: give it its type"
                    ),
                ),
                Usage::Printed => (
                    "unguarded-access",
                    format!(
                        "`{written}` becomes part of a text that reads \"{reads}\" when {name}, which {state}, is missing"
                    ),
                ),
                _ => (
                    "unguarded-access",
                    format!(
                        "`{written}` is used as if it were there, and {name} {state}: guard it with `?.`, `??` or `if`"
                    ),
                ),
            };
            let plain = kind == "unguarded-access";
            if !plain || value.sure || self.speaks_of(&field.model) {
                hits.push(self.hit(at.start, kind, &name, message));
            }
        }
    }

    /// It is assigned or deleted, not read.
    fn is_target(&self, id: NodeId) -> bool {
        match self.nodes().parent_kind(id) {
            AstKind::AssignmentExpression(e) => e.left.node_id() == id,
            AstKind::UnaryExpression(e) => e.operator.is_delete(),
            _ => false,
        }
    }

    /// `x.field?.y`, `x.field ?? y`, `x.field || y`, and as a condition.
    fn is_defaulted(&self, id: NodeId) -> bool {
        let nodes = self.nodes();
        let mut at = id;
        while let AstKind::ChainExpression(_) = nodes.parent_kind(at) {
            at = nodes.parent_id(at);
        }
        match nodes.parent_kind(at) {
            AstKind::StaticMemberExpression(m) => m.optional,
            AstKind::ComputedMemberExpression(m) => m.optional && m.object.node_id() == at,
            AstKind::CallExpression(c) => c.optional && c.callee.node_id() == at,
            AstKind::LogicalExpression(e) => e.left.node_id() == at,
            _ => false,
        }
    }
}

/// The fields that can be meant, none when the model is known and it is another one.
fn value_of<'c>(model: Option<&str>, fields: &Fields<'c>) -> Option<Value<'c>> {
    let fields: Fields<'c> = match model {
        None => fields.clone(),
        Some(model) => fields
            .iter()
            .filter(|(f, _)| f.model == model)
            .copied()
            .collect(),
    };
    (!fields.is_empty()).then_some(Value {
        fields,
        sure: model.is_some(),
        path: None,
    })
}
