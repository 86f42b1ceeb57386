//! Reading a plain dump as it passes: how many rows each table has in it, and whether it is whole.

use std::collections::{BTreeMap, VecDeque};

/// What `pg_dump` writes at the very end, before a possible `\unrestrict`.
const COMPLETE: &[u8] = b"-- PostgreSQL database dump complete";
/// Where the end is looked for.
const TAIL: usize = 4096;
/// The longest line outside of data whose beginning matters: 1,600 columns with names of 63 bytes and their quotes.
const HEAD: usize = 256 * 1024;

/// How many announced objects are kept: a load is never further behind than what is in the buffers.
const HEADS_MAX: usize = 20_000;

/// Counts while bytes pass through in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct DumpScanner {
    rows: BTreeMap<String, u64>,
    /// The table whose data is passing.
    table: Option<String>,
    count: u64,
    /// The beginning of the line under way.
    line: Vec<u8>,
    tail: Vec<u8>,
    bytes: u64,
    lines: u64,
    /// The lines that announce an object, with their numbers: what an error in a later line is about.
    heads: VecDeque<(u64, String)>,
}

impl DumpScanner {
    /// Takes the next piece.
    pub(crate) fn take(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.keep_tail(chunk);
        for piece in chunk.split_inclusive(|b| *b == b'\n') {
            // Of a row of data only enough is kept to know the line that ends the data.
            let keep = if self.table.is_some() { 4 } else { HEAD };
            let room = keep - self.line.len().min(keep);
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn keep_tail(&mut self, chunk: &[u8]) {
        let from = chunk.len().saturating_sub(TAIL);
        self.tail.extend_from_slice(&chunk[from..]);
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
    }

    fn end_line(&mut self) {
        self.lines += 1;
        if self.table.is_none() && is_open(&self.line) {
            return;
        }
        let line = std::mem::take(&mut self.line);
        if let Some(table) = &self.table {
            if line == b"\\.\n" {
                *self.rows.entry(table.clone()).or_default() += self.count;
                self.table = None;
                self.count = 0;
            } else {
                self.count += 1;
            }
        } else if let Some(table) = copy_of(&line) {
            self.table = Some(table);
        } else if let Some(head) = head_of(&line) {
            if self.heads.len() == HEADS_MAX {
                self.heads.pop_front();
            }
            self.heads.push_back((self.lines, head));
        }
    }

    /// The object a line of the dump belongs to, such as `MATERIALIZED VIEW public.words`.
    pub(crate) fn object_at(&self, line: u64) -> Option<&str> {
        let before = self.heads.iter().rev().find(|(at, _)| *at <= line);
        before.map(|(_, head)| head.as_str())
    }

    /// Rows by `schema.table`, of the tables whose data ended.
    pub(crate) fn rows(&self) -> &BTreeMap<String, u64> {
        &self.rows
    }

    /// How much has passed.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the dump says that it is complete and no table was left in the middle.
    pub(crate) fn is_complete(&self) -> bool {
        self.table.is_none() && self.tail.windows(COMPLETE.len()).any(|w| w == COMPLETE)
    }
}

/// The object that a comment of `pg_dump` announces: `-- Name: x; Type: y; Schema: z; Owner: o`. Line breaks in names
/// are blanks there.
fn head_of(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?.trim_end();
    let text = text
        .strip_prefix("-- Name: ")
        .or_else(|| text.strip_prefix("-- Data for Name: "))?;
    let (name, rest) = text.split_once("; Type: ")?;
    let (kind, rest) = rest.split_once("; Schema: ")?;
    let schema = rest.split("; ").next().unwrap_or_default();
    let whole = match schema {
        "-" | "" => format!("{kind} {name}"),
        schema => format!("{kind} {schema}.{name}"),
    };
    Some(whole.chars().take(200).collect())
}

/// Whether a line that begins a `COPY` ends within a quoted name: a name may hold line breaks, and then the statement
/// goes on in the next line.
fn is_open(line: &[u8]) -> bool {
    line.starts_with(b"COPY ") && line.len() < HEAD && line.split(|b| *b == b'"').count() % 2 == 0
}

/// The table of a line `COPY schema.table (…) FROM stdin;`.
fn copy_of(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?;
    let text = text.strip_suffix(" FROM stdin;\n")?.strip_prefix("COPY ")?;
    let (schema, rest) = name(text)?;
    let (table, _) = name(rest.strip_prefix('.')?)?;
    Some(format!("{schema}.{table}"))
}

/// One name, quoted or not, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['.', ' '])?;
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut out = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            out.push(c);
        } else if chars.next_if(|(_, next)| *next == '"').is_some() {
            out.push('"');
        } else {
            return Some((out, &quoted[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &[u8] = b"SET x = 1;\nCOPY public.\"Us\"\"er\" (id, name) FROM stdin;\n1\ta\n2\tCOPY x.y (z) FROM stdin;\n\\.\n\n\
COPY auth.users (id) FROM stdin;\n\\.\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict x\n";

    #[test]
    fn rows_are_counted_whatever_the_pieces() {
        for size in [1, 2, 3, 7, 64, 10_000] {
            let mut scanner = DumpScanner::default();
            DUMP.chunks(size).for_each(|c| scanner.take(c));
            let rows: Vec<_> = scanner
                .rows()
                .iter()
                .map(|(k, n)| (k.as_str(), *n))
                .collect();
            assert_eq!(rows, [("auth.users", 0), ("public.Us\"er", 2)]);
            assert!(scanner.is_complete());
        }
    }

    #[test]
    fn a_line_belongs_to_the_object_that_was_announced_before_it() {
        let mut scanner = DumpScanner::default();
        scanner.take(b"SET x = 1;\n--\n-- Name: words; Type: MATERIALIZED VIEW; Schema: public; Owner: -\n--\n\nCREATE\n");
        scanner.take(b"-- Data for Name: t; Type: TABLE DATA; Schema: aux; Owner: o\nCOPY aux.t (a) FROM stdin;\n1\n\\.\n");
        assert_eq!(scanner.object_at(2), None);
        assert_eq!(scanner.object_at(6), Some("MATERIALIZED VIEW public.words"));
        assert_eq!(scanner.object_at(10), Some("TABLE DATA aux.t"));
    }

    #[test]
    fn a_name_may_hold_line_breaks() {
        let dump = b"COPY public.\"a\n\"\"b\" (\"c\nd\", e) FROM stdin;\n1\t2\n\\.\nCOPY \"x FROM stdin;\n1\".y (z) FROM stdin;\n7\n8\n\\.\n";
        for size in [1, 5, 1000] {
            let mut scanner = DumpScanner::default();
            dump.chunks(size).for_each(|c| scanner.take(c));
            let rows: Vec<_> = scanner
                .rows()
                .iter()
                .map(|(k, n)| (k.as_str(), *n))
                .collect();
            assert_eq!(rows, [("public.a\n\"b", 1), ("x FROM stdin;\n1.y", 2)]);
        }
    }

    #[test]
    fn a_dump_cut_anywhere_is_not_complete() {
        let end = DUMP.len() - b" complete\n--\n\n\\unrestrict x\n".len();
        for cut in (0..end).step_by(5) {
            let mut scanner = DumpScanner::default();
            scanner.take(&DUMP[..cut]);
            assert!(!scanner.is_complete(), "cut at {cut}");
        }
    }
}
