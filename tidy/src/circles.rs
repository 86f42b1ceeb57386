//! Files that need one another in a ring.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::{Breach, imports::Imports};

/// Each ring of files, as one breach at its first file that spells out who takes what from whom.
pub fn find(imports: &Imports) -> Vec<Breach> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = imports
        .keys()
        .map(|file| (file.as_str(), reachable(imports, file)))
        .collect();
    let mut seen = BTreeSet::new();
    let mut rings = Vec::new();
    for (file, ahead) in &reached {
        if seen.contains(file) || !ahead.contains(file) {
            continue;
        }
        let ring: BTreeSet<&str> = ahead
            .iter()
            .copied()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(file)))
            .collect();
        seen.extend(ring.iter().copied());
        rings.push(Breach {
            file: (*file).to_owned(),
            line: 0,
            what: told(imports, &ring),
        });
    }
    rings
}

fn reachable<'a>(imports: &'a Imports, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = imports
        .get(from)
        .into_iter()
        .flat_map(BTreeMap::keys)
        .map(String::as_str)
        .collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(
                imports
                    .get(file)
                    .into_iter()
                    .flat_map(BTreeMap::keys)
                    .map(String::as_str),
            );
        }
    }
    reached
}

fn told(imports: &Imports, ring: &BTreeSet<&str>) -> String {
    let mut text = format!("{} files import one another in a circle", ring.len());
    for file in ring {
        for (other, names) in &imports[*file] {
            if ring.contains(other.as_str()) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let _infallible = write!(text, "\n    {file} -> {other}: {}", names.join(", "));
            }
        }
    }
    text
}
