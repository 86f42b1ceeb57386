//! Comments that tell the compiler to be silent.

use super::view::{View, called, has_word};
use crate::code::Hit;
use crate::code::schema::{Changes, FieldName};

impl View<'_, '_> {
    /// `@ts-ignore` and `@ts-expect-error` above a line that names a changed field, `@ts-nocheck` in a file that does.
    pub(super) fn suppressed(&self, changes: &Changes) -> Vec<Hit> {
        let mut hits = Vec::new();
        for comment in self.semantic.comments() {
            let text = &self.text[comment.span.start as usize..comment.span.end as usize];
            let directive = text.trim_start_matches(['/', '*', ' ', '\t', '\r', '\n']);
            let directive = ["@ts-ignore", "@ts-expect-error", "@ts-nocheck"]
                .into_iter()
                .find(|word| directive.starts_with(word) || text.contains(&format!("* {word}")));
            let Some(directive) = directive else {
                continue;
            };
            let silenced = if directive == "@ts-nocheck" {
                Some(self.text)
            } else {
                self.line_after(comment.span.end)
            };
            let Some(silenced) = silenced else {
                continue;
            };
            for field in fields(changes).filter(|f| has_word(silenced, &f.field)) {
                if directive == "@ts-nocheck" && !self.speaks_of(&field.model) {
                    continue;
                }
                let name = called(field);
                let message = format!(
                    "`{directive}` keeps the compiler from seeing that {name} changed: take it away"
                );
                hits.push(self.hit(comment.span.start, "ts-ignore", &name, message));
            }
        }
        hits
    }

    /// The next line that is neither empty nor a comment.
    fn line_after(&self, at: u32) -> Option<&str> {
        let (mut number, _) = self.place(at as usize);
        // `{/* @ts-ignore */}` and the like end with the line; what follows in the same line is not silenced.
        loop {
            number += 1;
            let line = self.line(number)?;
            let code = line.trim();
            if !code.is_empty() && !code.starts_with("//") && !code.starts_with('*') {
                return Some(line);
            }
        }
    }
}

/// All fields that changed.
pub(super) fn fields(changes: &Changes) -> impl Iterator<Item = &FieldName> {
    changes.nullable.iter().chain(&changes.removed)
}
