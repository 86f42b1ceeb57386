//! What a `schema.prisma` says about tables, read line by line: enough for a draft that people review.

use std::collections::{BTreeMap, BTreeSet};

/// The columns of each table, as the database calls them.
pub(super) type Tables = BTreeMap<String, Vec<String>>;

/// Reads the models of one or more files.
pub(super) fn tables(texts: &[String]) -> Tables {
    let blocks: Vec<(String, Vec<&str>)> = texts.iter().flat_map(|text| blocks(text)).collect();
    let models: BTreeSet<&str> = blocks.iter().map(|(name, _)| name.as_str()).collect();
    let mut tables = Tables::new();
    for (model, lines) in &blocks {
        let mut table = model.clone();
        let mut columns = Vec::new();
        for line in lines {
            if let Some(mapped) = line.strip_prefix("@@map") {
                table = quoted(mapped).unwrap_or(table);
            } else if let Some(column) = column(line, &models) {
                columns.push(column);
            }
        }
        tables.insert(table, columns);
    }
    tables
}

/// The schema of the database that the datasource names in its URL, where it stands there in clear.
pub(super) fn provider(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| {
        line.strip_prefix("provider").is_some_and(|rest| {
            rest.trim_start().starts_with('=') && !rest.contains("prisma-client")
        })
    })?;
    quoted(line)
}

/// Each model with the lines between its braces.
fn blocks(text: &str) -> Vec<(String, Vec<&str>)> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    let mut open = false;
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("model ") {
            let name = rest.trim_end_matches('{').trim();
            open = is_identifier(name);
            if open {
                found.push((name.to_owned(), Vec::new()));
            }
        } else if line.starts_with('}') {
            open = false;
        } else if open && let Some((_, lines)) = found.last_mut() {
            lines.push(line);
        }
    }
    found
}

/// The column of a field; nothing for relations, which are none, and for what is no field.
fn column(line: &str, models: &BTreeSet<&str>) -> Option<String> {
    let mut words = line.split_ascii_whitespace();
    let (field, kind) = (words.next()?, words.next()?);
    if !is_identifier(field) {
        return None;
    }
    let plain = kind.trim_end_matches(['?', ']', '[']);
    if models.contains(plain) {
        return None;
    }
    let mapped = line.find("@map").and_then(|at| quoted(&line[at..]));
    Some(mapped.unwrap_or_else(|| field.to_owned()))
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The first text in quotes; a name of a table or column at the most.
fn quoted(text: &str) -> Option<String> {
    let name = text.split('"').nth(1)?;
    let fits = !name.is_empty()
        && name.len() <= 63
        && name.chars().all(flow_steps::means::plain::is_plain);
    fits.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_as_the_database_has_them_and_relations_are_none() {
        let text = "datasource db {\n  provider = \"postgresql\"\n}\nenum Kind {\n A\n}\n\
            model Customer {\n  id Int @id\n  contactName String? @map(\"contact_name\")\n  kind Kind\n  tags String[]\n\
              tasks Task[]\n  // not a field\n  @@map(\"customers\")\n}\nmodel Task {\n  id Int @id\n  owner Customer? @relation(fields: [ownerId], references: [id])\n  ownerId Int\n}\n";
        let found = tables(&[text.to_owned()]);
        assert_eq!(found["customers"], ["id", "contact_name", "kind", "tags"]);
        assert_eq!(found["Task"], ["id", "ownerId"]);
        assert_eq!(found.len(), 2);
        assert_eq!(provider(text).as_deref(), Some("postgresql"));
    }

    #[test]
    fn a_hostile_schema_gives_names_or_nothing() {
        let text = "model A\u{1b}[31m {\n id Int\n}\nmodel B {\n x String @map(\"a\\n[env.prod]\")\n y\u{202e} Int\n z Int @map(\"\u{1b}\")\n";
        let found = tables(&[text.to_owned()]);
        assert_eq!(found.len(), 1);
        assert_eq!(found["B"], ["a\\n[env.prod]", "z"]);
    }
}
