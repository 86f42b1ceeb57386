//! What may not be written: paths, macros, attributes, names of types, and doc comments that say nothing.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::Item;

use crate::Breach;
use crate::source::Source;

/// Paths that tell the time, or wait for it, by their last parts.
pub const CLOCKS: [&[&str]; 7] = [
    &["SystemClock"],
    &["clock", "system"],
    &["Instant", "now"],
    &["SystemTime", "now"],
    &["Timestamp", "now"],
    &["Zoned", "now"],
    &["Utc", "now"],
];

/// Paths and macros that write to the terminal.
pub const TERMINALS: [&[&str]; 7] = [
    &["println", "!"],
    &["print", "!"],
    &["eprintln", "!"],
    &["eprint", "!"],
    &["dbg", "!"],
    &["io", "stdout"],
    &["io", "stderr"],
];

/// Participles that do not end in `ed`, and words of the same kind that name nothing.
const PARTICIPLES: [&str; 27] = [
    "Begun", "Bound", "Built", "Drawn", "Driven", "Found", "Frozen", "Given", "Gone", "Held",
    "Kept", "Known", "Left", "Lost", "Made", "Put", "Said", "Says", "Seen", "Sent", "Shown",
    "Taken", "Thrown", "Told", "Was", "Woken", "Written",
];

/// Words that end in `ed` and are nouns or names all the same.
const NOUNS: [&str; 5] = ["Bed", "Feed", "Need", "Seed", "Sled"];

/// Each place outside tests that writes one of `forbidden`, such as `Instant::now` in `std::time::Instant::now()`.
///
/// A path counts by its last parts, a macro as its name and `!`, a single name wherever it stands.
pub fn forbidden(source: &Source, forbidden: &[&[&str]]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for item in &source.items {
        let mut words = Vec::new();
        flatten(item.to_token_stream(), &mut words);
        for (at, (_, line)) in words.iter().enumerate() {
            let hit = forbidden.iter().find(|path| {
                path.iter()
                    .enumerate()
                    .all(|(nth, part)| words.get(at + nth).is_some_and(|(word, _)| word == part))
            });
            if let Some(path) = hit {
                breaches.push(Breach {
                    file: source.file.clone(),
                    line: *line,
                    what: format!(
                        "`{}` is not for this place",
                        path.join("::").replace("::!", "!")
                    ),
                });
            }
        }
    }
    breaches
}

/// All names and `!`, each with its line; `::` between names is left out, so a path is its names in a row.
///
/// Any other sign stands as a word of its own, so that names on either side of it are no path.
fn flatten(tokens: TokenStream, words: &mut Vec<(String, usize)>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                words.push((ident.to_string(), ident.span().start().line));
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => {}
            TokenTree::Punct(punct) => {
                words.push((punct.as_char().to_string(), punct.span().start().line));
            }
            TokenTree::Literal(literal) => {
                words.push((String::new(), literal.span().start().line));
            }
            TokenTree::Group(group) => {
                words.push(("(".to_owned(), group.span_open().start().line));
                flatten(group.stream(), words);
                words.push((")".to_owned(), group.span_close().start().line));
            }
        }
    }
}

/// Each `#[allow(..)]`, tests included: an `#[expect(.., reason)]` says why, and is missed when nothing needs it any more.
pub fn allowances(source: &Source) -> Vec<Breach> {
    let mut lines = Vec::new();
    if let Ok(tokens) = source.text.parse::<TokenStream>() {
        find_allow(tokens, false, &mut lines);
    }
    lines
        .into_iter()
        .map(|line| Breach {
            file: source.file.clone(),
            line,
            what: "`#[allow]`: write `#[expect(.., reason = \"..\")]`".to_owned(),
        })
        .collect()
}

fn find_allow(tokens: TokenStream, attribute: bool, lines: &mut Vec<usize>) {
    let mut after_hash = false;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if attribute && ident == "allow" => {
                lines.push(ident.span().start().line);
            }
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                after_hash = true;
                continue;
            }
            // The `!` of `#![..]`.
            TokenTree::Punct(punct) if punct.as_char() == '!' && after_hash => continue,
            TokenTree::Group(group) => {
                let opens = after_hash && group.delimiter() == Delimiter::Bracket;
                find_allow(group.stream(), attribute || opens, lines);
            }
            _ => {}
        }
        after_hash = false;
    }
}

/// Each type or trait whose whole name is a participle, such as `Kept` or `Looked`: a name says the thing.
pub fn participles(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    types(&source.items, &mut |name, line| {
        let one_word = name.chars().skip(1).all(char::is_lowercase);
        let is_participle = PARTICIPLES.contains(&name)
            || (name.len() > 3 && name.ends_with("ed") && !NOUNS.contains(&name));
        if one_word && is_participle {
            breaches.push(Breach {
                file: source.file.clone(),
                line,
                what: format!("`{name}` is a bare participle: name the thing"),
            });
        }
    });
    breaches
}

fn types(items: &[Item], each: &mut impl FnMut(&str, usize)) {
    for item in items {
        let ident = match item {
            Item::Enum(i) => &i.ident,
            Item::Struct(i) => &i.ident,
            Item::Trait(i) => &i.ident,
            Item::Type(i) => &i.ident,
            Item::Union(i) => &i.ident,
            Item::Mod(module) => {
                if let Some((_, items)) = &module.content {
                    types(items, each);
                }
                continue;
            }
            _ => continue,
        };
        each(&ident.to_string(), ident.span().start().line);
    }
}

/// Each doc comment of one or two words: it names what the code names already.
pub fn stubs(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut comment: Option<(usize, String)> = None;
    for (at, line) in source.text.lines().chain([""]).enumerate() {
        let line = line.trim_start();
        let doc = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"));
        match (doc, &mut comment) {
            (Some(doc), Some((_, text))) => {
                text.push(' ');
                text.push_str(doc);
            }
            (Some(doc), None) => comment = Some((at + 1, doc.to_owned())),
            (None, _) => {
                if let Some((line, text)) = comment.take() {
                    let words = text.split_whitespace().count();
                    if words <= 2 {
                        breaches.push(Breach {
                            file: source.file.clone(),
                            line,
                            what: format!("a doc comment of {words} words: `{}`", text.trim()),
                        });
                    }
                }
            }
        }
    }
    breaches
}
