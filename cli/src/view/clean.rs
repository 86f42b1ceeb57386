//! What may reach a terminal. Output of hosts is hostile: pm2 colours it, and a broken or taken-over host may send
//! sequences that hide lines, rename the window or type into the shell (ECMA-48, xterm's control sequences).

use std::fmt::Write as _;

use flow_engine::event::without_passwords;
use flow_steps::means::plain::is_plain;
use serde::Serialize;

use super::columns::{beginning, columns};

/// One line that came from outside, without what would move the cursor, change colours, hide or reorder text. Line
/// breaks inside become spaces, so that nobody can forge a line of `flow`.
pub(crate) fn clean(text: &str) -> String {
    let text = text.trim_end_matches(['\r', '\n']);
    if !text.chars().any(is_unsafe) {
        return without_passwords(text).into_owned();
    }
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => match chars.next() {
                Some('[') => skip_csi(&mut chars),
                Some(']' | 'P' | 'X' | '^' | '_') => skip_string(&mut chars),
                // `ESC ( B` and its kin choose a character set.
                Some(' '..='/') => drop(chars.next()),
                _ => {}
            },
            '\u{9b}' => skip_csi(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut chars),
            '\n' | '\r' => clean.push(' '),
            c if is_unsafe(c) => {}
            c => clean.push(c),
        }
    }
    // Not before: what hid in the middle of a URL is gone by now.
    without_passwords(&clean).into_owned()
}

/// Several lines, each cleaned; line feeds stay.
pub(crate) fn clean_lines(text: &str) -> String {
    let harmless = |c: char| c == '\n' || !is_unsafe(c);
    if text.chars().all(harmless) {
        return without_passwords(text).into_owned();
    }
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
}

/// A line of at most `width` columns; an ellipsis says that it was longer.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let text = without_passwords(text);
    if columns(&text) <= width {
        return text.into_owned();
    }
    let kept = beginning(&text, width.saturating_sub(1));
    format!("{}…", kept.trim_end())
}

/// A value as JSON. What JSON allows as it is and a terminal obeys is escaped; such characters stand in strings only.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).expect("a view is plain data");
    let text = without_passwords(&text);
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _infallible = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// What the one rule of plain text does not let through; a tab stays.
fn is_unsafe(c: char) -> bool {
    c != '\t' && !is_plain(c)
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Parameters up to the final byte. Anything else ends it early and is looked at by itself.
fn skip_csi(chars: &mut Rest) {
    while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
    chars.next_if(|c| ('@'..='~').contains(c));
}

/// A title, a link, a device's string: up to its terminator, or the end of the line.
fn skip_string(chars: &mut Rest) {
    while let Some(c) = chars.next() {
        match c {
            '\x07' | '\u{9c}' => return,
            '\x1b' => {
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_in_output_do_not_reach_the_terminal() {
        let table = [
            ("a\x1b[1;31mb\x1b[0m\r\n", "ab"),
            ("\x1b]0;title\x07after", "after"),
            ("\x1b]8;;http://x.test\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1bP+q544e\x1b\\ok", "ok"),
            ("\u{9b}2Jok\u{9d}0;t\u{9c}!", "ok!"),
            ("\x1b(Bok\x1bc", "ok"),
            ("50%\r100%", "50% 100%"),
            ("done\nerror: forged", "done error: forged"),
            ("a\u{202e}b\u{2066}c\x08\x7f", "abc"),
            ("a\u{200b}b\u{ad}c\u{e0041}\u{fe0f}", "abc"),
            ("tab\tstays, ✔ too", "tab\tstays, ✔ too"),
            ("cut off \x1b]0;never ends", "cut off "),
            ("cut off \x1b[", "cut off "),
        ];
        for (raw, expected) in table {
            assert_eq!(clean(raw), expected, "{raw:?}");
        }
    }

    #[test]
    fn several_lines_are_cleaned_one_by_one() {
        assert_eq!(
            clean_lines("a\x1b]0;x\nb\x1b[1m\n\n"),
            "a\nb\n\n",
            "an unfinished sequence ends with its line"
        );
    }

    #[test]
    fn json_stays_the_same_value_and_steers_no_terminal() {
        let value = "\u{e0041}\u{200b}\x1b[2J \u{9b}2J \u{7f} ü\n";
        let json = to_json(&value);
        assert!(json.chars().all(|c| !is_unsafe(c)), "{json:?}");
        assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), value);
    }

    #[test]
    fn the_password_of_a_url_reaches_neither_terminal_nor_json_whatever_stands_in_it_or_is_cut_off()
    {
        const SECRET: &str = "kvasir-7";
        let url = format!("postgres://app:{SECRET}@db/app");
        let hidden = format!("postgres://app:\x1b[0m{SECRET}@db/app");
        for text in [
            &url,
            &hidden,
            &format!("{url}\x07"),
            &format!("a\n{hidden}\nb"),
        ] {
            assert!(!clean(text).contains(SECRET), "{}", clean(text));
            assert!(!clean_lines(text).contains(SECRET), "{}", clean_lines(text));
        }
        for width in 1..url.len() {
            assert!(
                !cut(&url, width).contains(&SECRET[..3]),
                "{}",
                cut(&url, width)
            );
        }
        let json = to_json(
            &serde_json::json!({"deep": [{"url": url, "inner": format!("{{\"u\":\"{url}\"}}")}]}),
        );
        assert!(!json.contains(SECRET), "{json}");
        assert!(
            serde_json::from_str::<serde_json::Value>(&json).is_ok(),
            "{json}"
        );
    }

    #[test]
    fn a_long_line_is_cut_with_an_ellipsis() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("ab  defg", 4), "ab…");
        assert_eq!(cut("発布する", 8), "発布する");
        assert_eq!(cut("発布する", 6), "発布…");
    }
}
