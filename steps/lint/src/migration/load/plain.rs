//! A plain folder of SQL files, as dbmate, goose, golang-migrate, Flyway and many scripts keep them.

use std::cmp::Ordering;
use std::path::PathBuf;

use super::{LoadError, Migration};

/// Reads the files that lead forward, in the order of their numbers.
pub(super) fn read(files: Vec<(String, PathBuf)>) -> Result<Vec<Migration>, LoadError> {
    let forward = files.into_iter().filter(|(name, _)| !undoes(name));
    let mut all = forward
        .map(|(name, path)| super::read(name, &path))
        .collect::<Result<Vec<_>, _>>()?;
    all.sort_by(|a, b| by_number(&a.name, &b.name));
    for each in &mut all {
        let end = forward_part(&each.sql).len();
        each.sql.truncate(end);
    }
    Ok(all)
}

fn undoes(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let flyway = name
        .strip_prefix('U')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains("__"));
    flyway || lower.ends_with(".down.sql") || lower.ends_with("_down.sql") || lower == "down.sql"
}

/// `2_b.sql` before `10_a.sql`; names without a number after those with one.
fn by_number(a: &str, b: &str) -> Ordering {
    let number = |name: &str| {
        let digits: String = name
            .trim_start_matches(['V', 'v'])
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse::<u128>().unwrap_or(u128::MAX)
    };
    number(a).cmp(&number(b)).then_with(|| a.cmp(b))
}

/// The text before the part that undoes it.
fn forward_part(sql: &str) -> &str {
    let mut at = 0;
    for line in sql.split_inclusive('\n') {
        let mark = line.trim().strip_prefix("--").map(str::trim_start);
        if mark
            .is_some_and(|mark| mark.starts_with("migrate:down") || mark.starts_with("+goose Down"))
        {
            return &sql[..at];
        }
        at += line.len();
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_ordered_by_number_and_what_undoes_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for (name, sql) in [
            ("10_c.sql", "SELECT 3;"),
            (
                "2_b.sql",
                "-- migrate:up\nSELECT 2;\n-- migrate:down\nDROP TABLE t;\n",
            ),
            ("1_a.up.sql", "SELECT 1;"),
            ("1_a.down.sql", "DROP TABLE t;"),
            ("U3__x.sql", "DROP TABLE t;"),
            ("notes.txt", "x"),
        ] {
            std::fs::write(dir.path().join(name), sql).unwrap();
        }
        let read = crate::migration::read_folder(dir.path()).unwrap();
        let names: Vec<_> = read.iter().map(Migration::file).collect();
        assert_eq!(names, ["1_a.up.sql", "2_b.sql", "10_c.sql"]);
        assert_eq!(read[1].sql, "-- migrate:up\nSELECT 2;\n");
    }
}
