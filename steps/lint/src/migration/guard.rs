//! Refuses texts the parser must not be given: it recurses once per nesting level and some of its paths are quadratic or
//! worse in that depth (measured: 5000 parentheses in a FROM clause take 14 s and 5000 nested SELECTs more than 16 MiB of stack).

/// Brackets open at once. Hand-written SQL stays under 20.
const MAX_BRACKETS: usize = 100;
/// Tokens that can nest in one another: those since the last comma or semicolon of every open bracket. It bounds the depth
/// of the syntax tree whatever it is made of (`NOT NOT …`, `a + a + …`, nested CASE).
const MAX_CHAIN: usize = 4_000;
/// PL/pgSQL blocks, loops and conditions open at once.
const MAX_BLOCKS: usize = 100;
/// Bodies quoted in bodies.
const MAX_QUOTING: usize = 6;

/// Why a text is refused, with the byte where that was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A string, quoted name, dollar quote or comment that never ends: `PostgreSQL` refuses the file too.
    Unterminated(usize),
    /// A zero byte, which `PostgreSQL`'s protocol cannot carry.
    Zero(usize),
    /// Nested too deeply to read safely.
    TooDeep(usize),
}

/// Linear in the length of `text` (times the quoting depth, at most 6).
pub(super) fn check(text: &str) -> Result<(), Refusal> {
    match text.find('\0') {
        Some(at) => Err(Refusal::Zero(at)),
        None => Scan::new(text, 0).run(),
    }
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    quoting: usize,
    open: Vec<usize>,
    sum: usize,
    blocks: usize,
    /// The next word starts a statement.
    fresh: bool,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str, quoting: usize) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            quoting,
            open: vec![0],
            sum: 0,
            blocks: 0,
            fresh: true,
        }
    }

    fn run(mut self) -> Result<(), Refusal> {
        while let Some(&byte) = self.bytes.get(self.at) {
            let next = self.bytes.get(self.at + 1).copied();
            match byte {
                b'-' if next == Some(b'-') => self.line_comment(),
                b'/' if next == Some(b'*') => self.block_comment()?,
                b'\'' => self.string(false)?,
                b'"' => self.skip_to_quote(b'"', false).map(|_| ())?,
                b'$' => self.dollar()?,
                b'(' | b'[' => self.bracket()?,
                b')' | b']' => self.close(),
                b',' | b';' => self.separator(byte),
                _ if byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80 => self.word()?,
                _ if byte.is_ascii_whitespace() => self.at += 1,
                _ => {
                    self.at += 1;
                    self.token()?;
                }
            }
        }
        Ok(())
    }

    fn token(&mut self) -> Result<(), Refusal> {
        self.fresh = false;
        if let Some(top) = self.open.last_mut() {
            *top += 1;
        }
        self.sum += 1;
        if self.sum > MAX_CHAIN {
            return Err(Refusal::TooDeep(self.at.min(self.bytes.len())));
        }
        Ok(())
    }

    fn line_comment(&mut self) {
        self.at = self.text[self.at..]
            .find('\n')
            .map_or(self.bytes.len(), |end| self.at + end);
    }

    fn block_comment(&mut self) -> Result<(), Refusal> {
        let start = self.at;
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
                        return Ok(());
                    }
                }
                Some(_) => self.at += 1,
                None => return Err(Refusal::Unterminated(start)),
            }
            if depth > MAX_BRACKETS {
                return Err(Refusal::TooDeep(start));
            }
        }
    }

    /// Moves behind the closing quote and returns the range inside.
    fn skip_to_quote(&mut self, quote: u8, escapes: bool) -> Result<(usize, usize), Refusal> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.bytes.get(self.at) {
                None => return Err(Refusal::Unterminated(start)),
                Some(b'\\') if escapes => self.at += 2,
                Some(&byte) if byte == quote => {
                    if self.bytes.get(self.at + 1) == Some(&quote) {
                        self.at += 2;
                    } else {
                        self.at += 1;
                        self.token()?;
                        return Ok((start + 1, self.at - 1));
                    }
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn string(&mut self, escapes: bool) -> Result<(), Refusal> {
        let (from, to) = self.skip_to_quote(b'\'', escapes)?;
        self.inner(from, to)
    }

    /// The text of a string may be a body that gets parsed in turn. A short one cannot nest too deeply.
    fn inner(&self, from: usize, to: usize) -> Result<(), Refusal> {
        let text = self.text.get(from..to).unwrap_or_default();
        if text.len() <= MAX_BRACKETS {
            return Ok(());
        }
        if self.quoting >= MAX_QUOTING {
            return Err(Refusal::TooDeep(from));
        }
        match Scan::new(text, self.quoting + 1).run() {
            Err(Refusal::TooDeep(at)) => Err(Refusal::TooDeep(from + at)),
            // Prose in a string is no SQL: an apostrophe in it says nothing. A real body is judged by the parser.
            Ok(()) | Err(Refusal::Unterminated(_) | Refusal::Zero(_)) => Ok(()),
        }
    }

    fn dollar(&mut self) -> Result<(), Refusal> {
        let rest = &self.bytes[self.at + 1..];
        let tag = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_' || **byte >= 0x80)
            .count();
        let digit = rest.first().is_some_and(u8::is_ascii_digit);
        if rest.get(tag) != Some(&b'$') || digit {
            self.at += 1;
            return self.token();
        }
        let start = self.at;
        let mark = &self.text[start..start + tag + 2];
        let from = start + mark.len();
        let Some(length) = self.text[from..].find(mark) else {
            return Err(Refusal::Unterminated(start));
        };
        self.inner(from, from + length)?;
        self.at = from + length + mark.len();
        self.token()
    }

    fn bracket(&mut self) -> Result<(), Refusal> {
        self.at += 1;
        self.token()?;
        if self.open.len() > MAX_BRACKETS {
            return Err(Refusal::TooDeep(self.at));
        }
        self.open.push(0);
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        self.fresh = false;
        if self.open.len() > 1 {
            self.sum -= self.open.pop().unwrap_or(0);
        }
    }

    fn separator(&mut self, byte: u8) {
        self.at += 1;
        self.fresh = byte == b';';
        if self.fresh {
            self.open.truncate(1);
            self.sum = self.open.first().copied().unwrap_or(0);
        }
        if let Some(top) = self.open.last_mut() {
            self.sum -= *top;
            *top = 0;
        }
    }

    fn word(&mut self) -> Result<(), Refusal> {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_' || **b == b'$' || **b >= 0x80)
            .count();
        let word = self.text[self.at..self.at + length].to_ascii_lowercase();
        self.at += length;
        if word == "e" && self.bytes.get(self.at) == Some(&b'\'') {
            return self.string(true);
        }
        let fresh = self.fresh;
        self.token()?;
        match word.as_str() {
            "begin" | "if" | "loop" | "while" | "for" | "foreach" | "case" | "declare" if fresh => {
                self.blocks += 1;
            }
            "end" | "commit" if fresh => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
        self.fresh = matches!(
            word.as_str(),
            "begin" | "then" | "else" | "loop" | "declare"
        );
        if self.blocks > MAX_BLOCKS {
            return Err(Refusal::TooDeep(self.at));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_sql_passes() {
        let rows = vec!["(1, 'it''s', (2 + 3))"; 50_000].join(",\n");
        let sql =
            format!("/* /* nested */ */ insert into t values {rows}; -- 'open\nselect $$it's$$;");
        assert_eq!(check(&sql), Ok(()));
        assert_eq!(
            check(&"DO $$ BEGIN IF a THEN b := 1; END IF; END $$;\n".repeat(5000)),
            Ok(())
        );
    }

    #[test]
    fn deep_texts_are_refused_wherever_the_depth_comes_from() {
        for piece in [
            "(",
            "not ",
            "case when ",
            "1 + ",
            "union select 1 ",
            "f(1, ",
            "x[",
            "explain ",
        ] {
            let sql = format!("select {}", piece.repeat(20_000));
            assert!(matches!(check(&sql), Err(Refusal::TooDeep(_))), "{piece}");
            let body = format!("do $$ begin select {}; end $$", piece.repeat(20_000));
            assert!(matches!(check(&body), Err(Refusal::TooDeep(_))), "{piece}");
        }
        for block in ["begin perform 1; ", "if true then perform 1; "] {
            let body = format!("do $$ begin {} $$", block.repeat(500));
            assert!(matches!(check(&body), Err(Refusal::TooDeep(_))), "{block}");
        }
    }

    #[test]
    fn open_ends_are_refused() {
        for sql in [
            "select 'a",
            "select \"a",
            "select $q$ a",
            "/* /* */",
            "select e'\\'",
        ] {
            assert!(matches!(check(sql), Err(Refusal::Unterminated(_))), "{sql}");
        }
    }
}
