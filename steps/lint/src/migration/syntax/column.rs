//! Column definitions and constraints.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::tree::{column_of, columns_in, ident, kid, kids, name_of, reads, sole_text, type_of};
use crate::migration::op::{Actions, ColumnDef, Constraint, Key, Rule, SEQUENCE, Value};

/// Functions in a default that give every row the same value: the table is not rewritten for them.
const STABLE: &[&str] = &[
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "timezone",
    "to_jsonb",
    "to_json",
    "jsonb_build_object",
    "jsonb_build_array",
    "json_build_object",
    "array_fill",
    "current_setting",
    "lower",
    "upper",
    "concat",
    "coalesce",
    "make_interval",
    "date_trunc",
    "to_timestamp",
];

/// Whether a default calls something that may give every row another value.
fn is_volatile(default: &SyntaxNode) -> bool {
    default
        .descendants()
        .filter(|each| each.kind() == K::CALL_EXPR)
        .any(|call| {
            let callee = call
                .children()
                .find(|each| matches!(each.kind(), K::NAME_REF | K::FIELD_EXPR));
            let name = callee.and_then(|each| reads(&each).pop());
            name.is_some_and(|name| !STABLE.contains(&name.as_str()))
        })
}

pub(super) fn column(node: &SyntaxNode) -> Option<ColumnDef> {
    let name = column_of(node)?;
    let (ty, serial) = type_of(node).map_or((None, false), |(ty, serial)| (Some(ty), serial));
    let mut column = ColumnDef {
        name: name.clone(),
        ty,
        not_null: serial,
        default: serial,
        value: serial.then_some(Value::Sequence),
        constraints: Vec::new(),
        rewrites: serial.then_some(SEQUENCE),
    };
    for each in node.children() {
        match each.kind() {
            K::NOT_NULL_CONSTRAINT => column.not_null = true,
            K::DEFAULT_CONSTRAINT => {
                let text = sole_text(&each).to_ascii_lowercase();
                column.default |= text != "default null" && !text.starts_with("default null ::");
                column.value = default_of(&each).filter(|_| column.default);
                if is_volatile(&each) {
                    column.rewrites = Some("its default is computed for every row");
                }
            }
            K::GENERATED_CONSTRAINT => {
                column.default = true;
                let identity = each
                    .descendants()
                    .any(|inner| inner.kind() == K::GENERATED_IDENTITY);
                column.not_null |= identity;
                column.value = Some(if identity {
                    Value::Sequence
                } else {
                    Value::Computed
                });
                let own = sole_text(&each).to_ascii_lowercase();
                if column.not_null {
                    column.rewrites = Some(SEQUENCE);
                } else if !own.ends_with("virtual") {
                    column.rewrites = Some("it is computed and stored for every row");
                }
            }
            _ => column
                .constraints
                .extend(constraint(&each).map(|found| on_column(found, &name))),
        }
    }
    column.not_null |= column
        .constraints
        .iter()
        .any(|each| matches!(&each.rule, Rule::Unique(key) if key.primary));
    Some(column)
}

/// A constraint written behind a column says nothing of its columns: it means that one.
fn on_column(mut constraint: Constraint, column: &str) -> Constraint {
    let own = || vec![column.to_owned()];
    match &mut constraint.rule {
        Rule::Unique(key) if key.columns.is_empty() => {
            let primary = key.primary;
            let nulls_not_distinct = key.nulls_not_distinct;
            *key = Key {
                nulls_not_distinct,
                ..Key::plain(own(), primary)
            };
        }
        Rule::Foreign(columns, ..) if columns.is_empty() => *columns = own(),
        _ => {}
    }
    constraint
}

pub(super) fn constraint(node: &SyntaxNode) -> Option<Constraint> {
    let primary = node.kind() == K::PRIMARY_KEY_CONSTRAINT;
    let rule = match node.kind() {
        K::UNIQUE_CONSTRAINT | K::PRIMARY_KEY_CONSTRAINT => unique(node, primary),
        K::FOREIGN_KEY_CONSTRAINT | K::REFERENCES_CONSTRAINT => {
            let mut lists = kids(node, K::FOREIGN_KEY_COLUMN_LIST).map(|each| columns_in(&each));
            let own = if node.kind() == K::FOREIGN_KEY_CONSTRAINT {
                lists.next()
            } else {
                None
            };
            let target = kid(node, K::TABLE_NAME_REF).and_then(|each| name_of(&each))?;
            let theirs = lists
                .next()
                .or_else(|| column_of(node).map(|column| vec![column]));
            Rule::Foreign(
                own.unwrap_or_default(),
                target,
                theirs.unwrap_or_default(),
                actions(node),
            )
        }
        K::CHECK_CONSTRAINT => Rule::Check(reads(node), checked_not_null(node)),
        K::NOT_NULL_CONSTRAINT => Rule::NotNull(column_of(node)?),
        K::EXCLUDE_CONSTRAINT => Rule::Exclude,
        _ => return None,
    };
    Some(Constraint {
        name: kid(node, K::CONSTRAINT_NAME_CLAUSE)
            .and_then(|each| kid(&each, K::CONSTRAINT_NAME))
            .map(|each| ident(&each)),
        rule,
        not_valid: kid(node, K::NOT_VALID).is_some(),
        condition: (node.kind() == K::CHECK_CONSTRAINT)
            .then(|| {
                node.children()
                    .find(|each| each.kind() != K::CONSTRAINT_NAME_CLAUSE)
                    .map(|each| each.text().to_string())
            })
            .flatten(),
    })
}

/// The expression of `DEFAULT …` or `SET DEFAULT …`.
pub(super) fn default_of(node: &SyntaxNode) -> Option<Value> {
    let expression = node
        .children()
        .find(|each| each.kind() != K::CONSTRAINT_NAME_CLAUSE)?;
    Some(Value::Text(expression.text().to_string()))
}

fn actions(node: &SyntaxNode) -> Actions {
    let of = |kind: K, words: &str| {
        let found = node.descendants().find(|each| each.kind() == kind);
        let text = found.map(|each| sole_text(&each).to_ascii_uppercase());
        let action = text.and_then(|text| Some(text.strip_prefix(words)?.trim().to_owned()));
        action.unwrap_or_else(|| "NO ACTION".to_owned())
    };
    Actions {
        delete: of(K::ON_DELETE_ACTION, "ON DELETE"),
        update: of(K::ON_UPDATE_ACTION, "ON UPDATE"),
    }
}

fn unique(node: &SyntaxNode, primary: bool) -> Rule {
    let index = kid(node, K::USING_INDEX_NAME).and_then(|each| name_of(&each));
    if let Some(index) = index {
        return Rule::UsingIndex(index.name, primary);
    }
    let columns = node
        .descendants()
        .find(|each| each.kind() == K::CONSTRAINT_COLUMN_REF_LIST)
        .map(|each| columns_in(&each));
    let nulls_not_distinct = node
        .descendants()
        .any(|each| each.kind() == K::NULLS_NOT_DISTINCT);
    let key = Key::plain(columns.unwrap_or_default(), primary);
    Rule::Unique(Key {
        nulls_not_distinct,
        ..key
    })
}

/// The column of a check that is exactly `column IS NOT NULL`.
fn checked_not_null(node: &SyntaxNode) -> Option<String> {
    let mut expression = node
        .children()
        .find(|each| matches!(each.kind(), K::BIN_EXPR | K::PAREN_EXPR))?;
    while expression.kind() == K::PAREN_EXPR {
        expression = expression.children().next()?;
    }
    kid(&expression, K::IS_NOT)?;
    let column = kid(&expression, K::NAME_REF)?;
    let null = kid(&expression, K::LITERAL)?;
    sole_text(&null)
        .eq_ignore_ascii_case("null")
        .then(|| ident(&column))
}
