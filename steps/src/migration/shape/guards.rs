//! Triggers and policies that migrations make and drop, by name and table.

use std::collections::BTreeSet;

use crate::drift::shape::{Name, Type};

/// `trigger` or `policy`, its name, its table.
type Guard = (String, String, Name);

/// Applies one statement.
pub(super) fn follow(statement: &str, own: &str, guards: &mut BTreeSet<Guard>) {
    let words = words(statement);
    let upper: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
    let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
    let (make, rest) = match upper.as_slice() {
        ["CREATE", rest @ ..] => (true, rest),
        ["DROP", rest @ ..] => (false, rest),
        _ => return,
    };
    let skipped = rest
        .iter()
        .take_while(|word| matches!(**word, "OR" | "REPLACE" | "CONSTRAINT"))
        .count();
    let kind = match rest.get(skipped) {
        Some(&"TRIGGER") => "trigger",
        Some(&"POLICY") => "policy",
        _ => return,
    };
    let mut at = 1 + skipped + 1;
    while matches!(upper.get(at), Some(&("IF" | "EXISTS"))) {
        at += 1;
    }
    let on = upper
        .iter()
        .skip(at)
        .position(|word| *word == "ON")
        .map(|found| at + found);
    let (Some(name), Some(table)) = (words.get(at), on.and_then(|on| words.get(on + 1))) else {
        return;
    };
    let mut table = Type::of_text(table).base;
    if table.schema == "public" || table.schema == own {
        table.schema.clear();
    }
    let guard = (kind.to_owned(), Type::of_text(name).base.name, table);
    if make {
        guards.insert(guard);
    } else {
        guards.remove(&guard);
    }
}

/// The first words, a quoted or qualified name being one.
fn words(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '-' if !quoted && chars.peek() == Some(&'-') => {
                chars.by_ref().find(|c| *c == '\n');
            }
            '"' => {
                quoted = !quoted;
                word.push(c);
            }
            c if !quoted && !(c.is_alphanumeric() || c == '_' || c == '.') => {
                if !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
        if all.len() >= 40 {
            return all;
        }
    }
    if !word.is_empty() {
        all.push(word);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_and_policies_are_followed_by_name_and_table() {
        let mut all = BTreeSet::new();
        for sql in [
            "CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON \"Task\" FOR EACH ROW EXECUTE FUNCTION f()",
            "-- a note\nCREATE OR REPLACE TRIGGER \"My Stamp\" AFTER DELETE ON public.\"Task\" EXECUTE FUNCTION f()",
            "CREATE POLICY own ON audit.entry USING (true)",
            "CREATE POLICY gone ON \"Task\" USING (true)",
            "DROP POLICY IF EXISTS gone ON \"Task\"",
            "CREATE INDEX i ON \"Task\"(id)",
        ] {
            follow(sql, "public", &mut all);
        }
        let words: Vec<String> = all
            .iter()
            .map(|(kind, name, table)| format!("{kind} {name} {table}"))
            .collect();
        assert_eq!(
            words,
            [
                "policy own \"audit\".\"entry\"",
                "trigger My Stamp \"Task\"",
                "trigger stamp \"Task\""
            ]
        );
    }
}
