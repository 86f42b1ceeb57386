//! Small readings of the parser's tree.

use squawk_syntax::ast::{self, AstNode, normalize_name_node};
use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use crate::migration::op::{Name, SqlType};

/// `PostgreSQL` cuts longer identifiers (`NAMEDATALEN` is 64).
const MAX_IDENTIFIER: usize = 63;

pub(super) fn kid(node: &SyntaxNode, kind: K) -> Option<SyntaxNode> {
    node.children().find(|child| child.kind() == kind)
}

pub(super) fn kids(node: &SyntaxNode, kind: K) -> impl Iterator<Item = SyntaxNode> {
    node.children().filter(move |child| child.kind() == kind)
}

/// Whether the node itself (not its children) holds this keyword.
pub(super) fn has(node: &SyntaxNode, kind: K) -> bool {
    node.children_with_tokens()
        .any(|each| each.as_token().is_some_and(|token| token.kind() == kind))
}

/// Whether a drop takes along what depends on it.
pub(super) fn cascades(node: &SyntaxNode) -> bool {
    has(node, K::CASCADE_KW) || kid(node, K::CASCADE).is_some()
}

/// The identifier a name node stands for: folded, unescaped and cut as `PostgreSQL` does.
pub(super) fn ident(node: &SyntaxNode) -> String {
    let mut name = normalize_name_node(node);
    while name.len() > MAX_IDENTIFIER {
        name.pop();
    }
    name
}

pub(super) fn is_name(node: &SyntaxNode) -> bool {
    matches!(
        node.kind(),
        K::TRIGGER_REF
            | K::POLICY_REF
            | K::RULE_REF
            | K::EXTENSION_REF
            | K::ROLE_REF
            | K::PUBLICATION_REF
            | K::SUBSCRIPTION_REF
    )
}

/// The first (possibly qualified) name at or below the node.
pub(super) fn name_of(node: &SyntaxNode) -> Option<Name> {
    let path = node
        .descendants()
        .find(|each| matches!(each.kind(), K::PATH | K::PATH_REF))?;
    let mut parts: Vec<String> = path
        .descendants()
        .filter(|each| matches!(each.kind(), K::PATH_SEGMENT | K::PATH_SEGMENT_REF))
        .map(|each| ident(&each))
        .collect();
    let name = parts.pop().filter(|name| !name.is_empty())?;
    Some(Name::new(parts.pop(), name))
}

/// The column named by a direct child.
pub(super) fn column_of(node: &SyntaxNode) -> Option<String> {
    let child = node
        .children()
        .find(|each| matches!(each.kind(), K::COLUMN_NAME | K::COLUMN_NAME_REF))?;
    Some(ident(&child)).filter(|name| !name.is_empty())
}

/// Every column named below the node, in order.
pub(super) fn columns_in(node: &SyntaxNode) -> Vec<String> {
    node.descendants()
        .filter(|each| matches!(each.kind(), K::COLUMN_NAME | K::COLUMN_NAME_REF))
        .map(|each| ident(&each))
        .collect()
}

/// Names an expression reads: `a`, `t.a` (both parts; what is no column is not found later).
pub(super) fn reads(node: &SyntaxNode) -> Vec<String> {
    node.descendants()
        .filter(|each| each.kind() == K::NAME_REF)
        .map(|each| ident(&each))
        .collect()
}

/// The value of a string literal below the node.
pub(super) fn string(node: &SyntaxNode) -> Option<String> {
    node.descendants()
        .find_map(ast::Literal::cast)?
        .string_value()
}

/// Text without comments, every token apart by one space.
pub(super) fn sole_text(node: &SyntaxNode) -> String {
    let mut text = String::new();
    for token in node
        .descendants_with_tokens()
        .filter_map(squawk_syntax::SyntaxElement::into_token)
    {
        if matches!(token.kind(), K::WHITESPACE | K::COMMENT) {
            continue;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(token.text());
    }
    text
}

/// The type written directly below the node.
pub(super) fn type_of(node: &SyntaxNode) -> Option<(SqlType, bool)> {
    let child = node.children().find(|each| is_type(each.kind()))?;
    Some(read_type(&child))
}

fn is_type(kind: K) -> bool {
    matches!(
        kind,
        K::ARRAY_TYPE
            | K::BIT_TYPE
            | K::BIT_VARYING_TYPE
            | K::CHARACTER_TYPE
            | K::DOUBLE_TYPE
            | K::INTERVAL_TYPE
            | K::PATH_TYPE
            | K::TIME_TYPE
            | K::TIMESTAMP_TYPE
            | K::VARCHAR_TYPE
    )
}

/// The type, and whether it brings a default (`serial`).
fn read_type(node: &SyntaxNode) -> (SqlType, bool) {
    if node.kind() == K::ARRAY_TYPE
        && let Some((mut inner, serial)) = type_of(node)
    {
        inner.array = true;
        return (inner, serial);
    }
    let text = sole_text(node).to_ascii_lowercase();
    let args = text
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(inside, _)| {
            inside
                .split(',')
                .filter_map(|arg| arg.trim().parse().ok())
                .collect()
        })
        .unwrap_or_default();
    let zoned = text.ends_with("with time zone");
    let base = match node.kind() {
        K::VARCHAR_TYPE => builtin("varchar"),
        K::CHARACTER_TYPE if text.contains("varying") => builtin("varchar"),
        K::CHARACTER_TYPE => builtin("char"),
        K::DOUBLE_TYPE => builtin("double precision"),
        K::INTERVAL_TYPE => builtin("interval"),
        K::TIMESTAMP_TYPE => builtin(if zoned { "timestamptz" } else { "timestamp" }),
        K::TIME_TYPE => builtin(if zoned { "timetz" } else { "time" }),
        K::PATH_TYPE => name_of(node).unwrap_or_else(|| builtin(&text)),
        _ => builtin(&text),
    };
    let (base, serial) = canonical(base);
    (
        SqlType {
            base,
            args,
            array: false,
        },
        serial,
    )
}

fn builtin(name: &str) -> Name {
    Name::new(None, name.to_owned())
}

fn canonical(name: Name) -> (Name, bool) {
    let plain = name
        .schema
        .as_deref()
        .is_none_or(|schema| schema == "pg_catalog");
    let known = match name.name.as_str() {
        "int" | "int4" => "integer",
        "int8" => "bigint",
        "int2" => "smallint",
        "bool" => "boolean",
        "decimal" => "numeric",
        "float8" | "float" => "double precision",
        "float4" => "real",
        "character" | "bpchar" => "char",
        "serial" | "serial4" => return (builtin("integer"), true),
        "bigserial" | "serial8" => return (builtin("bigint"), true),
        "smallserial" | "serial2" => return (builtin("smallint"), true),
        _ if name.schema.as_deref() == Some("pg_catalog") => return (builtin(&name.name), false),
        _ => return (name, false),
    };
    if plain {
        (builtin(known), false)
    } else {
        (name, false)
    }
}
