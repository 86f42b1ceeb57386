//! Tables and enums that a `prisma.config` leaves to others (`tables: { external: [...] }`): Prisma's migrations neither make
//! nor change them, so they are no difference.
//!
//! The file is a program. It is read, not run: only names that are written out as strings in those two lists count.

use std::collections::BTreeSet;

use crate::shape::{Name, Shape};

/// Where Prisma looks for it, in the project's folder.
pub(super) const FILES: [&str; 12] = [
    "prisma.config.ts",
    "prisma.config.mts",
    "prisma.config.cts",
    "prisma.config.js",
    "prisma.config.mjs",
    "prisma.config.cjs",
    ".config/prisma.ts",
    ".config/prisma.mts",
    ".config/prisma.cts",
    ".config/prisma.js",
    ".config/prisma.mjs",
    ".config/prisma.cjs",
];

/// What is somebody else's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct External {
    /// Tables, as they are written: `name` or `schema.name`.
    pub tables: BTreeSet<String>,
    /// Enums, as [`External::tables`].
    pub enums: BTreeSet<String>,
    /// Why more may be meant than is known, with the file's path.
    pub unread: Option<String>,
}

/// A piece of JavaScript, as far as lists of strings need it.
#[derive(Debug, PartialEq)]
enum Token {
    Text(String),
    Word(String),
    Sign(char),
}

impl External {
    /// Reads a configuration's text. Text that makes no sense has no lists.
    pub fn read(path: &str, text: &str) -> External {
        let tokens = tokens(text);
        let mut external = External::default();
        let mut complete = true;
        for (key, names) in [
            ("tables", &mut external.tables),
            ("enums", &mut external.enums),
        ] {
            for at in places(&tokens, key) {
                complete &= list(&tokens[at..], names);
            }
        }
        if !complete {
            external.unread = Some(format!(
                "{path} names external tables or enums otherwise than as strings in a list; only those count"
            ));
        }
        external
    }

    /// The shape without them, of an application whose own schema is `own`.
    pub(super) fn without(&self, mut shape: Shape, own: &str) -> Shape {
        let is_in = |all: &BTreeSet<String>, name: &Name| {
            let schema = if name.schema.is_empty() {
                own
            } else {
                &name.schema
            };
            all.contains(&format!("{schema}.{}", name.name))
                || (name.schema.is_empty() && all.contains(&name.name))
        };
        let managed = |name: &Name| !is_in(&self.tables, name);
        shape.tables.retain(|name, _| managed(name));
        shape.views.retain(managed);
        shape.guards.retain(|(.., table)| managed(table));
        shape.enums.retain(|name, _| !is_in(&self.enums, name));
        shape
    }
}

fn is(token: Option<&Token>, sign: char) -> bool {
    token == Some(&Token::Sign(sign))
}

/// Whether a token is a property's name.
fn names(token: Option<&Token>, key: &str) -> bool {
    matches!(token, Some(Token::Word(word) | Token::Text(word)) if word == key)
}

/// Where `key: {` begins its object.
fn places(tokens: &[Token], key: &str) -> Vec<usize> {
    let starts = |at: &usize| {
        names(tokens.get(*at), key) && is(tokens.get(at + 1), ':') && is(tokens.get(at + 2), '{')
    };
    let all = (0..tokens.len()).filter(starts);
    all.map(|at| at + 3).collect()
}

/// What a `prisma.config` says about one setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Literal {
    /// It is not there.
    Nothing,
    /// Written out: a path as it stands there, relative to the folder of the configuration.
    Path(String),
    /// Only whoever runs the file knows.
    Computed,
}

/// The place of the schema that a configuration's text names: `schema` of the outermost object that has one.
pub(super) fn schema(text: &str) -> Literal {
    let tokens = tokens(text);
    let (mut depth, mut best) = (0_u32, None);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        let is_key = depth > 0
            && names(Some(token), "schema")
            && (is(before, '{') || is(before, ','))
            && [':', ',', '}']
                .iter()
                .any(|sign| is(tokens.get(at + 1), *sign));
        if is_key && best.is_none_or(|(least, _)| depth < least) {
            best = Some((depth, at));
        }
    }
    let Some((_, at)) = best else {
        return Literal::Nothing;
    };
    if !is(tokens.get(at + 1), ':') {
        return Literal::Computed;
    }
    path(&tokens[at + 2..]).map_or(Literal::Computed, Literal::Path)
}

/// A path that is written out: a string, or `path.join` of strings, also beginning with the file's own folder.
fn path(tokens: &[Token]) -> Option<String> {
    let ends = |token: Option<&Token>| is(token, ',') || is(token, '}');
    if let Some(Token::Text(path)) = tokens.first() {
        return ends(tokens.get(1)).then(|| path.clone());
    }
    let open = tokens.iter().position(|token| *token == Token::Sign('('))?;
    let call: Option<Vec<&str>> = tokens[..open]
        .iter()
        .map(|token| match token {
            Token::Word(word) => Some(word.as_str()),
            Token::Sign('.') => Some("."),
            _ => None,
        })
        .collect();
    if !matches!(
        call?[..],
        ["path", ".", "join" | "resolve"] | ["join" | "resolve"]
    ) {
        return None;
    }
    let rest = &tokens[open + 1..];
    let close = rest.iter().position(|token| *token == Token::Sign(')'))?;
    let own = [Token::Word("__dirname".into()), Token::Sign(',')];
    let inside = rest[..close]
        .strip_prefix(&own[..])
        .unwrap_or(&rest[..close]);
    let parts = inside.iter().filter(|token| **token != Token::Sign(','));
    let parts: Option<Vec<&str>> = parts
        .map(|token| match token {
            Token::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let parts = parts.filter(|parts| !parts.is_empty())?;
    ends(rest.get(close + 1)).then(|| parts.join("/"))
}

/// The strings of `external: [...]` in the object that begins here; whether that is all it says.
fn list(tokens: &[Token], names_of: &mut BTreeSet<String>) -> bool {
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            Token::Sign('{' | '[' | '(') => depth += 1,
            Token::Sign('}' | ']' | ')') if depth == 0 => return true,
            Token::Sign('}' | ']' | ')') => depth -= 1,
            _ if depth == 0 && names(Some(token), "external") => {
                if !(is(tokens.get(at + 1), ':') && is(tokens.get(at + 2), '[')) {
                    return false;
                }
                let inside = &tokens[at + 3..];
                let end = inside.iter().position(|each| *each == Token::Sign(']'));
                let mut plain = end.is_some();
                for each in &inside[..end.unwrap_or(0)] {
                    match each {
                        Token::Text(name) => {
                            names_of.insert(name.clone());
                        }
                        Token::Sign(',') => {}
                        _ => plain = false,
                    }
                }
                return plain;
            }
            _ => {}
        }
        at += 1;
    }
    true
}

/// Strings, words and signs; comments are passed over. A template with a value in it is a sign, not a text.
fn tokens(text: &str) -> Vec<Token> {
    let mut all = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.next_if_eq(&'/').is_some() => {
                chars.by_ref().find(|c| *c == '\n');
            }
            '/' if chars.next_if_eq(&'*').is_some() => {
                let mut star = false;
                for c in chars.by_ref() {
                    if star && c == '/' {
                        break;
                    }
                    star = c == '*';
                }
            }
            '"' | '\'' | '`' => {
                let mut word = String::new();
                let mut plain = true;
                while let Some(next) = chars.next().filter(|next| *next != c) {
                    plain &= !(next == '\\' || (c == '`' && next == '$'));
                    word.push(next);
                    if next == '\\' {
                        word.extend(chars.next());
                    }
                }
                all.push(if plain {
                    Token::Text(word)
                } else {
                    Token::Sign('`')
                });
            }
            c if c.is_alphanumeric() || c == '_' || c == '$' => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_' || *c == '$')
                {
                    word.push(c);
                }
                all.push(Token::Word(word));
            }
            c if c.is_whitespace() => {}
            c => all.push(Token::Sign(c)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(text: &str) -> (Vec<String>, bool) {
        let read = External::read("prisma.config.ts", text);
        (read.tables.into_iter().collect(), read.unread.is_some())
    }

    #[test]
    fn names_in_the_two_lists_are_read_and_what_is_computed_is_said() {
        let config = r#"
import { defineConfig } from "prisma/config"
// tables: { external: ["no.comment"] }
export default defineConfig({
  schema: "prisma/schema.prisma",
  experimental: { externalTables: true },
  /* tables: { external: ["neither"] } */
  tables: { external: ['auth.users', `public.audit`,], },
  enums: { "external": ["auth.aal_level"] },
  migrations: { initShadowDb: `CREATE TABLE auth.users ();`, external: [x] },
})
"#;
        let read = External::read("prisma.config.ts", config);
        let names: Vec<&String> = read.tables.iter().chain(&read.enums).collect();
        assert_eq!(names, ["auth.users", "public.audit", "auth.aal_level"]);
        assert_eq!(read.unread, None);
        let computed = tables("x({ tables: { external: [...more, 'a.b', name, `x.${y}`] } })");
        assert_eq!(computed, (vec!["a.b".to_owned()], true));
        assert_eq!(tables("x({ tables: { external: list } })"), (vec![], true));
        assert_eq!(tables("x({ tables: { external: ['a"), (vec![], true));
        assert_eq!(tables("x({ other: 1 })"), (vec![], false));
    }
}
