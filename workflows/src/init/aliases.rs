//! The hosts of an ssh configuration, by the names people type.

use std::path::{Path, PathBuf};

/// The most that is kept.
const MOST: usize = 200;
/// Files included by included files, and so on.
const DEPTH: usize = 4;
/// The largest configuration file, in bytes.
const SIZE: u64 = 1 << 20;

/// Every `Host` that is no pattern, in order. Files are followed through `Include` (one `*` in the name at the most).
pub(super) fn listed(file: &Path) -> Vec<String> {
    let mut found = Vec::new();
    read(
        file,
        file.parent().unwrap_or(Path::new(".")),
        DEPTH,
        &mut found,
    );
    found
}

fn read(file: &Path, beside: &Path, depth: usize, found: &mut Vec<String>) {
    let fits = std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.len() <= SIZE);
    let Some(text) = fits.then(|| std::fs::read_to_string(file).ok()).flatten() else {
        return;
    };
    for line in text.lines().map(str::trim) {
        let Some((key, rest)) = line.split_once([' ', '\t', '=']) else {
            continue;
        };
        if key.eq_ignore_ascii_case("include") && depth > 0 {
            for named in rest.split_ascii_whitespace() {
                for file in matching(named.trim_matches('"'), beside) {
                    read(&file, beside, depth - 1, found);
                }
            }
        } else if key.eq_ignore_ascii_case("host") {
            for alias in rest
                .split_ascii_whitespace()
                .filter(|alias| is_alias(alias))
            {
                if found.len() < MOST && !found.iter().any(|known| known == alias) {
                    found.push(alias.to_owned());
                }
            }
        }
    }
}

fn is_alias(alias: &str) -> bool {
    alias.len() <= 120
        && alias.starts_with(|c: char| c.is_ascii_alphanumeric())
        && alias
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-@:".contains(c))
}

/// The files an `Include` names.
fn matching(named: &str, beside: &Path) -> Vec<PathBuf> {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let path = match named.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => beside.join(named),
    };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return Vec::new();
    };
    let Some((start, end)) = name.split_once('*') else {
        return vec![path];
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        })
        .map(|entry| entry.path())
        .take(MOST)
        .collect();
    files.sort();
    files
}

/// Words by which hosts of an environment are known besides its own name.
const ALSO: [(&str, &[&str]); 3] = [
    ("test", &["testing", "qa", "dev"]),
    ("stage", &["staging", "stg", "preprod", "uat"]),
    ("prod", &["production", "prd", "live"]),
];

/// The hosts of an environment, the likeliest first: those of its very name, then those with it as a part of theirs.
pub(super) fn of<'a>(aliases: &'a [String], environment: &str) -> Vec<&'a String> {
    let also = ALSO.iter().find(|(name, _)| *name == environment);
    let words: Vec<&str> = std::iter::once(environment)
        .chain(
            also.into_iter()
                .flat_map(|(_, words)| words.iter().copied()),
        )
        .collect();
    let exact = |alias: &&String| words.contains(&alias.to_lowercase().as_str());
    let part = |alias: &&String| {
        let lower = alias.to_lowercase();
        lower
            .split(['-', '.', '_'])
            .any(|part| words.contains(&part))
    };
    let first = aliases.iter().filter(exact);
    first
        .chain(aliases.iter().filter(|alias| !exact(alias)).filter(part))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_through_includes_and_patterns_are_no_hosts() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(
            dir.path().join("work.conf"),
            "Host shop-prod-1 shop-prod-2\nHost=staging\n",
        )
        .expect("writes");
        let file = dir.path().join("config");
        std::fs::write(
            &file,
            "Include work*.conf config\nHost * !x -oA $(id) a;b\n User me\nhost prod\n",
        )
        .expect("writes");
        let found = listed(&file);
        assert_eq!(found, ["shop-prod-1", "shop-prod-2", "staging", "prod"]);
        assert_eq!(of(&found, "prod"), ["prod", "shop-prod-1", "shop-prod-2"]);
        assert_eq!(of(&found, "stage"), ["staging"]);
        assert!(of(&found, "test").is_empty());
    }
}
