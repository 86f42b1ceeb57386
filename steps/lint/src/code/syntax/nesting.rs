//! Whether a text is nested deeper than a recursive parser can bear.

/// The most levels. Hand-written code has some dozens, generated code some hundreds.
pub(super) const MOST: usize = 5_000;

/// Words that go before another expression or statement and so add a level without a bracket.
const PREFIXES: [&str; 20] = [
    "if", "else", "while", "for", "do", "with", "new", "typeof", "void", "await", "delete",
    "yield", "keyof", "in", "of", "as", "extends", "infer", "readonly", "unique",
];

/// A bound from above that needs no parser: brackets that are open, and what can add a level without one since the last
/// `;`, `,` or line that ends a statement. Strings and comments are counted as if they were code.
pub(super) fn too_deep(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut open: Vec<usize> = vec![0];
    let mut total = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        let level = open.last_mut().expect("the first is never taken");
        match byte {
            b'(' | b'[' | b'{' => {
                open.push(1);
                total += 1;
            }
            b')' | b']' | b'}' => {
                if open.len() > 1 {
                    total -= open.pop().unwrap_or_default();
                }
                // A chain such as `a()()()` or `a[0][0]`.
                *open.last_mut().expect("the first is never taken") += 1;
                total += 1;
            }
            b';' | b',' => total -= std::mem::take(level),
            b'\n' if ends_statement(bytes, at) => total -= std::mem::take(level),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' => {
                let word = word_at(bytes, at - 1);
                at += word.len() - 1;
                if PREFIXES.iter().any(|p| p.as_bytes() == word) {
                    *level += 1;
                    total += 1;
                }
            }
            b'!' | b'~' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'?' | b':'
            | b'.' | b'&' | b'|' | b'^' | b'`' => {
                *level += 1;
                total += 1;
            }
            _ => {}
        }
        if total > MOST {
            return true;
        }
    }
    false
}

/// Whether the line break before `at` ends a statement where no `;` is written: a line that begins with a word which
/// cannot go on with the one before.
fn ends_statement(bytes: &[u8], at: usize) -> bool {
    let before = bytes[..at].iter().rev().find(|b| !b.is_ascii_whitespace());
    let done = before.is_none_or(|b| b.is_ascii_alphanumeric() || b"_$)]}'\"`>/*".contains(b));
    let next = bytes[at..].iter().position(|b| !b.is_ascii_whitespace());
    let Some(next) = next.map(|skip| at + skip) else {
        return true;
    };
    let word = word_at(bytes, next);
    done && !word.is_empty() && !PREFIXES.iter().any(|p| p.as_bytes() == word)
}

fn word_at(bytes: &[u8], at: usize) -> &[u8] {
    let rest = &bytes[at..];
    let end = rest
        .iter()
        .position(|b| !b.is_ascii_alphanumeric() && *b != b'_' && *b != b'$');
    &rest[..end.unwrap_or(rest.len())]
}
