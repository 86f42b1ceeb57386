//! Passwords in URLs: `scheme://user:password@host` and `?password=…`. Nobody has to know one to see that it is one.

use std::borrow::Cow;

use super::Masked;

const MARK: &[u8] = b"://";
/// The longest name and password that is looked for, in bytes.
const LONGEST: usize = 512;
/// Parameters whose value is a secret, in lower case: of database URLs, of health checks and of webhooks.
const PARAMETERS: [&str; 14] = [
    "password",
    "passwd",
    "pass",
    "pwd",
    "sslpassword",
    "token",
    "access_token",
    "auth_token",
    "auth",
    "api_key",
    "apikey",
    "key",
    "secret",
    "signature",
];
/// From this length on a name without a password is a token.
const TOKEN: usize = 20;

/// What stands after these bytes.
pub(super) enum Look {
    /// No URL with a password.
    None,
    /// It may become one when more comes.
    Unknown,
    /// A password, at this place behind the beginning of the bytes.
    Found { from: usize, to: usize },
}

/// A password that was found: where its URL's `://` begins, how much was shown before, and where it is.
pub(super) struct Password {
    pub(super) begin: usize,
    pub(super) shown: usize,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// A text that is shown or told, with the password of every URL in it replaced. Before it is cut: half a URL is none.
pub fn without_passwords(text: &str) -> Cow<'_, str> {
    if text.contains("://") && text.contains('@') || text.contains('=') {
        Cow::Owned(Masked::default().apply(text))
    } else {
        Cow::Borrowed(text)
    }
}

/// Looks for a password in bytes that begin with `://`.
pub(super) fn password(rest: &[u8], end: bool) -> Look {
    if !rest.starts_with(MARK) {
        return if !end && MARK.starts_with(rest) {
            Look::Unknown
        } else {
            Look::None
        };
    }
    let after = &rest[MARK.len()..];
    let window = &after[..after.len().min(LONGEST)];
    let stop = match window.iter().position(|byte| ends(*byte)) {
        Some(stop) => stop,
        None if after.len() >= LONGEST => return Look::None,
        None if end => window.len(),
        None => return Look::Unknown,
    };
    let at = match window[..stop].iter().rposition(|byte| *byte == b'@') {
        Some(at) => at,
        None => match odd(window, stop, end || after.len() >= LONGEST) {
            Look::Found { to, .. } => to,
            other => return other,
        },
    };
    let from = match window[..at].iter().position(|byte| *byte == b':') {
        Some(colon) => colon + 1,
        None if at >= TOKEN => 0,
        None => return Look::None,
    };
    if from == at {
        return Look::None;
    }
    Look::Found {
        from: MARK.len() + from,
        to: MARK.len() + at,
    }
}

/// A password in which `/`, `?` or `#` stands as it is: no port is like that. The place of the last `@` behind it.
fn odd(window: &[u8], stop: usize, end: bool) -> Look {
    let digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
    let colon = window[..stop].iter().position(|byte| *byte == b':');
    let Some(colon) = colon.filter(|colon| window[0] != b'[' && !digits(&window[colon + 1..stop]))
    else {
        return Look::None;
    };
    let outside = window
        .iter()
        .position(|byte| ends(*byte) && !b"/?#".contains(byte));
    if outside.is_none() && !end {
        return Look::Unknown;
    }
    let whole = &window[..outside.unwrap_or(window.len())];
    match whole.iter().rposition(|byte| *byte == b'@') {
        Some(to) if to > colon + 1 => Look::Found {
            from: colon + 1,
            to,
        },
        _ => Look::None,
    }
}

/// Looks for the value of a secret parameter in bytes that begin with `?` or `&`.
pub(super) fn parameter(rest: &[u8], end: bool) -> Look {
    if !matches!(rest.first(), Some(b'?' | b'&')) {
        return Look::None;
    }
    let after = &rest[1..rest.len().min(LONGEST)];
    let starts = |longer: &[u8], beginning: &[u8]| {
        longer.len() >= beginning.len() && longer[..beginning.len()].eq_ignore_ascii_case(beginning)
    };
    let Some(equals) = after
        .iter()
        .position(|byte| !byte.is_ascii_alphabetic() && *byte != b'_')
    else {
        let may = PARAMETERS.iter().any(|name| starts(name.as_bytes(), after));
        return if may && !end {
            Look::Unknown
        } else {
            Look::None
        };
    };
    let named = PARAMETERS
        .iter()
        .any(|name| after[..equals].eq_ignore_ascii_case(name.as_bytes()));
    if after[equals] != b'=' || !named {
        return Look::None;
    }
    let value = &after[equals + 1..];
    let stop = value.iter().position(|byte| *byte == b'&' || ends(*byte));
    let to = match stop {
        Some(0) => return Look::None,
        Some(stop) => stop,
        None if end || rest.len() > LONGEST => value.len(),
        None => return Look::Unknown,
    };
    if to == 0 {
        return Look::None;
    }
    let from = equals + 2;
    Look::Found {
        from,
        to: from + to,
    }
}

/// Where a text that was cut off ends within a password, if it may.
pub(super) fn cut_off(text: &str) -> Option<usize> {
    let begin = text.rfind("://")? + MARK.len();
    let after = &text[begin..];
    if after.bytes().any(|byte| ends(byte) || byte == b'@') {
        return None;
    }
    let secret = after.split_once(':')?.1;
    let port = secret.bytes().all(|byte| byte.is_ascii_digit());
    (!port).then(|| text.len() - secret.len())
}

/// What ends the part of a URL that names user and host.
fn ends(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte.is_ascii_control() || b"/?#\"'<>`|\\".contains(&byte)
}
