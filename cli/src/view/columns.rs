//! How wide a text is on a terminal. A CJK letter takes two columns and a combining mark none, so characters cannot be
//! counted instead (Unicode Annex 11).

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The columns that a line takes.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// The longest beginning of a line that takes at most `most` columns. A letter of two columns is not halved.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let mut taken = 0;
    let mut ends = text.char_indices().filter_map(|(at, c)| {
        taken += c.width().unwrap_or(0);
        (taken > most).then_some(at)
    });
    ends.next().map_or(text, |at| &text[..at])
}

/// The line with blanks behind it up to `width` columns; a longer one stays as it is.
pub(crate) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_letter_takes_two_columns_and_a_combining_mark_none() {
        assert_eq!(columns("発布"), 4);
        assert_eq!(columns("e\u{301}"), 1);
        assert_eq!(beginning("発布a", 3), "発");
        assert_eq!(beginning("ae\u{301}b", 2), "ae\u{301}");
        assert_eq!(padded("発布", 6), "発布  ");
        assert_eq!(padded("abc", 2), "abc");
    }
}
