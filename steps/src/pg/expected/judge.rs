//! What of a change the pending migrations and the declarations explain.

use std::collections::BTreeMap;

use super::super::places::Sequences;
use super::super::shape::{Change, Thing};
use super::Expectation;

impl Expectation {
    /// What changed and is explained neither by the pending migrations nor by a declaration, in words.
    pub(in crate::pg) fn unexplained(
        &self,
        changes: &[Change],
        sequences: &Sequences,
        declared: &[String],
    ) -> Vec<String> {
        let expected: BTreeMap<&str, &Change> =
            self.changes.iter().map(|c| (c.thing.as_str(), c)).collect();
        let meant = |thing: &str| declared.iter().any(|d| d == thing);
        let mut odd = Vec::new();
        for change in changes {
            let thing = change.thing.as_str();
            // What an older `flow` tried out tells nothing of newer kinds.
            let untold = !self.pending.is_empty() && change.is_newer_than(self.reads);
            let excused = untold || is_of_history(thing) || self.is_of_fresh(thing);
            if meant(thing) || excused {
                continue;
            }
            if self.unknown.is_some() {
                if !self.names(change) {
                    odd.push(change.in_words());
                }
                continue;
            }
            match expected.get(thing) {
                Some(wanted) if self.is_as(change, wanted) => {}
                Some(wanted) => odd.push(otherwise(change, wanted)),
                None => odd.push(change.in_words()),
            }
        }
        odd.extend(sequences.in_words(&self.fresh, declared));
        odd
    }

    fn is_as(&self, change: &Change, wanted: &Change) -> bool {
        match (&change.now, &wanted.now) {
            (None, None) => true,
            (Some(now), Some(wanted)) => {
                let words = now.expression == wanted.expression;
                now.is == wanted.is && (words || self.reworded.contains(&change.thing))
            }
            _ => false,
        }
    }

    /// Owners and grants of what the migrations make belong to whoever runs them, who may be another role there. A view
    /// that the copy holds without rows, as every one in it, and that they make anew is as they leave it.
    fn is_of_fresh(&self, thing: &str) -> bool {
        let of = |kind: &str| thing.strip_prefix(kind)?.strip_prefix(' ');
        if let Some(object) = of("owner").or_else(|| of("ownership")) {
            return self.fresh.contains(object);
        }
        if let Some(view) = of("population") {
            return self.fresh.contains(&format!("materialized view {view}"));
        }
        let Some(grant) = of("grant").or_else(|| of("access")) else {
            return false;
        };
        let object = grant
            .rsplit_once(" to ")
            .map_or(grant, |(object, _)| object);
        self.fresh.contains(object)
    }

    /// Whether the text of a migration names the thing, or the table it hangs on.
    fn names(&self, change: &Change) -> bool {
        let table = change.was.as_ref().or(change.now.as_ref());
        let table = table.and_then(|t| t.is.strip_prefix("on ")?.split(' ').next());
        let odd = |c: char| !(c.is_alphanumeric() || c == '_');
        let thing = change.name();
        let words = thing.split(odd).chain(table.unwrap_or_default().split(odd));
        let mut words = words.filter(|w| !w.is_empty() && *w != "public");
        words.any(|w| self.named.contains(&w.to_lowercase()))
    }
}

/// A change to another end than the migrations'.
fn otherwise(change: &Change, wanted: &Change) -> String {
    let is = |change: &Change| change.now.as_ref().map(|thing| thing.is.clone());
    if is(change) == is(wanted) {
        return format!(
            "{}, with another expression than the migrations give it",
            change.in_words()
        );
    }
    format!(
        "{}, and by the migrations it should be {}",
        change.in_words(),
        wanted.now.as_ref().map_or("gone", Thing::words)
    )
}

/// What Prisma makes for itself.
fn is_of_history(thing: &str) -> bool {
    thing.contains("._prisma_migrations")
}
