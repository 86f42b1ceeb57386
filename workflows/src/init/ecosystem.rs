//! pm2's ecosystem file, which is a program: read as text, and believed only where it names every process in plain words.

use super::walk::{Files, name};

/// The most processes that are taken over.
const MOST: usize = 20;
/// The longest name of one, in bytes.
const NAME_MAX: usize = 64;

/// What a program is made of, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A name, a keyword or a number.
    Word(String),
    /// What stands between quotes, as it is written there.
    Text(String),
    /// Any other sign.
    Sign(char),
}

/// The ecosystem files with commas between, and the names of the processes: none where a process has a name that only
/// running the file would tell, or where several files disagree.
pub(super) fn processes(files: &Files) -> Option<(String, Vec<String>)> {
    let is_ecosystem = |path: &&String| {
        let name = name(path);
        ["ecosystem.config.", "pm2.config.", "ecosystem."]
            .iter()
            .any(|start| name.starts_with(start))
            && [".js", ".cjs", ".mjs", ".json", ".ts"]
                .iter()
                .any(|end| name.ends_with(end))
    };
    let paths: Vec<&String> = files.paths.iter().filter(is_ecosystem).collect();
    let mut lists = paths.iter().map(|path| names(&files.text(path)?));
    let first = lists.next()?;
    let names = if lists.all(|list| list == first) {
        first
    } else {
        None
    };
    let paths: Vec<&str> = paths.into_iter().map(String::as_str).collect();
    Some((paths.join(", "), names.unwrap_or_default()))
}

/// The name of every process, in order; nothing where one of them is not written out.
fn names(text: &str) -> Option<Vec<String>> {
    let tokens = tokens(text)?;
    let is_apps =
        |token: &Token| matches!(token, Token::Word(word) | Token::Text(word) if word == "apps");
    // A second one may add to the first, or be another list.
    if tokens.iter().filter(|token| is_apps(token)).count() != 1 {
        return None;
    }
    let at = tokens.iter().position(is_apps)?;
    let mut rest = tokens.get(at + 1..)?.iter().peekable();
    if rest.next() != Some(&Token::Sign(':')) || rest.next() != Some(&Token::Sign('[')) {
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    loop {
        match rest.next()? {
            Token::Sign(']') => break,
            Token::Sign(',') => {}
            Token::Sign('{') => {
                let name = one(&mut rest)?;
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            // A call, a name of something else, or `...`.
            _ => return None,
        }
    }
    // What follows may still change the list: `.map(…)`, `.concat(…)`.
    let ends = matches!(rest.peek(), None | Some(Token::Sign(',' | '}' | ';')));
    (ends && !names.is_empty() && names.len() <= MOST).then_some(names)
}

/// The name of one process, from behind its brace to behind the other one.
fn one<'t>(rest: &mut impl Iterator<Item = &'t Token>) -> Option<String> {
    let mut depth = 1;
    let mut name = None;
    // Whether a key may stand here.
    let mut is_key = true;
    while depth > 0 {
        match rest.next()? {
            Token::Sign('{' | '[' | '(') if depth > 1 || !is_key => depth += 1,
            Token::Sign('}' | ']' | ')') => depth -= 1,
            Token::Sign(',') if depth == 1 => is_key = true,
            Token::Word(key) | Token::Text(key) if depth == 1 && is_key && key == "name" => {
                let Some(Token::Sign(':')) = rest.next() else {
                    return None;
                };
                let Some(Token::Text(text)) = rest.next() else {
                    return None;
                };
                if name.is_some() || !is_name(text) {
                    return None;
                }
                name = Some(text.clone());
                match rest.next()? {
                    Token::Sign(',') => {}
                    Token::Sign('}') => depth -= 1,
                    _ => return None,
                }
            }
            // `...common` and `[key]: value` may give it another name.
            Token::Sign(_) if depth == 1 && is_key => return None,
            _ => is_key = false,
        }
    }
    name
}

fn is_name(text: &str) -> bool {
    text.len() <= NAME_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// The tokens of a program without its comments; nothing where a text does not end.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if c.is_whitespace() {
            rest = after;
        } else if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, next)| next);
        } else if rest.starts_with("/*") {
            rest = rest.split_once("*/")?.1;
        } else if ['"', '\'', '`'].contains(&c) {
            let end = end(after, c)?;
            tokens.push(Token::Text(after[..end].to_owned()));
            rest = &after[end + 1..];
        } else if is_word(c) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            tokens.push(Token::Sign(c));
            rest = after;
        }
    }
    Some(tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Where a text ends that began with this quote.
fn end(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '\n' if quote != '`' => return None,
            _ if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_all_written_out_are_taken_over_and_no_other_names() {
        for (text, wanted) in [
            (
                "module.exports = { apps: [{ name: 'api', script: 'x' }, { name: \"worker\" }, { name: 'api' }] }\n",
                "api worker",
            ),
            (
                "{ \"apps\": [ { \"script\": \"a.js\", \"name\": \"api\" } ], \"deploy\": { \"name\": \"x\" } }",
                "api",
            ),
            (
                "apps: [ // { name: 'old' },\n { env: { name: 'no', list: [1, f(2)] }, name: `api`, /* name: 'b' */ }, ],",
                "api",
            ),
            (
                "module.exports = { apps: [{ script: './a.js', args: ['-x', 'name: y'], name: 'api', instances: 2 }] };",
                "api",
            ),
        ] {
            assert_eq!(names(text).unwrap_or_default().join(" "), wanted, "{text}");
        }
    }

    #[test]
    fn one_name_that_only_the_program_knows_leaves_all_of_them_open() {
        for text in [
            "module.exports = { apps: [make('api'), make('worker'), { name: 'shop-front' }] }",
            "module.exports = { apps: ['api', 'worker'].map(name => ({ name })) }",
            "apps: [{ name: 'api' }].concat(more)",
            "apps: [{ name: 'api' }, ...more]",
            "apps: [...more, { name: 'api' }]",
            "apps: [{ name: 'api', ...common }]",
            "apps: [{ ...common, name: 'api' }]",
            "apps: [{ ['name']: 'api', name: 'b' }]",
            "apps: [{ name: 'api' }, { script: 'worker.js' }]",
            "apps: [{ name: 'api' }, { name, script: 'x' }]",
            "apps: [{ name: 'api' }, { name: prefix + 'x' }]",
            "apps: [{ name: 'api' }, { name: 'x' + suffix }]",
            "apps: [{ name: 'api' }, { name: `${prefix}-x` }]",
            "apps: [{ name: 'api' }, { name: 'a\\x62' }]",
            "apps: [{ name: 'api', name: 'b' }]",
            "const apps = [{ name: 'api' }]; module.exports = { apps }",
            "const c = { apps: [{ name: 'api' }] }; c.apps.push(x); module.exports = c",
            "apps: live ? [{ name: 'api' }] : []",
            "apps: [{ name: 'api' }",
            "apps: [{ name: 'api }]",
            "apps: []",
            "",
        ] {
            assert_eq!(names(text), None, "{text}");
        }
    }
}
