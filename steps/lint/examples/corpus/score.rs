//! How often a tool was right, per class of change; a file is one answer.

use std::collections::{BTreeMap, BTreeSet};

use crate::truth::{Class, Effects};

#[derive(Debug, Default)]
struct Count {
    truth: usize,
    hits: usize,
    missed: Vec<String>,
    false_alarms: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Score {
    tool: &'static str,
    files: usize,
    classes: BTreeMap<Class, Count>,
}

impl Score {
    pub(crate) fn new(tool: &'static str) -> Self {
        let classes = crate::truth::CLASSES
            .iter()
            .map(|class| (*class, Count::default()));
        Self {
            tool,
            files: 0,
            classes: classes.collect(),
        }
    }

    pub(crate) fn file(&mut self, name: &str, effects: &Effects, found: &BTreeSet<Class>) {
        self.files += 1;
        for (class, count) in &mut self.classes {
            let said = found.contains(class);
            if effects.sure.contains(class) {
                count.truth += 1;
                if said {
                    count.hits += 1;
                } else {
                    count.missed.push(name.to_owned());
                }
            } else if said && !effects.open.contains(class) {
                count.false_alarms.push(name.to_owned());
            }
        }
    }

    fn cell(&self, class: Class) -> String {
        if self.files == 0 {
            return "-".to_owned();
        }
        let count = &self.classes[&class];
        format!("{} / {}", count.false_alarms.len(), count.missed.len())
    }

    pub(crate) fn show(&self) {
        for (class, count) in &self.classes {
            for name in &count.missed {
                println!("{}: missed {}: {name}", self.tool, class.words());
            }
            for name in &count.false_alarms {
                println!("{}: false alarm {}: {name}", self.tool, class.words());
            }
        }
    }
}

/// One line of the table: class, true files, false alarms and misses of either tool.
pub(crate) fn row(class: Class, ours: &Score, theirs: &Score) -> String {
    let truth = ours.classes[&class].truth;
    format!(
        "| {} | {truth} | {} | {} |",
        class.words(),
        ours.cell(class),
        theirs.cell(class)
    )
}
