//! squawk's findings, by the rules that come closest to each class.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use flow_lint::migration::Migration;
use serde::Deserialize;

use crate::truth::Class;

#[derive(Deserialize)]
struct Violation {
    file: String,
    line: usize,
    #[serde(default)]
    line_end: Option<usize>,
    rule_name: String,
}

/// Classes by migration; `None` without `SQUAWK`.
pub(crate) fn run(
    folder: &Path,
    migrations: &[Migration],
) -> Option<BTreeMap<String, BTreeSet<Class>>> {
    let squawk = std::env::var_os("SQUAWK")?;
    let files: Vec<_> = migrations
        .iter()
        .filter(|each| each.unreadable.is_none())
        .collect();
    let mut found: BTreeMap<String, BTreeSet<Class>> = BTreeMap::new();
    let output = Command::new(squawk)
        .current_dir(folder)
        .args([
            "--reporter",
            "json",
            "--assume-in-transaction",
            "--pg-version",
            "15.0",
        ])
        .args(files.iter().map(|each| each.file()))
        .output()
        .expect("squawk runs");
    let all: Vec<Violation> = serde_json::from_slice(&output.stdout).expect("squawk's JSON");
    for each in all {
        let migration = files
            .iter()
            .find(|file| file.file() == each.file)
            .expect("a file it was given");
        found
            .entry(migration.name.clone())
            .or_default()
            .extend(class(&each, &migration.sql));
    }
    Some(found)
}

fn class(violation: &Violation, sql: &str) -> Option<Class> {
    Some(match violation.rule_name.as_str() {
        "ban-drop-column" => Class::DropColumn,
        "ban-drop-table" => Class::DropTable,
        "renaming-column" | "renaming-table" => Class::Rename,
        "adding-not-nullable-field" => Class::SetNotNull,
        "adding-required-field" => Class::RequiredColumn,
        // It has no rule for labels; a generated exchange of an enum drops the old type.
        "ban-drop-type" => Class::EnumValueRemoved,
        "changing-column-type" => Class::TypeChanged,
        "disallowed-unique-constraint" => Class::Unique,
        // It speaks of locks; where the index is unique, it is the nearest it has.
        "require-concurrent-index-creation" => {
            // Its lines count from 0.
            let lines = violation.line_end.unwrap_or(violation.line) + 1 - violation.line;
            let near: Vec<&str> = sql.lines().skip(violation.line).take(lines).collect();
            return near
                .join(" ")
                .to_uppercase()
                .contains("UNIQUE")
                .then_some(Class::Unique);
        }
        _ => return None,
    })
}
