//! What a GraphQL schema promises and the database no longer keeps.
//!
//! A column that may be null behind `field: String!` fails when the first row without it is answered, and takes the whole
//! object with it; no compiler sees that where the schema is written by hand. Types and enums are matched by their names,
//! which are those of the models in the generators that are in use. What does not parse is read as far as it goes.

use apollo_parser::cst::{CstNode, Definition, EnumValuesDefinition, FieldsDefinition, Type};
use apollo_parser::{Parser, SyntaxKind, SyntaxNode};

use super::Hit;
use super::schema::Changes;
use super::syntax;

/// The most of tokens in one file: more than a schema of two mebibytes has.
const TOKENS: usize = 1_000_000;

/// How deep selections and types may be.
const DEPTH: usize = 200;

/// Whether [`look`] reads a file of this name: schemas and operations, and TypeScript with templates of them.
pub fn reads(file: &str) -> bool {
    is_document(file) || syntax::reads(file)
}

fn is_document(file: &str) -> bool {
    let ending = file.rsplit_once('.').map(|(_, ending)| ending);
    matches!(ending, Some("graphql" | "gql" | "graphqls"))
}

/// The places of a file where a type promises a field that may be missing now (`non-null-in-graphql`), and where an
/// enum, a default or an operation has a value that is no more (`removed-value`). A document that does not parse is a hit
/// `not-read` beside what was found; a file of TypeScript that does not parse is left to [`syntax::look`].
pub fn look(file: &str, text: &str, changes: &Changes) -> Vec<Hit> {
    let mut hits = if is_document(file) {
        if text.len() > syntax::MOST {
            return vec![not_read(
                file,
                &format!("it is larger than {} bytes", syntax::MOST),
            )];
        }
        document(file, text, (1, 1), changes)
    } else if syntax::reads(file) && speaks_graphql(text) && concerned(text, changes) {
        let found = syntax::templates(file, text).unwrap_or_default();
        let each = found.iter();
        each.flat_map(|t| {
            let mut hits = document(file, &t.text, (t.line, t.column), changes);
            // A template that is put together from others need not parse by itself.
            hits.retain(|hit| hit.kind != "not-read");
            hits
        })
        .collect()
    } else {
        Vec::new()
    };
    hits.sort_by(|a, b| (a.line, a.column, a).cmp(&(b.line, b.column, b)));
    hits.dedup();
    hits
}

fn speaks_graphql(text: &str) -> bool {
    ["gql", "graphql", "GraphQL"]
        .iter()
        .any(|word| text.contains(word))
}

fn concerned(text: &str, changes: &Changes) -> bool {
    let fields = changes.nullable.iter().chain(&changes.removed);
    let values = changes.values_removed.iter();
    let mut words = fields.map(|f| &f.field).chain(values.map(|v| &v.value));
    words.any(|word| text.contains(word.as_str()))
}

/// A document, and where in its file it begins.
struct Document<'d> {
    file: &'d str,
    text: &'d str,
    begin: (u32, u32),
    changes: &'d Changes,
    hits: Vec<Hit>,
}

fn document(file: &str, text: &str, begin: (u32, u32), changes: &Changes) -> Vec<Hit> {
    if !concerned(text, changes) {
        return Vec::new();
    }
    let tree = Parser::new(text)
        .recursion_limit(DEPTH)
        .token_limit(TOKENS)
        .parse();
    let mut document = Document {
        file,
        text,
        begin,
        changes,
        hits: Vec::new(),
    };
    for definition in tree.document().definitions() {
        document.definition(&definition);
    }
    if let Some(first) = tree.errors().next() {
        document.hits.push(not_read(
            file,
            &format!("only what parses was looked at: {}", first.message()),
        ));
    }
    document.hits
}

impl Document<'_> {
    fn definition(&mut self, definition: &Definition) {
        let name = definition
            .name()
            .map(|name| name.text().to_string())
            .unwrap_or_default();
        match definition {
            Definition::ObjectTypeDefinition(d) => {
                self.fields(&name, d.fields_definition().as_ref());
            }
            Definition::ObjectTypeExtension(d) => {
                self.fields(&name, d.fields_definition().as_ref());
            }
            Definition::InterfaceTypeDefinition(d) => {
                self.fields(&name, d.fields_definition().as_ref());
            }
            Definition::InterfaceTypeExtension(d) => {
                self.fields(&name, d.fields_definition().as_ref());
            }
            Definition::EnumTypeDefinition(d) => {
                self.labels(&name, d.enum_values_definition().as_ref());
            }
            Definition::EnumTypeExtension(d) => {
                self.labels(&name, d.enum_values_definition().as_ref());
            }
            _ => {}
        }
        self.used_values(definition.syntax());
    }

    fn fields(&mut self, of: &str, fields: Option<&FieldsDefinition>) {
        for field in fields
            .into_iter()
            .flat_map(FieldsDefinition::field_definitions)
        {
            let (Some(name), Some(ty)) = (field.name(), field.ty()) else {
                continue;
            };
            let name = name.text();
            let changes = self.changes;
            let of_model =
                |f: &&super::schema::FieldName| f.model == of && f.field == name.as_str();
            let missing = changes
                .nullable
                .iter()
                .chain(&changes.removed)
                .find(of_model);
            let Some(missing) = missing.filter(|_| matches!(ty, Type::NonNullType(_))) else {
                continue;
            };
            let about = format!("{}.{}", missing.model, missing.field);
            let message = format!(
                "{of}.{} is promised with `!`, and {about} may be missing now: an answer that has none fails as a whole",
                missing.field
            );
            self.hit(field.syntax(), "non-null-in-graphql", about, message);
        }
    }

    fn labels(&mut self, of: &str, labels: Option<&EnumValuesDefinition>) {
        for label in labels
            .into_iter()
            .flat_map(EnumValuesDefinition::enum_value_definitions)
        {
            let value = label.enum_value().and_then(|v| v.name());
            let value = value
                .map(|name| name.text().to_string())
                .unwrap_or_default();
            let gone = self
                .changes
                .values_removed
                .iter()
                .find(|v| v.of == of && v.value == value);
            if gone.is_some() {
                let message = format!(
                    "enum {of} offers {value}, which is no more: an operation that sends it fails"
                );
                self.hit(
                    label.syntax(),
                    "removed-value",
                    format!("{of}.{value}"),
                    message,
                );
            }
        }
    }

    /// Values in the arguments and defaults of operations: which enum they are of the document does not say, so all count
    /// that have the label, each once.
    fn used_values(&mut self, of: &SyntaxNode) {
        let values = of
            .descendants()
            .filter(|node| node.kind() == SyntaxKind::ENUM_VALUE);
        let inside = |node: &SyntaxNode| {
            node.parent()
                .is_some_and(|p| p.kind() == SyntaxKind::ENUM_VALUE_DEFINITION)
        };
        for node in values.filter(|node| !inside(node)) {
            let value = node.text().to_string();
            let value = value.trim();
            let typed = node.ancestors().find_map(|parent| declared_type(&parent));
            for gone in self
                .changes
                .values_removed
                .iter()
                .filter(|v| v.value == value)
            {
                if typed.as_ref().is_some_and(|typed| *typed != gone.of) {
                    continue;
                }
                let about = format!("{}.{}", gone.of, gone.value);
                let message = format!("this sends {value}, and {about} is no more");
                self.hit(&node, "removed-value", about, message);
            }
        }
    }

    fn hit(&mut self, node: &SyntaxNode, kind: &str, about: String, message: String) {
        let (line, column) = self.place(usize::from(node.text_range().start()));
        self.hits.push(Hit {
            file: self.file.to_owned(),
            line,
            column,
            kind: kind.to_owned(),
            about,
            message,
        });
    }

    fn place(&self, at: usize) -> (u32, u32) {
        let before = self.text.get(..at).unwrap_or_default();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let lines = number(before.matches('\n').count());
        let column = number(
            before
                .rsplit('\n')
                .next()
                .unwrap_or_default()
                .chars()
                .count(),
        );
        match lines {
            0 => (self.begin.0, self.begin.1 + column),
            _ => (self.begin.0 + lines, 1 + column),
        }
    }
}

/// The type of a variable or an argument, without `!` and `[]`.
fn declared_type(node: &SyntaxNode) -> Option<String> {
    let declares = matches!(
        node.kind(),
        SyntaxKind::VARIABLE_DEFINITION | SyntaxKind::INPUT_VALUE_DEFINITION
    );
    let mut names = node
        .descendants()
        .filter(|n| n.kind() == SyntaxKind::NAMED_TYPE);
    declares
        .then(|| names.next())?
        .map(|n| n.text().to_string().trim().to_owned())
}

fn not_read(file: &str, why: &str) -> Hit {
    Hit {
        file: file.to_owned(),
        line: 1,
        column: 1,
        kind: "not-read".into(),
        about: String::new(),
        message: format!("the file was not looked at: {why}"),
    }
}

#[cfg(test)]
mod tests;
