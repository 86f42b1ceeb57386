//! What servers and migrations say, without the rows they quote: such words go into the journal, mails and exports.

/// Parts of a server's message that quote rows, parameters or statements.
const QUOTING: [&str; 5] = ["DETAIL:", "CONTEXT:", "STATEMENT:", "QUERY:", "LINE "];
/// What begins another part or another message. Anything else after a quoting part may still be the quoted value.
const NEXT: [&str; 6] = [
    "ERROR:",
    "FATAL:",
    "HINT:",
    "LOCATION:",
    "psql:",
    "pg_dump:",
];
/// The most characters of a migration's own words.
const LOG_MAX: usize = 200;

/// A program's error output without the parts that quote rows, and with addresses and rejected values masked.
pub(crate) fn of_server(text: &str) -> String {
    let mut quoting = false;
    let mut kept = Vec::new();
    for line in text.lines() {
        if NEXT.iter().any(|n| line.starts_with(n)) {
            quoting = false;
        }
        if let Some(at) = QUOTING.iter().filter_map(|q| line.find(q)).min() {
            // `LINE ` only at the start of a line: elsewhere it is a word.
            if at == 0 || !line[at..].starts_with("LINE ") {
                quoting = true;
                if at > 0 {
                    kept.push(masked(line[..at].trim_end()));
                }
                continue;
            }
        }
        if !quoting {
            kept.push(masked(line));
        }
    }
    kept.join("\n").trim().to_owned()
}

/// The error's own line from what a migration left in its log, bounded. Prisma writes a preamble, then the code, the
/// server's message with its details, and the same once more as a structure.
pub(crate) fn of_log(logs: &str) -> String {
    let starts = |word: &str| logs.lines().find(|l| l.trim_start().starts_with(word));
    let code = starts("Database error code:");
    let error = starts("ERROR:").or_else(|| logs.lines().find(|l| !l.trim().is_empty()));
    let picked: Vec<&str> = code.into_iter().chain(error).map(str::trim).collect();
    let told = of_server(&picked.join("; "));
    told.chars().take(LOG_MAX).collect()
}

/// A line in which no address and no value the server rejected is left.
fn masked(line: &str) -> String {
    // `invalid input syntax for type integer: "…"`, `invalid input value for enum "Role": "…"`.
    let line = match (line.find("invalid input"), line.find(": \"")) {
        (Some(_), Some(at)) => format!("{}: (value withheld)", &line[..at]),
        _ => line.to_owned(),
    };
    let hidden = |word: &str| {
        let address = word
            .find('@')
            .is_some_and(|at| at > 0 && at + 1 < word.len());
        if address { "(address)" } else { word }.to_owned()
    };
    line.split(' ').map(hidden).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_a_server_quotes_are_left_out_even_over_several_lines() {
        let said = "psql:<stdin>:4: ERROR:  duplicate key value violates unique constraint \"User_email_key\"\n\
                    DETAIL:  Key (email)=(anna@example.org\nsecond line) already exists.\n\
                    CONTEXT:  COPY User, line 1\nLOCATION:  somewhere";
        assert_eq!(
            of_server(said),
            "psql:<stdin>:4: ERROR:  duplicate key value violates unique constraint \"User_email_key\"\nLOCATION:  somewhere"
        );
        let said = "ERROR: invalid input value for enum \"Role\": \"Anna Example\"";
        assert_eq!(
            of_server(said),
            "ERROR: invalid input value for enum \"Role\": (value withheld)"
        );
        assert_eq!(
            of_server("FATAL: no anna@example.org here"),
            "FATAL: no (address) here"
        );
        assert_eq!(of_server("docker: no container"), "docker: no container");
    }

    #[test]
    fn a_migrations_log_is_its_code_and_its_error_and_never_long() {
        let log = "A migration failed to apply.\n\nMigration name: 2026\n\nDatabase error code: 23505\n\nDatabase error:\n\
                   ERROR: could not create unique index \"a\"\nDETAIL: Key (email)=(a@example.org) is duplicated.\n\n\
                   DbError { detail: Some(\"Key (email)=(a@example.org)\") }";
        assert_eq!(
            of_log(log),
            "Database error code: 23505; ERROR: could not create unique index \"a\""
        );
        assert_eq!(of_log("ERROR: no DETAIL: Key (n)=(Anna)"), "ERROR: no");
        assert_eq!(of_log(&"x".repeat(5000)).len(), LOG_MAX);
    }
}
