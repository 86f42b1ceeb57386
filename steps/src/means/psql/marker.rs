//! The proof that `psql` ran everything it was given.
//!
//! Exit status 0 is none: the client of `docker exec` ends with 0 when it is told to terminate (seen with docker
//! 28.2.2), in the middle of an answer, and what it had put out so far looks like a whole one. So `psql` is told to
//! print a random line after its last statement, and only what that line ends counts.

use crate::means::psql::PgError;

/// A line nobody can know before, so that no value can be it.
#[derive(Debug, Clone)]
pub(crate) struct Marker(String);

impl Marker {
    pub(crate) fn new() -> Result<Self, PgError> {
        Ok(Self(format!("flow-{}", hex::encode(random()?))))
    }

    /// What makes `psql` print it. The semicolon ends a statement that was left open: `psql` would print first and run
    /// it afterwards.
    pub(crate) fn command(&self) -> String {
        format!("\n;\n\\echo {}\n", self.0)
    }

    /// Where the marker's line begins, when the text ends with it.
    pub(crate) fn find(&self, text: &[u8]) -> Option<usize> {
        let at = text.len().checked_sub(self.line().len())?;
        let starts_a_line = at == 0 || text[at - 1] == b'\n';
        (starts_a_line && text[at..] == self.line()).then_some(at)
    }

    pub(crate) fn line(&self) -> Vec<u8> {
        format!("{}\n", self.0).into_bytes()
    }
}

pub(crate) fn random() -> Result<[u8; 12], PgError> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes)
        .map_err(|e| PgError::Config(format!("this machine gives no randomness: {e}")))?;
    Ok(bytes)
}

/// A stream that ends with a marker: what has passed, without the marker.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) marker: Marker,
    held: Vec<u8>,
    /// Whether what passed so far ended with a whole line.
    line_ended: bool,
}

impl Tail {
    pub(crate) fn new(marker: Marker) -> Self {
        Self {
            marker,
            held: Vec::new(),
            line_ended: true,
        }
    }

    /// Takes a piece and gives what is certainly before the marker.
    pub(crate) fn pass(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(chunk);
        let surplus = self.held.len().saturating_sub(self.marker.line().len());
        let passed: Vec<u8> = self.held.drain(..surplus).collect();
        if let Some(last) = passed.last() {
            self.line_ended = *last == b'\n';
        }
        passed
    }

    /// Whether the stream ended with the marker.
    pub(crate) fn is_whole(&self) -> bool {
        self.line_ended && self.held == self.marker.line()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_whole_only_with_the_marker_as_its_last_line_whatever_the_pieces() {
        let marker = Marker::new().unwrap();
        let line = String::from_utf8(marker.line()).unwrap();
        let cases = [
            (format!("1\t2\n{line}"), true),
            (line.clone(), true),
            (format!("1\t2{line}"), false),
            (format!("{line}3\n"), false),
            (format!("1\t2\n{}", line.trim_end()), false),
            ("1\t2\n".to_owned(), false),
            (String::new(), false),
        ];
        for (text, whole) in cases {
            for size in [1, 3, 30, 31, 4096] {
                let mut tail = Tail::new(marker.clone());
                let pieces = text.as_bytes().chunks(size);
                let passed: Vec<u8> = pieces.flat_map(|c| tail.pass(c)).collect();
                assert_eq!(tail.is_whole(), whole, "{text:?} in pieces of {size}");
                if whole {
                    assert_eq!(passed, text.as_bytes()[..text.len() - line.len()]);
                    assert_eq!(marker.find(text.as_bytes()), Some(passed.len()));
                }
            }
        }
    }
}
