//! A lexer of `PostgreSQL`'s SQL that knows just enough to tell what stands in a literal from what does not.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Read without regard to case.
    Folded,
    Exact,
    Dollar,
}

pub(super) struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pub(super) at: usize,
    /// Of the literal just read: a literal on a later line continues it, and is read alike.
    escapes: Option<bool>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Scan {
            text,
            bytes: text.as_bytes(),
            at: 0,
            escapes: None,
        }
    }

    /// The next token: where it begins, and of which kind. It ends at `self.at`.
    pub(super) fn next(&mut self) -> Option<(usize, Kind)> {
        let broken = self.skip_blank();
        let continued = self.escapes.take().filter(|_| broken);
        let start = self.at;
        let byte = *self.bytes.get(start)?;
        let kind = match byte {
            b'\'' => self.literal(continued.unwrap_or(false)),
            b'"' => {
                self.quoted(b'"', false);
                Kind::Exact
            }
            b'$' => self.dollar(),
            b'0'..=b'9' => self.number(),
            _ if is_word(byte) => self.word(),
            _ if is_operator(byte) => self.operator(),
            _ => {
                self.at += 1;
                Kind::Exact
            }
        };
        Some((start, kind))
    }

    /// Whether there was a line break among it.
    fn skip_blank(&mut self) -> bool {
        let start = self.at;
        loop {
            match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                (Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c), _) => self.at += 1,
                (Some(b'-'), Some(b'-')) => self.line_comment(),
                (Some(b'/'), Some(b'*')) => self.block_comment(),
                _ => return self.text[start..self.at].contains(['\n', '\r']),
            }
        }
    }

    fn line_comment(&mut self) {
        self.at = self.text[self.at..]
            .find(['\n', '\r'])
            .map_or(self.bytes.len(), |end| self.at + end);
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.bytes.get(self.at..self.at + 2) {
                Some(b"/*") => {
                    depth += 1;
                    self.at += 2;
                }
                Some(b"*/") => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                Some(_) => self.at += 1,
                None => return self.at = self.bytes.len(),
            }
        }
    }

    fn literal(&mut self, escapes: bool) -> Kind {
        self.quoted(b'\'', escapes);
        self.escapes = Some(escapes);
        Kind::Exact
    }

    /// Moves behind the closing quote.
    fn quoted(&mut self, quote: u8, escapes: bool) {
        self.at += 1;
        loop {
            match self.bytes.get(self.at) {
                None => return self.at = self.bytes.len(),
                Some(b'\\') if escapes => self.at = (self.at + 2).min(self.bytes.len()),
                Some(&byte) if byte == quote => {
                    self.at += 1;
                    if self.bytes.get(self.at) != Some(&quote) {
                        return self.skip_to_boundary();
                    }
                    self.at += 1;
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn dollar(&mut self) -> Kind {
        let rest = &self.bytes[self.at + 1..];
        let tag = rest
            .iter()
            .take_while(|b| is_word(**b) || b.is_ascii_digit());
        let tag = tag.count();
        if rest.get(tag) != Some(&b'$') || rest[0].is_ascii_digit() {
            self.at += 1 + tag;
            return Kind::Folded;
        }
        let from = self.at + tag + 2;
        let mark = &self.text[self.at..from];
        self.at = self.text[from..]
            .find(mark)
            .map_or(self.bytes.len(), |end| from + end + mark.len());
        Kind::Dollar
    }

    /// Digits with what sticks to them, and the sign of an exponent.
    fn number(&mut self) -> Kind {
        let start = self.at;
        loop {
            match self.bytes.get(self.at) {
                Some(b) if b.is_ascii_alphanumeric() || *b == b'_' || *b == b'.' => self.at += 1,
                Some(b'+' | b'-')
                    if self.bytes[self.at - 1].eq_ignore_ascii_case(&b'e')
                        && !self.text[start..self.at]
                            .to_ascii_lowercase()
                            .starts_with("0x")
                        && self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit) =>
                {
                    self.at += 1;
                }
                _ => return Kind::Folded,
            }
        }
    }

    /// A word, or a literal with the letter that says how to read it.
    fn word(&mut self) -> Kind {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .take_while(|b| is_word(**b) || b.is_ascii_digit() || **b == b'$')
            .count();
        let start = self.at;
        self.at += length;
        let word = self.text[start..self.at].to_ascii_lowercase();
        match (
            word.as_str(),
            self.bytes.get(self.at),
            self.bytes.get(self.at + 1),
        ) {
            ("e", Some(b'\''), _) => self.literal(true),
            ("b" | "x" | "n", Some(b'\''), _) => self.literal(false),
            ("u", Some(b'&'), Some(b'\'')) => {
                self.at += 1;
                self.literal(false)
            }
            ("u", Some(b'&'), Some(b'"')) => {
                self.at += 1;
                self.quoted(b'"', false);
                Kind::Exact
            }
            _ => Kind::Folded,
        }
    }

    /// Up to where a comment begins.
    fn operator(&mut self) -> Kind {
        while let Some(byte) = self.bytes.get(self.at).filter(|b| is_operator(**b)) {
            let comment = matches!(
                (byte, self.bytes.get(self.at + 1)),
                (b'-', Some(b'-')) | (b'/', Some(b'*'))
            );
            if comment {
                break;
            }
            self.at += 1;
        }
        Kind::Exact
    }

    /// After an escape `at` may stand inside a character.
    fn skip_to_boundary(&mut self) {
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_operator(byte: u8) -> bool {
    b"+-*/<>=~!@#%^&|`?:".contains(&byte)
}
