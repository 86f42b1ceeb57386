//! Lines of files and functions.

use syn::{Block, ImplItem, Item, TraitItem};

use crate::Breach;
use crate::source::Source;

/// The most lines of a file.
pub const FILE: usize = 400;
/// The most lines of a function's body: blank lines and those with nothing but a comment do not count.
pub const FUNCTION: usize = 60;

/// The file, if it is too long.
pub fn file(source: &Source) -> Option<Breach> {
    let lines = source.text.lines().count();
    (lines > FILE).then(|| Breach {
        file: source.file.clone(),
        line: 0,
        what: format!("{lines} lines; the most is {FILE}"),
    })
}

/// Each function that is too long.
pub fn functions(source: &Source) -> Vec<Breach> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut breaches = Vec::new();
    bodies(&source.items, &mut |name, body| {
        let span = body.brace_token.span;
        let (first, last) = (span.open().start().line, span.close().end().line);
        // Between the braces.
        let inside = lines.get(first..last.saturating_sub(1)).unwrap_or_default();
        let counted = inside
            .iter()
            .map(|line| line.trim())
            .filter(|line| !line.is_empty() && !line.starts_with("//"))
            .count();
        if counted > FUNCTION {
            breaches.push(Breach {
                file: source.file.clone(),
                line: first,
                what: format!("`{name}` has {counted} lines; the most is {FUNCTION}"),
            });
        }
    });
    breaches
}

fn bodies(items: &[Item], each: &mut impl FnMut(&str, &Block)) {
    for item in items {
        match item {
            Item::Fn(function) => each(&function.sig.ident.to_string(), &function.block),
            Item::Impl(block) => {
                for item in &block.items {
                    if let ImplItem::Fn(function) = item {
                        each(&function.sig.ident.to_string(), &function.block);
                    }
                }
            }
            Item::Trait(block) => {
                for item in &block.items {
                    if let TraitItem::Fn(function) = item
                        && let Some(body) = &function.default
                    {
                        each(&function.sig.ident.to_string(), body);
                    }
                }
            }
            Item::Mod(module) => {
                if let Some((_, items)) = &module.content {
                    bodies(items, each);
                }
            }
            _ => {}
        }
    }
}
