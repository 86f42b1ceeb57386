//! Reading SQL expressions as text: casts, brackets, quotes, constants, arrays.

/// `{a,"b c"}`, the way `PostgreSQL` writes an array as text; nothing for one that is nested.
pub(super) fn items_of(text: &str) -> Option<Vec<String>> {
    let inside = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inside.trim().is_empty() {
        return Some(Vec::new());
    }
    let mut items = vec![String::new()];
    let mut quoted = false;
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        let last = items.len() - 1;
        match c {
            '\\' => items[last].extend(chars.next()),
            '"' => quoted = !quoted,
            '{' | '}' if !quoted => return None,
            ',' if !quoted => items.push(String::new()),
            c => items[last].push(c),
        }
    }
    Some(items)
}

/// The text without outer brackets, casts and layout.
pub(super) fn bare(text: &str) -> String {
    let mut text = text.trim().to_owned();
    loop {
        let before = text.len();
        if let Some(at) = last_cast(&text) {
            text.truncate(at);
        }
        let wrapped = text.starts_with('(') && closes_at_end(&text);
        if wrapped {
            text = text[1..text.len() - 1].to_owned();
        }
        text = text.trim().to_owned();
        if text.len() == before {
            break;
        }
    }
    squeezed(&text)
}

/// Layout outside of quotes is one space, and none beside signs.
fn squeezed(text: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut space = false;
    for c in text.chars() {
        match quote {
            Some(q) => {
                out.push(c);
                if c == q {
                    quote = None;
                }
            }
            None if c.is_whitespace() => space = true,
            None => {
                let word = |c: char| c.is_alphanumeric() || c == '_' || c == '"' || c == '\'';
                if std::mem::take(&mut space) && word(c) && out.chars().last().is_some_and(word) {
                    out.push(' ');
                }
                if c == '\'' || c == '"' {
                    quote = Some(c);
                }
                out.push(c);
            }
        }
    }
    out
}

/// Where the cast begins that the text ends with.
fn last_cast(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut found) = (0i32, None, None);
    let bytes = text.as_bytes();
    for (at, &c) in bytes.iter().enumerate() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, b'\'' | b'"') => quote = Some(c),
            (None, b'(' | b'[') => depth += 1,
            (None, b')' | b']') => depth -= 1,
            (None, b':') if depth == 0 && bytes.get(at + 1) == Some(&b':') && found.is_none() => {
                found = Some(at);
            }
            _ => {}
        }
    }
    let at = found?;
    // Behind it nothing but a type: no operator follows.
    let rest = &text[at..];
    let ty = rest
        .chars()
        .all(|c| c.is_alphanumeric() || " :_\"()[].,".contains(c));
    ty.then_some(at)
}

fn closes_at_end(text: &str) -> bool {
    let (mut depth, mut quote) = (0i32, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth -= 1;
                if depth == 0 {
                    return at == text.len() - 1;
                }
            }
            _ => {}
        }
    }
    false
}

/// Split at the commas that stand in no bracket and no quote.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut depth, mut quote) = (0i32, None);
    for c in text.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// The value of a constant that stands alone.
pub(super) fn constant(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix('\'') {
        let inside = rest.strip_suffix('\'')?;
        let whole = inside.replace("''", "");
        return (!whole.contains('\'')).then(|| inside.replace("''", "'"));
    }
    if let Some(rest) = text.strip_prefix("E'").or_else(|| text.strip_prefix("e'")) {
        return escaped(rest.strip_suffix('\'')?);
    }
    let lower = text.to_ascii_lowercase();
    if lower == "true" || lower == "false" {
        return Some(lower);
    }
    let unsigned = text.trim_start_matches(['-', '+']).trim();
    let number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.parse::<f64>().is_ok();
    let sign = if text.starts_with('-') { "-" } else { "" };
    number.then(|| format!("{sign}{unsigned}"))
}

/// What stands in `E'…'`.
fn escaped(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(match chars.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                c if c.is_ascii_alphanumeric() => return None,
                c => c,
            }),
            '\'' if chars.next() == Some('\'') => out.push('\''),
            '\'' => return None,
            c => out.push(c),
        }
    }
    Some(out)
}
