//! Names that Prisma gives to keys and constraints: as PostgreSQL would, cut so that the end stays whole.

/// The longest identifier.
pub(super) const MOST: usize = 63;

/// The name Prisma gives: table, columns and suffix with `_` between, such as `table_column_column_key`.
pub(super) fn made(table: &str, columns: &[String], suffix: &str) -> String {
    cut(&format!("{table}_{}", columns.join("_")), suffix)
}

/// The name with its suffix, at most 63 bytes; never in the middle of a character.
pub(super) fn cut(name: &str, suffix: &str) -> String {
    let mut end = name.len().min(MOST - suffix.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_before_its_end() {
        let columns = ["a".repeat(40), "b".repeat(40)];
        let name = made("Task", &columns, "_key");
        assert_eq!(name.len(), 63);
        assert!(
            name.starts_with("Task_aaaa") && name.ends_with("b_key"),
            "{name}"
        );
        assert_eq!(made("Task", &["id".to_owned()], "_idx"), "Task_id_idx");
        assert!(cut(&"ü".repeat(40), "_pkey").ends_with("ü_pkey"));
    }
}
