//! What a login shell prints of its own before it runs what it was asked to.
//!
//! A `~/.bashrc` that prints (bash reads it for sshd, too) puts its lines in front of every answer. So each line that is
//! sent begins by printing a random word on both streams, and what stands before that word is no answer. A shell that
//! ends without printing it has not run anything, whatever status it gives.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// How much of a greeting is kept.
const KEPT: usize = 2048;

/// The random word of one process.
#[derive(Debug, Clone)]
pub(super) struct Word(String);

impl Word {
    /// Fails when this machine gives no randomness.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 12];
        getrandom::fill(&mut bytes)?;
        let hex = bytes.iter().map(|b| format!("{b:02x}"));
        Ok(Self(format!("flow-{}", hex.collect::<String>())))
    }

    /// The line that says the word and then is `line`.
    pub(super) fn before(&self, line: &str) -> String {
        let say = format!("printf '\\n%s\\n' {}", self.0);
        format!("{say}; {say} >&2; {line}")
    }
}

/// What was said in front of the word, of one machine; filled by the first process that meets a greeting.
pub(super) type Heard = Arc<OnceLock<String>>;

/// Takes away what stands before the word in one stream.
pub(super) struct Greeting {
    /// Line break, word, line break: what is looked for.
    end: Vec<u8>,
    /// What may be its beginning, and the greeting's last bytes.
    held: Vec<u8>,
}

impl Greeting {
    pub(super) fn new(word: &Word) -> Self {
        Self {
            end: format!("\n{}\n", word.0).into_bytes(),
            held: Vec::new(),
        }
    }

    /// What follows the word, once it has come. What came before it goes to `heard`.
    pub(super) fn take(&mut self, bytes: &[u8], heard: &Heard) -> Option<Bytes> {
        self.held.extend_from_slice(bytes);
        let at = self
            .held
            .windows(self.end.len())
            .position(|window| window == self.end);
        if let Some(at) = at {
            let rest = Bytes::copy_from_slice(&self.held[at + self.end.len()..]);
            self.held.truncate(at);
            let said = self.words();
            if !said.is_empty() {
                heard.get_or_init(|| said);
            }
            return Some(rest);
        }
        let most = KEPT + self.end.len();
        if self.held.len() > 2 * most {
            self.held.drain(..self.held.len() - most);
        }
        None
    }

    /// What was said, when the word never came: its end, as one line.
    pub(super) fn words(&self) -> String {
        let from = self.held.len().saturating_sub(KEPT);
        let text = String::from_utf8_lossy(&self.held[from..]);
        let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        let plain: String = plain.collect();
        plain.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard() -> Heard {
        Heard::default()
    }

    fn word() -> Word {
        Word("flow-0123".into())
    }

    #[test]
    fn what_follows_the_word_is_the_answer_however_the_bytes_are_cut() {
        let whole = b"Welcome!\nno newline\nflow-0123\nflow-0123\nanswer\n";
        for cut in 0..whole.len() {
            let heard = heard();
            let mut greeting = Greeting::new(&word());
            let mut answer = Vec::new();
            let mut over = false;
            for part in [&whole[..cut], &whole[cut..]] {
                if over {
                    answer.extend_from_slice(part);
                } else if let Some(rest) = greeting.take(part, &heard) {
                    over = true;
                    answer.extend_from_slice(&rest);
                }
            }
            assert_eq!(answer, b"flow-0123\nanswer\n", "cut at {cut}");
            assert_eq!(heard.get().map(String::as_str), Some("Welcome! no newline"));
        }
    }

    #[test]
    fn a_quiet_shell_is_no_greeting_and_an_endless_one_is_bounded() {
        let heard = heard();
        let rest = Greeting::new(&word()).take(b"\nflow-0123\n", &heard);
        assert_eq!(rest, Some(Bytes::new()));
        assert_eq!(heard.get(), None);
        let mut greeting = Greeting::new(&word());
        for _ in 0..1000 {
            assert_eq!(greeting.take(&[b'x'; 1000], &heard), None);
        }
        assert!(greeting.held.len() < 10_000);
        assert_eq!(greeting.words().len(), KEPT);
    }
}
