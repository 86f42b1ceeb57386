//! What a finding is recognised by, wherever it stands and however it is laid out: what a waiver is bound to.
//!
//! A fingerprint is a SHA-256 over the migration's name, the rule, the level, the object, the message, the **normalised
//! statement**, and its number among equals in the file. Normalised is a statement as the list of its tokens, without
//! white space and comments, and with what `PostgreSQL` reads without regard to case (keywords and unquoted names) in lower
//! case. String literals, quoted names, numbers and operators are kept byte for byte. The body of a DO block or of a
//! function in SQL or PL/pgSQL is normalised likewise; other dollar-quoted strings are literals.
//!
//! Two spellings that mean the same may have two fingerprints (`a<-1`, `a < -1`): then somebody is asked once more. Two
//! statements that differ in more than white space, comments and case have two.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::fold::Draft;
use super::load::hex;

/// Bodies in bodies that are read; deeper ones are literals.
const MAX_DEPTH: usize = 4;

/// Fingerprints of the findings of one file.
pub(super) struct Fingerprints<'a> {
    name: &'a str,
    text: &'a str,
    /// Byte ranges of its statements.
    spans: &'a [(usize, usize)],
    /// By where the statement begins, so that one with many findings is read once.
    statements: HashMap<usize, [u8; 32]>,
    /// How often each was given.
    given: HashMap<[u8; 32], u64>,
}

impl<'a> Fingerprints<'a> {
    pub(super) fn of(name: &'a str, text: &'a str, spans: &'a [(usize, usize)]) -> Self {
        Self {
            name,
            text,
            spans,
            statements: HashMap::new(),
            given: HashMap::new(),
        }
    }

    /// The fingerprint of the next finding. The same twice gets two: who accepts one has not accepted the other.
    pub(super) fn next(&mut self, draft: &Draft) -> String {
        let statement = self.statement(draft.site.start);
        let mut hash = Sha256::new();
        for part in [
            "flow-finding-2",
            self.name,
            draft.rule.as_str(),
            draft.level.as_str(),
            draft.site.inside.as_deref().unwrap_or_default(),
            &draft.object,
        ] {
            feed(&mut hash, part.as_bytes());
        }
        // It may quote SQL.
        feed(&mut hash, &normalised(&draft.message));
        feed(&mut hash, &statement);
        let equal = hash.clone().finalize().into();
        let number = self.given.entry(equal).or_default();
        feed(&mut hash, &number.to_be_bytes());
        *number += 1;
        hex(&hash.finalize())
    }

    /// Of the statement at this byte; of the whole file, byte for byte, where there is none.
    fn statement(&mut self, at: usize) -> [u8; 32] {
        let span = self
            .spans
            .iter()
            .find(|(start, end)| *start <= at && at < *end);
        let Some(&(start, end)) = span else {
            return Sha256::digest(self.text.as_bytes()).into();
        };
        let text = self.text.get(start..end).unwrap_or_default();
        *self
            .statements
            .entry(start)
            .or_insert_with(|| normalised(text))
    }
}

/// The length first, so that no two lists of parts give the same bytes.
fn feed(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_be_bytes());
    hash.update(part);
}

fn normalised(statement: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut all = tokens(statement, 0);
    // The last statement of a file may do without.
    if all.last().is_some_and(|last| last == ";") {
        all.pop();
    }
    for token in all {
        feed(&mut hash, token.as_bytes());
    }
    hash.finalize().into()
}

/// See the module. What is not SQL after all (a quote that never ends) is one token up to the end.
pub(super) fn tokens(text: &str, depth: usize) -> Vec<String> {
    let mut scan = Scan {
        text,
        bytes: text.as_bytes(),
        at: 0,
        escapes: None,
    };
    let mut all = Vec::new();
    let mut bodies = Vec::new();
    while let Some((start, kind)) = scan.next() {
        let raw = &text[start..scan.at];
        if kind == Kind::Dollar {
            bodies.push(all.len());
        }
        all.push(match kind {
            Kind::Folded => raw.to_ascii_lowercase(),
            Kind::Exact | Kind::Dollar => raw.to_owned(),
        });
    }
    if depth < MAX_DEPTH && has_body(&all) {
        for at in bodies.into_iter().rev() {
            let inner = tokens(inside(&all[at]), depth + 1);
            all.splice(
                at..=at,
                ["$body".to_owned()]
                    .into_iter()
                    .chain(inner)
                    .chain(["$end".to_owned()]),
            );
        }
    }
    all
}

/// Whether a dollar-quoted string of this statement is code in which white space, comments and case mean nothing.
fn has_body(tokens: &[String]) -> bool {
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|each| each == word);
    let replaced = if is(1, "or") { 3 } else { 1 };
    let code =
        is(0, "do") || (is(0, "create") && (is(replaced, "function") || is(replaced, "procedure")));
    let languages = tokens.windows(2).filter(|two| two[0] == "language");
    code && languages.into_iter().all(|two| {
        let name = two[1].trim_matches(['\'', '"']);
        name == "sql" || name == "plpgsql"
    })
}

fn inside(quoted: &str) -> &str {
    let mark = quoted[1..].find('$').map_or(0, |end| end + 2);
    quoted
        .get(mark..quoted.len().saturating_sub(mark))
        .unwrap_or_default()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Read without regard to case.
    Folded,
    Exact,
    Dollar,
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Of the literal just read: a literal on a later line continues it, and is read alike.
    escapes: Option<bool>,
}

impl Scan<'_> {
    /// The next token: where it begins, and of which kind. It ends at `self.at`.
    fn next(&mut self) -> Option<(usize, Kind)> {
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
