//! What `flow`'s own acts leave in an application's log: writes that were refused while the database was frozen, and
//! sessions that were ended when it was opened again.
//!
//! The same words mean trouble at any other time, so they are forgiven by their place in the log only, never by what
//! they say alone. One error is often many lines: it is explained when one of them says why.

use regex::{Regex, RegexSet};

use crate::means::reach::patterns::Patterns;

/// A session that the server ended, as PostgreSQL, Prisma's engine, node-pg, and what is built on them say it.
const ENDED: [&str; 6] = [
    r"\b57P01\b",
    r"(?i)terminating connection due to administrator command",
    r"(?i)\bconnection terminated\b",
    r"(?i)server (has )?closed the connection",
    r"\bP1017\b",
    r"kind: Closed\b",
];
/// A write that a read-only database refused.
const REFUSED: [&str; 2] = [r"\b25006\b", r"(?i)in a read-only transaction"];
/// The first line of an error of Prisma's client; why it came stands some lines below, not indented.
const PRISMA: &str = r"^PrismaClient\w*Error\b|^Invalid `";
/// The first line of another error.
const HEAD: &str = r"^(\w*Error( \[\w+\])?:|\{)";
/// The most lines of an error of Prisma's client before its reason.
const PRISMA_LINES: usize = 12;

pub(super) struct Aftermath {
    ended: RegexSet,
    refused: RegexSet,
    prisma: Regex,
    head: Regex,
}

impl Aftermath {
    pub(super) fn new() -> Self {
        let set = |patterns: &[&str]| RegexSet::new(patterns).expect("constant patterns");
        let one = |pattern: &str| Regex::new(pattern).expect("a constant pattern");
        Aftermath {
            ended: set(&ENDED),
            refused: set(&REFUSED),
            prisma: one(PRISMA),
            head: one(HEAD),
        }
    }

    /// Whether a line speaks of a session that was ended.
    pub(super) fn is_end(&self, line: &str) -> bool {
        self.ended.is_match(line)
    }

    /// The error lines, by their place among these, that nothing around them explains.
    pub(super) fn unexplained(&self, patterns: &Patterns, lines: &[&str]) -> Vec<usize> {
        let bare: Vec<String> = lines.iter().map(|line| patterns.bare(line)).collect();
        let explained = |line: &String| self.ended.is_match(line) || self.refused.is_match(line);
        let mut found = Vec::new();
        let mut begin = 0;
        while begin < bare.len() {
            let end = self.end_of_block(&bare, begin);
            if !bare[begin..end].iter().any(explained) {
                found.extend((begin..end).filter(|i| patterns.is_error(lines[*i])));
            }
            begin = end;
        }
        found
    }

    /// Where what begins at a line ends: before the next line that begins something.
    fn end_of_block(&self, bare: &[String], begin: usize) -> usize {
        let prisma = self.prisma.is_match(&bare[begin]);
        let goes_on = |(n, line): (usize, &String)| {
            let part = line.is_empty() || line.starts_with([' ', '\t', '}', ']', ')']);
            let reason = prisma && n < PRISMA_LINES && !self.head.is_match(line);
            part || reason
        };
        let rest = bare[begin + 1..].iter().enumerate();
        begin + 1 + rest.take_while(|next| goes_on(*next)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unexplained(text: &str) -> Vec<&str> {
        let patterns = Patterns::new(&[], &[]).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let found = Aftermath::new().unexplained(&patterns, &lines);
        found.into_iter().map(|i| lines[i]).collect()
    }

    #[test]
    fn what_ended_sessions_and_refused_writes_leave_behind_is_explained() {
        let prisma_engine = "2026-11-29T16:00:00: prisma:error Error in PostgreSQL connection: Error { kind: Db, cause: Some(DbError { \
            severity: \"FATAL\", parsed_severity: Some(Fatal), code: SqlState(\"57P01\"), \
            message: \"terminating connection due to administrator command\" }) }";
        let prisma_client = "PrismaClientKnownRequestError: \nInvalid `prisma.user.findMany()` invocation:\n\n\n\
            Server has closed the connection.\n    at Ln.handle (x.js:1:1) {\n  code: 'P1017',\n  meta: {}\n}";
        let node_pg = "node:events:497\n      throw er; // Unhandled 'error' event\n      ^\n\n\
            error: terminating connection due to administrator command\n    at Parser.parseErrorMessage (p.js:1:1)\n\
            Emitted 'error' event on BoundPool instance at:\n    at Client.idleListener (i.js:1:1) {\n  length: 116,\n  \
            severity: 'FATAL',\n  code: '57P01',\n  routine: 'ProcessInterrupts'\n}\n\nNode.js v20.20.2";
        let unexpectedly =
            "Error: Connection terminated unexpectedly\n    at Connection.<anonymous> (c.js:1:1)";
        let read_only = "2026-11-29T16:00:00: PrismaClientUnknownRequestError: \nInvalid `prisma.a.create()` invocation:\n\n\
            Error occurred during query execution:\nConnectorError(ConnectorError { kind: QueryError(PostgresError { code: \"25006\", \
            message: \"cannot execute INSERT in a read-only transaction\", severity: \"ERROR\" }) })";
        let json = r#"{"level":50,"err":{"type":"Error","message":"terminating connection due to administrator command"}}"#;
        for text in [
            prisma_engine,
            prisma_client,
            node_pg,
            unexpectedly,
            read_only,
            json,
        ] {
            assert_eq!(unexplained(text), Vec::<&str>::new(), "{text}");
        }
    }

    #[test]
    fn another_error_beside_them_is_not_explained_by_them() {
        let text = "TypeError: x is undefined\n    at y (z.js:1:1)\nError: Connection terminated unexpectedly\n    at c\n\
            PrismaClientKnownRequestError: \nInvalid `prisma.a.create()` invocation:\n\nUnique constraint failed\n  code: 'P2002'\n\
            ReferenceError: q is not defined\n    at w";
        assert_eq!(
            unexplained(text),
            [
                "TypeError: x is undefined",
                "PrismaClientKnownRequestError: ",
                "  code: 'P2002'",
                "ReferenceError: q is not defined"
            ]
        );
    }
}
