//! Output that comes in pieces: a secret may begin in one and end in the next.

use super::mask::Masked;

/// The output of one step: what is kept because it may be the beginning of a secret, or of a character.
#[derive(Debug, Default)]
pub(super) struct Stream {
    kept: Vec<u8>,
}

impl Stream {
    /// What can be shown now that this came too. Kept is only what may become a secret, so a prompt without a line feed
    /// is shown at once.
    pub(super) fn more(&mut self, masked: &Masked, bytes: &[u8]) -> String {
        self.kept.extend_from_slice(bytes);
        let (mut shown, from) = masked.scan(&self.kept, false);
        self.kept.drain(..from);
        if self.kept.is_empty() {
            let whole = shown.len() - half_a_character(&shown);
            self.kept = shown.split_off(whole);
        }
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// What is left when nothing more comes.
    pub(super) fn end(self, masked: &Masked) -> String {
        let (shown, _) = masked.scan(&self.kept, true);
        String::from_utf8_lossy(&shown).into_owned()
    }
}

/// How many bytes at the end are a character that is not complete.
fn half_a_character(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    let begin = tail.iter().rposition(|byte| *byte & 0xc0 == 0xc0);
    let half = begin.map(|at| &tail[at..]).filter(
        |half| matches!(std::str::from_utf8(half), Err(error) if error.error_len().is_none()),
    );
    half.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn through(masked: &Masked, pieces: &[&[u8]]) -> String {
        let mut stream = Stream::default();
        let mut shown: String = pieces.iter().map(|p| stream.more(masked, p)).collect();
        shown += &stream.end(masked);
        shown
    }

    #[test]
    fn a_secret_is_masked_wherever_it_is_split() {
        let masked = Masked::new(["grün-hunter2".into(), "hunter2".into(), "aab-aab".into()]);
        for secret in ["grün-hunter2", "hunter2", "aab-aab"] {
            let text = format!("before {secret} äöü\nbetween aaab {secret}");
            let (bytes, whole) = (text.as_bytes(), masked.apply(&text));
            assert!(!whole.contains(secret));
            for i in 0..=bytes.len() {
                for j in i..=bytes.len() {
                    let pieces = [&bytes[..i], &bytes[i..j], &bytes[j..]];
                    assert_eq!(through(&masked, &pieces), whole, "split at {i} and {j}");
                }
            }
        }
    }

    #[test]
    fn a_password_in_a_url_is_masked_wherever_it_is_split() {
        // A known secret begins in the name and would go on behind the host.
        let masked = Masked::new(["app:x".into(), "p@db/longer-than-there-is".into()]);
        let text =
            "to postgres://app:geh%65im@db:5432/x, https://h:80/a@b and redis://:p@db/long \u{fc}";
        let (bytes, whole) = (text.as_bytes(), masked.apply(text));
        assert!(
            !whole.contains("geh") && whole.contains("https://h:80/a@b"),
            "{whole}"
        );
        for i in 0..=bytes.len() {
            for j in i..=bytes.len() {
                let pieces = [&bytes[..i], &bytes[i..j], &bytes[j..]];
                assert_eq!(through(&masked, &pieces), whole, "split at {i} and {j}");
            }
        }
    }

    #[test]
    fn what_cannot_become_a_secret_is_shown_at_once_and_the_rest_at_the_end() {
        let masked = Masked::new(["hunter2".into()]);
        let mut stream = Stream::default();
        assert_eq!(stream.more(&masked, b"go on? [y/n] "), "go on? [y/n] ");
        assert_eq!(stream.more(&masked, b"hunt"), "");
        assert_eq!(stream.more(&masked, b"ing\nhunt"), "hunting\n");
        assert_eq!(stream.end(&masked), "hunt");
    }

    #[test]
    fn bytes_that_are_no_text_do_not_stay_behind() {
        let masked = Masked::default();
        for bytes in [&b"\xff\xff"[..], b"\x80", b"a\xe2\x28", b"\xf0\x9f"] {
            let shown = String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(through(&masked, &[bytes]), shown);
        }
    }

    proptest! {
        #[test]
        fn pieces_show_what_the_whole_would(
            between in prop::collection::vec(("[ab\u{e4} ]{0,6}", 0usize..3), 1..6),
            secrets in prop::collection::vec("[ab\u{e4}]{4,7}", 3),
            cuts in prop::collection::vec(0usize..60, 0..5),
        ) {
            let words = between.iter().map(|(word, next)| format!("{word}{}", secrets[*next]));
            let text: String = words.collect();
            let masked = Masked::new(secrets.clone());
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]).collect();
            prop_assert_eq!(through(&masked, &pieces), masked.apply(&text));
        }
    }
}
