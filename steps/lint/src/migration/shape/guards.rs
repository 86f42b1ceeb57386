//! Triggers and policies that migrations make and drop, and row-level security that they switch, by name and table.

use std::collections::BTreeSet;

use crate::shape::{Guard, Name, ROW_SECURITY, Type};

/// Applies one statement.
pub(super) fn follow(statement: &str, own: &str, guards: &mut BTreeSet<Guard>) {
    let words = words(statement);
    let upper: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
    let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
    let (make, rest) = match upper.as_slice() {
        ["ALTER", "TABLE", ..] => return alter(&words, &upper, own, guards),
        ["DROP", "TABLE", ..] => {
            let gone = |word: &String| table_of(word, own);
            let gone: Vec<Name> = words.iter().skip(2).map(gone).collect();
            guards.retain(|(_, _, table)| !gone.contains(table));
            return;
        }
        ["DROP", "SCHEMA", ..] => {
            let gone = |word: &String| schema_of(word, own);
            let gone: Vec<String> = words.iter().skip(2).map(gone).collect();
            guards.retain(|(_, _, table)| !gone.contains(&table.schema));
            return;
        }
        ["ALTER", "SCHEMA", _, "RENAME", "TO", _] => {
            let (from, to) = (schema_of(&words[2], own), schema_of(&words[5], own));
            let moved = |(kind, name, mut table): Guard| {
                if table.schema == from {
                    table.schema.clone_from(&to);
                }
                (kind, name, table)
            };
            *guards = std::mem::take(guards).into_iter().map(moved).collect();
            return;
        }
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
    let guard = (
        kind.to_owned(),
        Type::of_text(name).base.name,
        table_of(table, own),
    );
    if make {
        guards.insert(guard);
    } else {
        guards.remove(&guard);
    }
}

fn table_of(word: &str, own: &str) -> Name {
    let mut table = Type::of_text(word).base;
    if table.schema == "public" || table.schema == own {
        table.schema.clear();
    }
    table
}

/// As the schemas of tables are kept here.
fn schema_of(word: &str, own: &str) -> String {
    let schema = Type::of_text(word).base.name;
    if schema == "public" || schema == own {
        return String::new();
    }
    schema
}

/// Flags of row-level security, and another name.
fn alter(words: &[String], upper: &[&str], own: &str, guards: &mut BTreeSet<Guard>) {
    let passed = |word: &&&str| matches!(**word, "IF" | "EXISTS" | "ONLY");
    let at = 2 + upper.iter().skip(2).take_while(passed).count();
    let Some(name) = words.get(at) else {
        return;
    };
    let table = table_of(name, own);
    for (n, window) in upper.windows(4).enumerate().skip(at + 1) {
        let (flag, on) = match window {
            ["ENABLE", "ROW", "LEVEL", "SECURITY"] => ("enabled", true),
            ["DISABLE", "ROW", "LEVEL", "SECURITY"] => ("enabled", false),
            ["FORCE", "ROW", "LEVEL", "SECURITY"] => ("forced", upper[n - 1] != "NO"),
            _ => continue,
        };
        let guard = (ROW_SECURITY.to_owned(), flag.to_owned(), table.clone());
        if on {
            guards.insert(guard);
        } else {
            guards.remove(&guard);
        }
    }
    if let (Some(&"RENAME"), Some(&"TO"), Some(new)) =
        (upper.get(at + 1), upper.get(at + 2), words.get(at + 3))
    {
        let mut renamed = table_of(new, own);
        renamed.schema.clone_from(&table.schema);
        let moved: Vec<Guard> = guards
            .iter()
            .filter(|(.., on)| *on == table)
            .cloned()
            .collect();
        for guard in moved {
            guards.remove(&guard);
            guards.insert((guard.0, guard.1, renamed.clone()));
        }
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
            c if !(quoted || c.is_alphanumeric() || c == '_' || c == '.') => {
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
            "ALTER TABLE \"Task\" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            "ALTER TABLE IF EXISTS ONLY audit.entry ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE audit.entry NO FORCE ROW LEVEL SECURITY",
            "CREATE POLICY old ON former USING (true)",
            "ALTER TABLE former RENAME TO later",
            "CREATE POLICY lost ON passing USING (true)",
            "DROP TABLE IF EXISTS passing CASCADE",
            "CREATE POLICY gone ON \"audit log\".entry USING (true)",
            "CREATE POLICY moved ON former.entry USING (true)",
            "DROP SCHEMA IF EXISTS other, \"audit log\" CASCADE",
            "ALTER SCHEMA former RENAME TO now",
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
                "policy moved \"now\".\"entry\"",
                "policy old \"later\"",
                "policy own \"audit\".\"entry\"",
                "row-level security enabled \"Task\"",
                "row-level security enabled \"audit\".\"entry\"",
                "row-level security forced \"Task\"",
                "trigger My Stamp \"Task\"",
                "trigger stamp \"Task\""
            ]
        );
    }
}
