//! Which model of the schema an expression has, as far as one file tells.

use oxc_ast::AstKind;
use oxc_ast::ast::{BindingPattern, CallExpression, Expression, TSType, TSTypeName};
use oxc_semantic::{NodeId, SymbolId};

use super::used::is_any;
use super::view::View;
use crate::code::schema::Schema;

/// How many steps a value is followed back.
const STEPS: u32 = 24;

/// Methods of a list that hand its elements to their callback, or return them.
const OF_LISTS: [&str; 17] = [
    "map",
    "forEach",
    "filter",
    "find",
    "findLast",
    "some",
    "every",
    "flatMap",
    "findIndex",
    "at",
    "slice",
    "sort",
    "toSorted",
    "reverse",
    "pop",
    "shift",
    "concat",
];

/// Queries of the client that return rows of their model.
const QUERIES: [&str; 13] = [
    "findUnique",
    "findUniqueOrThrow",
    "findFirst",
    "findFirstOrThrow",
    "findMany",
    "create",
    "createManyAndReturn",
    "update",
    "updateManyAndReturn",
    "upsert",
    "delete",
    "findRaw",
    "aggregateRaw",
];

impl<'a> View<'a, '_> {
    /// The model of an expression, when the file tells.
    pub(super) fn model_of<'m>(&self, value: AstKind<'a>, old: &'m Schema) -> Option<&'m str> {
        self.model(value, old, STEPS)
    }

    fn model<'m>(&self, value: AstKind<'a>, old: &'m Schema, steps: u32) -> Option<&'m str> {
        let steps = steps.checked_sub(1)?;
        let of = |e: &'a Expression<'a>| self.model(AstKind::from_expression(e), old, steps);
        match value {
            AstKind::TSAsExpression(e) => {
                model_of_type(&e.type_annotation, old).or_else(|| of(&e.expression))
            }
            AstKind::TSTypeAssertion(e) => {
                model_of_type(&e.type_annotation, old).or_else(|| of(&e.expression))
            }
            AstKind::TSSatisfiesExpression(e) => of(&e.expression),
            AstKind::TSNonNullExpression(e) => of(&e.expression),
            AstKind::ChainExpression(e) => {
                self.model(self.nodes().kind(e.expression.node_id()), old, steps)
            }
            AstKind::AwaitExpression(e) => of(&e.argument),
            AstKind::LogicalExpression(e) => of(&e.left).or_else(|| of(&e.right)),
            AstKind::ComputedMemberExpression(e) => of(&e.object),
            AstKind::StaticMemberExpression(e) => {
                let model = of(&e.object)?;
                let field = old
                    .models
                    .get(model)?
                    .fields
                    .get(e.property.name.as_str())?;
                old.models
                    .get_key_value(&field.kind)
                    .map(|(name, _)| name.as_str())
            }
            AstKind::CallExpression(call) => self.model_of_call(call, old, steps),
            AstKind::IdentifierReference(name) => {
                self.model_of_symbol(self.symbol(name)?, old, steps)
            }
            _ => None,
        }
    }

    fn model_of_call<'m>(
        &self,
        call: &'a CallExpression<'a>,
        old: &'m Schema,
        steps: u32,
    ) -> Option<&'m str> {
        let AstKind::StaticMemberExpression(callee) =
            self.bare(AstKind::from_expression(&call.callee))
        else {
            return None;
        };
        let method = callee.property.name.as_str();
        if QUERIES.contains(&method) {
            let AstKind::StaticMemberExpression(on) =
                self.bare(AstKind::from_expression(&callee.object))
            else {
                return None;
            };
            return delegate(on.property.name.as_str(), old);
        }
        let lists =
            OF_LISTS.contains(&method) && !matches!(method, "map" | "flatMap" | "some" | "every");
        if lists {
            return self.model(AstKind::from_expression(&callee.object), old, steps);
        }
        None
    }

    fn model_of_symbol<'m>(
        &self,
        symbol: SymbolId,
        old: &'m Schema,
        steps: u32,
    ) -> Option<&'m str> {
        let declared = self.semantic.symbol_declaration(symbol);
        match declared.kind() {
            AstKind::VariableDeclarator(d)
                if matches!(d.id, BindingPattern::BindingIdentifier(_)) =>
            {
                if let Some(annotated) = &d.type_annotation {
                    return model_of_type(&annotated.type_annotation, old);
                }
                match &d.init {
                    Some(init) => self.model(AstKind::from_expression(init), old, steps),
                    None => self.model_of_element(declared.id(), old, steps),
                }
            }
            AstKind::FormalParameter(p)
                if matches!(p.pattern, BindingPattern::BindingIdentifier(_)) =>
            {
                match &p.type_annotation {
                    Some(annotated) => model_of_type(&annotated.type_annotation, old),
                    None => self.model_of_argument(declared.id(), old, steps),
                }
            }
            _ => None,
        }
    }

    /// The model of what a pattern takes apart: `({ name }: User) => …`, `rows.map(({ name }) => …)`.
    pub(super) fn model_of_pattern<'m>(&self, pattern: NodeId, old: &'m Schema) -> Option<&'m str> {
        let id = self.nodes().parent_id(pattern);
        match self.nodes().kind(id) {
            AstKind::FormalParameter(p) => match &p.type_annotation {
                Some(annotated) => model_of_type(&annotated.type_annotation, old),
                None => self.model_of_argument(id, old, STEPS),
            },
            AstKind::VariableDeclarator(_) => self.model_of_element(id, old, STEPS),
            _ => None,
        }
    }

    /// `for (const x of rows)`.
    fn model_of_element<'m>(
        &self,
        declarator: NodeId,
        old: &'m Schema,
        steps: u32,
    ) -> Option<&'m str> {
        let nodes = self.nodes();
        match nodes.parent_kind(nodes.parent_id(declarator)) {
            AstKind::ForOfStatement(s) => {
                self.model(AstKind::from_expression(&s.right), old, steps)
            }
            _ => None,
        }
    }

    /// `rows.map(x => …)`.
    fn model_of_argument<'m>(
        &self,
        parameter: NodeId,
        old: &'m Schema,
        steps: u32,
    ) -> Option<&'m str> {
        let nodes = self.nodes();
        let list = nodes.parent_id(parameter);
        let AstKind::FormalParameters(parameters) = nodes.kind(list) else {
            return None;
        };
        if parameters.items.first()?.node_id.get() != parameter {
            return None;
        }
        let AstKind::CallExpression(call) = nodes.parent_kind(nodes.parent_id(list)) else {
            return None;
        };
        match self.bare(AstKind::from_expression(&call.callee)) {
            AstKind::StaticMemberExpression(m) if OF_LISTS.contains(&m.property.name.as_str()) => {
                self.model(AstKind::from_expression(&m.object), old, steps)
            }
            _ => None,
        }
    }

    /// Whether an expression is declared `any` or cast to it, or is a part of one that is.
    pub(super) fn is_any(&self, value: AstKind<'a>) -> bool {
        let mut at = value;
        loop {
            at = match at {
                AstKind::TSAsExpression(e) => {
                    return is_any(&e.type_annotation);
                }
                AstKind::TSTypeAssertion(e) => return is_any(&e.type_annotation),
                AstKind::TSNonNullExpression(e) => AstKind::from_expression(&e.expression),
                AstKind::ChainExpression(e) => self.nodes().kind(e.expression.node_id()),
                AstKind::StaticMemberExpression(e) => AstKind::from_expression(&e.object),
                AstKind::ComputedMemberExpression(e) => AstKind::from_expression(&e.object),
                AstKind::IdentifierReference(name) => {
                    return self
                        .symbol(name)
                        .is_some_and(|symbol| self.declared_any(symbol));
                }
                _ => return false,
            };
        }
    }

    fn declared_any(&self, symbol: SymbolId) -> bool {
        let annotated = match self.semantic.symbol_declaration(symbol).kind() {
            AstKind::VariableDeclarator(d)
                if matches!(d.id, BindingPattern::BindingIdentifier(_)) =>
            {
                if let Some(Expression::TSAsExpression(e)) = &d.init
                    && d.type_annotation.is_none()
                {
                    return holds_any(&e.type_annotation);
                }
                &d.type_annotation
            }
            AstKind::FormalParameter(p) => &p.type_annotation,
            _ => return false,
        };
        annotated
            .as_ref()
            .is_some_and(|a| holds_any(&a.type_annotation))
    }
}

/// `any`, a list of it, or a type with it as an argument, such as `Record<string, any>`.
fn holds_any(of: &TSType<'_>) -> bool {
    match of {
        TSType::TSAnyKeyword(_) => true,
        TSType::TSArrayType(list) => holds_any(&list.element_type),
        TSType::TSTypeReference(named) => named
            .type_arguments
            .as_ref()
            .is_some_and(|arguments| arguments.params.iter().any(holds_any)),
        _ => false,
    }
}

/// The name at the end of a type's name.
pub(super) fn type_name<'a>(name: &TSTypeName<'a>) -> Option<&'a str> {
    match name {
        TSTypeName::IdentifierReference(name) => Some(name.name.as_str()),
        TSTypeName::QualifiedName(name) => Some(name.right.name.as_str()),
        TSTypeName::ThisExpression(_) => None,
    }
}

fn model_of_type<'m>(of: &TSType<'_>, old: &'m Schema) -> Option<&'m str> {
    match of {
        TSType::TSArrayType(list) => model_of_type(&list.element_type, old),
        TSType::TSUnionType(any) => any.types.iter().find_map(|of| model_of_type(of, old)),
        TSType::TSIntersectionType(all) => all.types.iter().find_map(|of| model_of_type(of, old)),
        TSType::TSTypeReference(named) => {
            let name = type_name(&named.type_name)?;
            let model = name.strip_suffix("GetPayload").unwrap_or(name);
            if let Some((model, _)) = old.models.get_key_value(model) {
                return Some(model);
            }
            let wraps = [
                "Array",
                "Promise",
                "Readonly",
                "Partial",
                "Required",
                "ReadonlyArray",
                "NonNullable",
            ];
            let inner = named.type_arguments.as_ref()?.params.first()?;
            if wraps.contains(&name) {
                model_of_type(inner, old)
            } else {
                None
            }
        }
        _ => None,
    }
}

/// The model of `user` in `prisma.user.findMany()`.
pub(super) fn delegate<'m>(name: &str, old: &'m Schema) -> Option<&'m str> {
    old.models.keys().map(String::as_str).find(|model| {
        let mut letters = model.chars();
        let first = letters.next().map(|c| c.to_lowercase().to_string());
        first.is_some_and(|first| name.strip_prefix(first.as_str()) == Some(letters.as_str()))
    })
}
