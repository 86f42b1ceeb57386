//! Text that becomes part of SQL, and names that become part of the server.

use sha2::{Digest as _, Sha256};

use crate::means::psql::PgError;

/// A name in SQL, always quoted.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `schema.table` with both parts quoted.
pub(crate) fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", ident(schema), ident(name))
}

/// A text value in SQL. The escape form is used as soon as there is a backslash, so that no setting of the server
/// changes what it means. NUL cannot be in a PostgreSQL text and is dropped.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\0', "").replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// A database name made of parts and the run's id: at most 63 bytes, which is where PostgreSQL cuts silently.
pub(crate) fn database_name(stem: &str, run: &str) -> String {
    let run = run.replace('-', "_");
    let plain = format!("{stem}_{run}");
    if plain.len() <= 63 {
        return plain;
    }
    let digest = hex::encode(Sha256::digest(plain.as_bytes()));
    let room = 63 - 17;
    let mut cut = room.min(plain.len());
    while !plain.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}_{}", &plain[..cut], &digest[..16])
}

/// What people write for a table: `Table` means the schema `public`, `schema.Table` is taken as it is.
pub(crate) fn table_key(name: &str) -> String {
    if name.contains('.') {
        name.to_owned()
    } else {
        format!("public.{name}")
    }
}

/// A folder from the configuration that becomes an argument of `dd`, `mv` and `sync`.
pub(crate) fn check_dir(dir: &str) -> Result<(), PgError> {
    if dir.starts_with('/') && dir.len() < 1000 && !dir.contains(|c: char| c.is_control()) {
        Ok(())
    } else {
        Err(PgError::Config(format!(
            "`{}` is no usable folder: give an absolute path",
            dir.escape_debug()
        )))
    }
}

/// The first part of a file name from the configuration.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), PgError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let first = prefix.chars().next();
    if prefix.len() <= 64
        && first.is_some_and(|c| c.is_ascii_alphanumeric())
        && prefix.chars().all(legal)
    {
        Ok(())
    } else {
        Err(PgError::Config(format!(
            "`{}` is no usable file name prefix: use letters, digits, `.`, `_` and `-`",
            prefix.escape_debug()
        )))
    }
}

/// `1 row`, `2 rows`.
pub(crate) fn rows(n: u64) -> String {
    format!("{n} row{}", if n == 1 { "" } else { "s" })
}

/// At most `max` names, and how many more there are.
pub(crate) fn some_of(names: &[String], max: usize) -> String {
    let shown: Vec<&str> = names.iter().take(max).map(String::as_str).collect();
    let text = shown.join(", ");
    match names.len().saturating_sub(max) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// A key as people see it. Numbers and UUIDs stand as they are. Any other part may be an address, a name or a phone
/// number and becomes the beginning of its SHA-256, by which somebody with the database can still find it:
/// `encode(sha256(convert_to(key, 'UTF8')), 'hex')`.
pub(crate) fn key_in_words(parts: &[String], numbered: &[bool]) -> String {
    let word = |(part, number): (&String, &bool)| {
        if *number || is_uuid(part) {
            return part.clone();
        }
        let digest = hex::encode(Sha256::digest(part.as_bytes()));
        format!("sha256 {}", &digest[..12])
    };
    let words: Vec<String> = parts.iter().zip(numbered).map(word).collect();
    format!("({})", words.join(","))
}

fn is_uuid(text: &str) -> bool {
    let digits = |(i, c): (usize, char)| match i {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.char_indices().all(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_in_values_and_names_stay_inside() {
        assert_eq!(literal("a'b"), "'a''b'");
        assert_eq!(literal(r"a\'; DROP"), r"E'a\\''; DROP'");
        assert_eq!(ident("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn a_long_database_name_is_shortened_and_stays_distinct() {
        let a = database_name("flow_restore", &"a".repeat(63));
        let b = database_name("flow_restore", &format!("{}b", "a".repeat(62)));
        assert!(a.len() <= 63 && b.len() <= 63);
        assert_ne!(a, b);
        assert_eq!(database_name("flow_x", "r-1"), "flow_x_r_1");
    }

    #[test]
    fn folders_and_prefixes_that_would_be_options_are_refused() {
        assert!(check_dir("-rf").is_err());
        assert!(check_dir("/var/backups").is_ok());
        assert!(check_prefix("-x").is_err());
        assert!(check_prefix("../x").is_err());
        assert!(check_prefix("prod").is_ok());
    }

    #[test]
    fn only_numbers_and_uuids_are_told_of_a_key() {
        let words = |part: &str, number| key_in_words(&[part.to_owned()], &[number]);
        assert_eq!(words("17", true), "(17)");
        let uuid = "0192d0f4-7c1e-7a6b-9a53-0123456789ab";
        assert_eq!(words(uuid, false), format!("({uuid})"));
        for personal in [
            "a@example.org",
            "Two Words",
            "",
            "4915112345678",
            "müller-0192d0f4-7c1e-7a6b-9a53-01",
        ] {
            let told = words(personal, false);
            assert!(told.starts_with("(sha256 ") && told.len() == 21, "{told}");
        }
        let both = key_in_words(&["7".into(), "a@example.org".into()], &[true, false]);
        assert!(
            both.starts_with("(7,sha256 ") && !both.contains('@'),
            "{both}"
        );
    }
}
