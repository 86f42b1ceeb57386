//! One rule of plain text, for names, notes, mails, the terminal and the control socket.

/// Whether a character reads as what it is: no control character, none that turns or hides text, none that is drawn as
/// nothing.
pub fn is_plain(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' // soft hyphen
        | '\u{34f}' // combining grapheme joiner
        | '\u{61c}' // bidi
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers
        | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' // zero width, bidi
        | '\u{2028}'..='\u{202e}' // line separators, bidi
        | '\u{2060}'..='\u{206f}'
        | '\u{2800}' // a blank
        | '\u{fe00}'..='\u{fe0f}' // variation selectors
        | '\u{feff}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' // tags, more variation selectors
    );
    !hidden && !c.is_control()
}

/// Text on one line without what is not plain; control characters become blanks.
pub fn one_line(text: &str) -> String {
    let drawn = |c: char| match c {
        c if is_plain(c) => Some(c),
        c if c.is_control() => Some(' '),
        _ => None,
    };
    text.chars().filter_map(drawn).collect()
}

/// Whether a name is in plain letters of one script: a letter of another one may look the same. Marks, digits and
/// punctuation go with any.
pub fn is_one_script(text: &str) -> bool {
    let mut scripts = text.chars().filter(|c| c.is_alphabetic()).map(script);
    match scripts.next() {
        None => true,
        Some(first) => scripts.all(|other| other == first),
    }
}

/// A number for the script of a letter, coarse: what is written together in one name counts as one.
fn script(c: char) -> u32 {
    match u32::from(c) {
        0..=0x24f | 0x1e00..=0x1eff => 0,
        0x370..=0x3ff | 0x1f00..=0x1fff => 1,
        0x400..=0x52f => 2,
        0x590..=0x5ff => 3,
        0x600..=0x77f | 0x8a0..=0x8ff => 4,
        0x1100..=0x11ff | 0x3005..=0x30ff | 0x3130..=0x318f | 0x3400..=0x9fff | 0xac00..=0xd7ff => {
            5
        }
        other => 0x1000 + (other >> 7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_turns_or_is_drawn_as_nothing_is_not_plain() {
        let bad = "\u{1b}\n\u{9b}\u{7f}\u{202e}\u{2066}\u{61c}\u{200b}\u{200d}\u{2060}\u{feff}\u{ad}\u{fe0f}\u{e0041}\u{e0100}\u{3164}\u{115f}\u{ffa0}\u{180e}";
        for c in bad.chars() {
            assert!(!is_plain(c), "{c:?}");
        }
        assert!("Zoë Ägren, 李 №1 ✔ – €".chars().all(is_plain));
        assert_eq!(one_line("a\u{202e}b\nc\u{200b}"), "ab c");
    }

    #[test]
    fn a_name_is_of_one_script() {
        for name in [
            "Zoë O'Neill-Ågren 2",
            "Анна",
            "李小龍",
            "ひらがな カタカナ 漢字",
            "Ελένη",
        ] {
            assert!(is_one_script(name), "{name}");
        }
        for name in ["P\u{430}ul", "\u{391}nna", "qa \u{13aa}"] {
            assert!(!is_one_script(name), "{name}");
        }
    }
}
