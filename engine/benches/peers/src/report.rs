//! The table.

use std::fmt;

use crate::syncs::Count;

/// One work of one contender in one round, and the raw loops around it: each a second.
pub(crate) struct Work {
    pub(crate) steps: f64,
    pub(crate) append: f64,
    pub(crate) zeros: f64,
}

/// One contender in one round.
pub(crate) struct Sample {
    pub(crate) w1: Work,
    pub(crate) w2: Work,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, work) in [("W1", &self.w1), ("W2", &self.w2)] {
            let Work {
                steps,
                append,
                zeros,
            } = work;
            write!(f, "{name} {steps:.0} (raw {append:.0}, {zeros:.0})  ")?;
        }
        Ok(())
    }
}

/// Syncs per step, full ones and others, and how many files were opened with every write a sync.
#[derive(Debug)]
pub(crate) struct Syncs {
    pub(crate) w1: (f64, f64),
    pub(crate) w2: (f64, f64),
    pub(crate) opened: u64,
}

/// Full syncs and others, per step.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
pub(crate) fn per_step(count: &Count, (runs, steps): (u64, u64)) -> (f64, f64) {
    let steps = (runs * steps) as f64;
    (count.full as f64 / steps, count.other as f64 / steps)
}

/// All that was measured of one contender.
pub(crate) struct Entry {
    name: &'static str,
    pub(crate) samples: Vec<Sample>,
    pub(crate) syncs: Option<Syncs>,
}

impl Entry {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            samples: Vec::new(),
            syncs: None,
        }
    }
}

/// Median, smallest and largest.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let median = if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    };
    (median, values[0], values[values.len() - 1])
}

fn rate(values: impl Iterator<Item = f64>) -> String {
    let (median, low, high) = spread(values);
    format!("{median:.0} ({low:.0}–{high:.0})")
}

fn ratio(values: impl Iterator<Item = f64>) -> String {
    let (median, low, high) = spread(values);
    format!("{median:.2} ({low:.2}–{high:.2})")
}

/// The lines of one work. The first entry is ours.
fn lines(entries: &[Entry], work: fn(&Sample) -> &Work, syncs: fn(&Syncs) -> (f64, f64)) -> String {
    let mut text = String::from(
        "| | steps/s | flow ÷ it | raw append/s beside it | raw into zeros/s | steps ÷ raw append | syncs per step: full, other |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for entry in entries {
        let works = || entry.samples.iter().map(work);
        let ours = entries[0].samples.iter().map(work);
        let (full, other) = entry.syncs.as_ref().map(syncs).unwrap_or_default();
        let line = format!(
            "| {} | {} | {} | {} | {} | {} | {full:.2}, {other:.2} |\n",
            entry.name,
            rate(works().map(|w| w.steps)),
            ratio(ours.zip(works()).map(|(us, it)| us.steps / it.steps)),
            rate(works().map(|w| w.append)),
            rate(works().map(|w| w.zeros)),
            ratio(works().map(|w| w.steps / w.append)),
        );
        text += &line;
    }
    text
}

/// Both works, in Markdown: medians over the rounds, smallest and largest in brackets.
pub(crate) fn table(entries: &[Entry]) -> String {
    let opened: Vec<String> = entries
        .iter()
        .filter_map(|e| Some(format!("{} {}", e.name, e.syncs.as_ref()?.opened)))
        .collect();
    format!(
        "W1: one run of 1,000 steps\n\n{}\nW2: 100 runs of 100 steps at once\n\n{}\n\
         Files opened with O_SYNC or O_DSYNC in the counted round: {}\n",
        lines(entries, |s| &s.w1, |s| s.w1),
        lines(entries, |s| &s.w2, |s| s.w2),
        opened.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_compares_within_a_round_not_across() {
        let work = |steps| Work {
            steps,
            append: 1.0,
            zeros: 1.0,
        };
        let sample = |steps| Sample {
            w1: work(steps),
            w2: work(1.0),
        };
        let mut us = Entry::new("us");
        us.samples = vec![sample(10.0), sample(200.0), sample(3.0)];
        let mut it = Entry::new("it");
        it.samples = vec![sample(5.0), sample(100.0), sample(1.0)];
        let text = table(&[us, it]);
        assert!(
            text.contains("| it | 5 (1–100) | 2.00 (2.00–3.00) |"),
            "{text}"
        );
    }
}
