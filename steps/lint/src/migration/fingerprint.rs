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

mod scan;

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::draft::Draft;
use scan::{Kind, Scan};

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
        hex::encode(hash.finalize())
    }

    /// Of the statement at this byte; of the whole file, byte for byte, where there is none.
    fn statement(&mut self, at: usize) -> [u8; 32] {
        let next = self.spans.partition_point(|(start, _)| *start <= at);
        let span = next.checked_sub(1).map(|at| self.spans[at]);
        let Some((start, end)) = span.filter(|(_, end)| at < *end) else {
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

pub(super) fn normalised(statement: &str) -> [u8; 32] {
    if statement.contains('$') {
        return hashed(tokens(statement, 0));
    }
    // Almost every statement: without a body, and so without a list of its tokens.
    let mut scan = Scan::new(statement);
    let mut all = List::default();
    while let Some((start, kind)) = scan.next() {
        all.push(&statement[start..scan.at], kind == Kind::Folded);
    }
    all.hash()
}

pub(super) fn hashed(tokens: Vec<String>) -> [u8; 32] {
    let mut all = List::default();
    for token in tokens {
        all.push(&token, false);
    }
    all.hash()
}

/// Tokens as bytes, the length of each before it.
#[derive(Default)]
struct List {
    bytes: Vec<u8>,
    /// The last statement of a file may do without: one at the end does not count.
    semicolon: bool,
}

impl List {
    fn push(&mut self, token: &str, fold: bool) {
        if std::mem::replace(&mut self.semicolon, token == ";") {
            self.add(";", false);
        }
        if !self.semicolon {
            self.add(token, fold);
        }
    }

    fn add(&mut self, token: &str, fold: bool) {
        let length = (token.len() as u64).to_be_bytes();
        self.bytes.extend_from_slice(&length);
        let from = self.bytes.len();
        self.bytes.extend_from_slice(token.as_bytes());
        if fold {
            self.bytes[from..].make_ascii_lowercase();
        }
    }

    fn hash(self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }
}

/// See the module. What is not SQL after all (a quote that never ends) is one token up to the end.
pub(super) fn tokens(text: &str, depth: usize) -> Vec<String> {
    let mut scan = Scan::new(text);
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
