//! Rows of before that are not as they were, told by sums alone: there is no backup of test and staging to compare with.

use std::collections::BTreeMap;

use super::super::state::{Bucket, TableState};
use crate::means::psql::text::rows;

/// What became of the rows of before, where that can be told: equal sums settle a part, and a part that has as many rows as
/// before lost or changed one when its sums differ. In a part that has more rows, new ones hide the others; there are 1,024.
///
/// Nothing for a table whose sums are of other columns.
pub(super) fn changed(was: &TableState, is: &TableState) -> Option<String> {
    let comparable = was.columns.len() == is.columns.len() && was.key == is.key;
    if !comparable || (was.rows_hash == is.rows_hash && was.rows == is.rows) {
        return None;
    }
    let now: BTreeMap<u16, &Bucket> = is.buckets.iter().map(|b| (b.0, b)).collect();
    let (mut lost, mut other) = (0, 0);
    for Bucket(number, count, keys, sum) in &was.buckets {
        let (n, k, r) = now
            .get(number)
            .map_or((0, "", ""), |b| (b.1, b.2.as_str(), b.3.as_str()));
        if n < *count {
            lost += count - n;
        } else if n == *count && k != keys {
            lost += 1;
        } else if n == *count && r != sum {
            other += 1;
        }
    }
    let word = |n: u64, what: &str| (n > 0).then(|| format!("at least {} {what}", rows(n)));
    let words = [word(lost, "LOST"), word(other, "CHANGED")];
    let words: Vec<String> = words.into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::super::catalog::Column;
    use super::*;

    fn table(buckets: &[(u16, u64, &str, &str)]) -> TableState {
        let sums = buckets.iter().map(|b| (b.1, b.3));
        TableState {
            schema: "public".into(),
            name: "t".into(),
            rows: sums.clone().map(|s| s.0).sum(),
            live_rows: None,
            marked: BTreeMap::new(),
            columns: vec![Column {
                name: "id".into(),
                type_: "integer".into(),
            }],
            key: vec!["id".into()],
            keys_hash: String::new(),
            rows_hash: sums.map(|s| s.1).collect(),
            buckets: buckets
                .iter()
                .map(|b| Bucket(b.0, b.1, b.2.into(), b.3.into()))
                .collect(),
        }
    }

    #[test]
    fn a_part_with_as_many_rows_tells_and_one_with_more_does_not() {
        let was = table(&[(1, 2, "k1", "r1"), (2, 1, "k2", "r2"), (3, 1, "k3", "r3")]);
        let told = |is: &[(u16, u64, &str, &str)]| changed(&was, &table(is));
        let grown = [
            (1, 3, "x", "x"),
            (2, 1, "k2", "r2"),
            (3, 1, "k3", "r3"),
            (4, 1, "n", "n"),
        ];
        assert_eq!(told(&grown), None);
        let other = [(1, 3, "x", "x"), (2, 1, "k2", "other"), (3, 1, "k3", "r3")];
        assert_eq!(told(&other).unwrap(), "at least 1 row CHANGED");
        let lost = [(1, 1, "x", "x"), (2, 1, "other", "x"), (4, 9, "n", "n")];
        assert_eq!(told(&lost).unwrap(), "at least 3 rows LOST");
        let mut narrow = table(&other);
        narrow.columns.clear();
        assert_eq!(changed(&was, &narrow), None, "sums of other columns");
    }
}
