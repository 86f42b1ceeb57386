//! SQL in strings and templates.

use oxc_ast::AstKind;
use oxc_ast::ast::TemplateLiteral;
use oxc_semantic::NodeId;

use super::comments::fields;
use super::path::last_name;
use super::view::{View, called, has_word};
use crate::code::Hit;
use crate::code::schema::{Changes, Schema};

/// Functions and tags whose text is SQL.
const TAGS: [&str; 10] = [
    "$queryRaw",
    "$executeRaw",
    "$queryRawUnsafe",
    "$executeRawUnsafe",
    "queryRaw",
    "executeRaw",
    "sql",
    "raw",
    "query",
    "execute",
];

impl View<'_, '_> {
    /// Texts of SQL that name a changed column, or compare with a label that is no more.
    pub(super) fn raw_sql(&self, old: &Schema, changes: &Changes) -> Vec<Hit> {
        let mut hits = Vec::new();
        for node in self.nodes().iter() {
            let text = match node.kind() {
                AstKind::StringLiteral(text) => text.value.to_string(),
                AstKind::TemplateLiteral(text) => joined(text),
                _ => continue,
            };
            let tagged = self.is_tagged(node.id());
            if !tagged && !is_sql(&text) {
                continue;
            }
            let at = node.kind();
            let at = oxc_span::GetSpan::span(&at).start;
            for field in fields(changes) {
                let table = has_word(&text, &field.table);
                let whole = text.contains('*') && !has_word(&text, &field.column);
                let column = has_word(&text, &field.column);
                // A piece of SQL in a tag need not name its table.
                let apart = tagged && !names_a_table(&text);
                if (column && (table || apart)) || (table && whole) {
                    let name = called(field);
                    let message = format!(
                        "SQL in a string reads or writes {}.{}, which no compiler checks: see that it bears the change of {name}",
                        field.table, field.column
                    );
                    hits.push(self.hit(at, "raw-sql", &name, message));
                }
            }
            for gone in &changes.values_removed {
                let quoted = text.contains(&format!("'{}'", gone.label));
                if quoted && speaks_of_enum(&text, &gone.of, old) {
                    let name = format!("{}.{}", gone.of, gone.value);
                    let message = format!(
                        "SQL in a string has the label '{}', and {name} is no more",
                        gone.label
                    );
                    hits.push(self.hit(at, "removed-value", &name, message));
                }
            }
        }
        hits
    }

    /// `prisma.$queryRaw`…``, `sql`…``, `prisma.$queryRawUnsafe("…")`.
    fn is_tagged(&self, text: NodeId) -> bool {
        let called = match self.nodes().parent_kind(text) {
            AstKind::TaggedTemplateExpression(t) => &t.tag,
            AstKind::CallExpression(c) => &c.callee,
            _ => return false,
        };
        let name = last_name(self, AstKind::from_expression(called));
        name.is_some_and(|name| TAGS.contains(&name))
    }
}

/// The text without what is put into it.
pub(super) fn joined(text: &TemplateLiteral<'_>) -> String {
    let parts = text.quasis.iter();
    let parts: Vec<&str> = parts
        .map(|part| {
            part.value
                .cooked
                .as_ref()
                .unwrap_or(&part.value.raw)
                .as_str()
        })
        .collect();
    parts.join(" ? ")
}

/// It has a verb of SQL and what comes after it.
fn is_sql(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let both = |one: &str, other: &str| has_word(&lower, one) && has_word(&lower, other);
    both("select", "from")
        || both("insert", "into")
        || both("update", "set")
        || both("delete", "from")
}

fn names_a_table(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["from", "into", "update", "join"]
        .iter()
        .any(|word| has_word(&lower, word))
}

/// It names the type, or a column that has it.
fn speaks_of_enum(text: &str, of: &str, old: &Schema) -> bool {
    let renamed = old.enums.get(of).and_then(|e| e.name.as_deref());
    if has_word(text, renamed.unwrap_or(of)) {
        return true;
    }
    old.models.iter().any(|(name, model)| {
        let table = model.table.as_deref().unwrap_or(name);
        let mut columns = model.fields.iter().filter(|(_, field)| field.kind == of);
        has_word(text, table)
            && columns.any(|(name, field)| has_word(text, field.column.as_deref().unwrap_or(name)))
    })
}
