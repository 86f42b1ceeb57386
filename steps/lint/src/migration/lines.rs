//! Places in a file.

/// Characters of a statement shown in a finding.
const EXCERPT: usize = 160;

/// A file's text with what every finding in it needs.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let breaks = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(breaks).collect(),
        }
    }

    /// Line and column, both from 1.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        let before = self.text.get(self.starts[line - 1]..at).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    /// Characters of the range on its first line.
    pub(super) fn length(&self, start: usize, end: usize) -> usize {
        let text = self.text.get(start..end).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        first.trim_end().chars().count().max(1)
    }

    /// The byte at which a line begins; the end of the text behind the last one.
    pub(super) fn start_of(&self, line: usize) -> usize {
        self.starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(self.text.len() + 1)
    }

    /// From the beginning of the line up to the end of the range, on one line.
    pub(super) fn excerpt(&self, start: usize, end: usize) -> String {
        let (line, _) = self.position(start);
        let from = self.starts[line - 1];
        let end = self.text[..].get(end..).map_or(end, |rest| {
            end + rest.find([';', '\n']).unwrap_or(rest.len())
        });
        let text = self.text.get(from..end).unwrap_or_default();
        let mut short = String::new();
        for word in text.split_whitespace() {
            if short.len() > EXCERPT {
                short.push('…');
                break;
            }
            if !short.is_empty() {
                short.push(' ');
            }
            short.extend(word.chars().take(EXCERPT));
        }
        short
    }
}
