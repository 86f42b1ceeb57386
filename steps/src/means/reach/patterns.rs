//! Lines that mean trouble.

use flow_engine::step::StepError;
use regex::{Regex, RegexSet};

/// What a release script or an application writes when something went wrong, in the stack this protocol was made for:
/// npm, Prisma, Node, pm2, git, PostgreSQL clients, the kernel. Used when a step names no pattern of its own.
pub(crate) const ERRORS: [&str; 11] = [
    r"^npm (ERR!|error)",
    r"^(Error|TypeError|ReferenceError|SyntaxError|RangeError|GraphQLError|PrismaClient\w*Error)\b",
    r"(?i)unhandled ?(promise ?)?rejection|uncaught ?exception",
    r"\bP[1-6]\d{3}\b",
    r"(?i)\bmigrations? (have |has )?failed\b",
    r"\[PM2\]\[ERROR\]",
    r"(?i)^fatal: ",
    r"\bFATAL\b|\bPANIC\b",
    r"\b(ECONNREFUSED|ENOSPC|EADDRINUSE|ENOMEM)\b|(?i)no space left on device|out of memory",
    r"(?i)segmentation fault|command not found",
    // Lines of JSON, as pino (50 is error, 60 fatal) and winston write them.
    r#"(?i)^\s*\{.*"level"\s*:\s*("(error|fatal|crit|critical|alert|emerg)"|([5-9]\d|\d{3,})\s*[,}])"#,
];

/// The longest line that is looked at; the rest of a longer one is not.
const LINE_MAX: usize = 8 * 1024;
/// How many matching lines are kept; the first ones tell the story.
const MATCHES_MAX: usize = 20;

/// Which lines count as errors.
pub(crate) struct Patterns {
    errors: RegexSet,
    allow: RegexSet,
    colours: Regex,
    date: Regex,
}

impl Patterns {
    /// From a configuration: no pattern means [`ERRORS`]; a line that also matches `allow` does not count.
    ///
    /// Fails on a pattern that is none, naming it.
    pub(crate) fn new(errors: &[String], allow: &[String]) -> Result<Self, StepError> {
        let set = |patterns: &[String]| {
            RegexSet::new(patterns)
                .map_err(|e| StepError::fail(format!("a pattern for log lines is wrong: {e}")))
        };
        let defaults: Vec<String> = ERRORS.iter().map(|p| (*p).to_owned()).collect();
        Ok(Patterns {
            errors: set(if errors.is_empty() { &defaults } else { errors })?,
            allow: set(allow)?,
            // What pm2 puts before a line with `log_date_format`: a date, a time or both, then a colon and a space.
            date: Regex::new(
                r"^(\d{2,4}[-/.]\d{2}[-/.]\d{2,4}[T ]*)?(\d{2}:\d{2}(:\d{2})?([.,]\d+)?)? ?(Z|[+-]\d{2}:?\d{2})?: ",
            )
            .expect("a constant pattern"),
            colours: Regex::new(r"\x1b\[[0-9;]*[A-Za-z]").expect("a constant pattern"),
        })
    }

    /// A line without its colours and the date before it.
    pub(crate) fn bare(&self, line: &str) -> String {
        let line = self.colours.replace_all(line, "");
        self.date.replace(&line, "").into_owned()
    }

    /// Whether this line, its colours taken off, means trouble; with or without a date before it.
    pub(crate) fn is_error(&self, line: &str) -> bool {
        let line = self.colours.replace_all(line, "");
        let bare = self.date.replace(&line, "");
        let either = |set: &RegexSet| set.is_match(&line) || set.is_match(&bare);
        either(&self.errors) && !either(&self.allow)
    }
}

/// Lines out of pieces of bytes, with what was wrong in them and how it ended.
pub(crate) struct Lines<'a> {
    patterns: &'a Patterns,
    partial: Vec<u8>,
    tail: std::collections::VecDeque<String>,
    pub(crate) matched: Vec<String>,
    pub(crate) matches: u64,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(patterns: &'a Patterns) -> Self {
        Lines {
            patterns,
            partial: Vec::new(),
            tail: std::collections::VecDeque::new(),
            matched: Vec::new(),
            matches: 0,
        }
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let room = LINE_MAX.saturating_sub(self.partial.len());
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            self.partial
                .extend_from_slice(&text[..text.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.line();
            }
        }
    }

    /// Takes what is left as a line; answers the last lines, at most twenty.
    pub(crate) fn end(&mut self) -> Vec<String> {
        if !self.partial.is_empty() {
            self.line();
        }
        self.tail.iter().cloned().collect()
    }

    fn line(&mut self) {
        let bytes = std::mem::take(&mut self.partial);
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        if self.patterns.is_error(&line) {
            self.matches += 1;
            if self.matched.len() < MATCHES_MAX {
                self.matched.push(line.clone());
            }
        }
        if self.tail.len() == MATCHES_MAX {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_seen_in_colours_and_across_pieces_and_calm_words_are_not_trouble() {
        let patterns = Patterns::new(&[], &["ECONNREFUSED 127.0.0.1:9".into()]).unwrap();
        let mut lines = Lines::new(&patterns);
        for piece in [
            "0 errors found\n\x1b[31m[PM2][ERR",
            "OR]\x1b[39m Process a not found\nall",
            " fine\nconnect ECONNREFUSED 127.0.0.1:9\nError: P3009 migrate found failed migrations",
        ] {
            lines.take(piece.as_bytes());
        }
        let tail = lines.end();
        assert_eq!(lines.matches, 2, "{:?}", lines.matched);
        assert!(lines.matched[1].starts_with("Error: P3009"));
        assert_eq!(tail.len(), 5);
    }

    #[test]
    fn trouble_is_seen_behind_a_date_and_in_lines_of_json() {
        let patterns = Patterns::new(&[], &[]).unwrap();
        for bad in [
            "2026-11-22T20:00:00: Error: no",
            "2026-11-22 20:00:00.123 +00:00: TypeError: x",
            "22-11-2026 20:00: fatal: not a git repository",
            r#"{"level":"error","msg":"x"}"#,
            r#"{"time":1,"level":50,"msg":"x"}"#,
            r#"2026-11-22T20:00:00: {"msg":"x", "level": 60}"#,
        ] {
            assert!(patterns.is_error(bad), "{bad}");
        }
        for calm in [
            "2026-11-22T20:00:00: no Error: at all",
            r#"{"level":"info","msg":"error rate 0"}"#,
            r#"{"level":30,"msg":"x"}"#,
            r#"{"level":5,"msg":"x"}"#,
        ] {
            assert!(!patterns.is_error(calm), "{calm}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_named() {
        let error = Patterns::new(&["(".into()], &[]).err().unwrap().to_string();
        assert!(error.contains("unclosed group"), "{error}");
    }
}
