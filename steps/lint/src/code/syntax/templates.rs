//! GraphQL inside of TypeScript.

use oxc_ast::AstKind;
use oxc_ast::ast::{Expression, TemplateLiteral};

use super::path::last_name;
use super::sql::joined;
use super::view::View;

/// A text of GraphQL in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Where it begins, from 1.
    pub line: u32,
    /// Where it begins, from 1, in characters.
    pub column: u32,
    /// The text; what is put into it is a blank.
    pub text: String,
}

/// The texts of GraphQL in a file: templates with the tag `gql` or `graphql`, calls of these, and templates after
/// `/* GraphQL */`.
///
/// # Errors
/// Why the file could not be read.
pub fn templates(file: &str, text: &str) -> Result<Vec<Template>, String> {
    super::with_syntax(file, text, (), |view, ()| view.templates())
}

impl<'a> View<'a, '_> {
    fn templates(&self) -> Vec<Template> {
        let nodes = self.nodes();
        let graphql = |e: &'a Expression<'a>| {
            let name = last_name(self, AstKind::from_expression(e));
            name.is_some_and(|name| ["gql", "graphql"].contains(&name))
        };
        nodes
            .iter()
            .filter_map(|node| match node.kind() {
                AstKind::TemplateLiteral(text) => {
                    let of = match nodes.parent_kind(node.id()) {
                        AstKind::TaggedTemplateExpression(t) => graphql(&t.tag),
                        AstKind::CallExpression(c) => graphql(&c.callee),
                        _ => false,
                    };
                    (of || self.is_marked(text)).then(|| self.template(text))
                }
                _ => None,
            })
            .collect()
    }

    fn is_marked(&self, text: &TemplateLiteral<'a>) -> bool {
        let before = self
            .text
            .get(..text.span.start as usize)
            .unwrap_or_default();
        before
            .trim_end()
            .to_ascii_lowercase()
            .ends_with("/* graphql */")
    }

    fn template(&self, text: &TemplateLiteral<'a>) -> Template {
        let (line, column) = self.place(text.span.start as usize + 1);
        Template {
            line,
            column,
            text: blanked(text),
        }
    }
}

/// Lines stay what they are, as far as nothing of several lines is put in.
fn blanked(text: &TemplateLiteral<'_>) -> String {
    joined(text).replace(" ? ", " ")
}
