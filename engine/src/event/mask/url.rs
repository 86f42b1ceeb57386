//! Passwords in URLs: `scheme://user:password@host`. Nobody has to know one to see that it is one.

use std::borrow::Cow;

use super::Masked;

const MARK: &[u8] = b"://";
/// The longest name and password that is looked for, in bytes.
const LONGEST: usize = 512;
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
    if text.contains("://") && text.contains('@') {
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
    let Some(at) = window[..stop].iter().rposition(|byte| *byte == b'@') else {
        return Look::None;
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
