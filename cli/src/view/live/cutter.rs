//! Output as it comes, cut into lines.

use std::collections::BTreeMap;

use crate::view::clean;

/// Output of steps cut into lines: what a step puts out may end in the middle of one.
#[derive(Debug, Default)]
pub(super) struct Cutter(BTreeMap<u32, String>);

/// A line without an end is shown as it is at this length.
const LINE_MAX: usize = 4096;

impl Cutter {
    pub(super) fn cut(&mut self, step: u32, text: &str) -> Vec<String> {
        let held = self.0.entry(step).or_default();
        held.push_str(text);
        let mut lines = Vec::new();
        while let Some(end) = held.find('\n') {
            let rest = held.split_off(end + 1);
            let line = std::mem::replace(held, rest);
            lines.push(clean(line.trim_end()));
        }
        if held.len() > LINE_MAX {
            lines.push(clean(&std::mem::take(held)));
        }
        lines
    }

    pub(super) fn rest(&mut self, step: u32) -> Option<String> {
        let held = self.0.remove(&step).filter(|held| !held.is_empty())?;
        Some(clean(&held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_ends_in_the_middle_of_a_line_is_held_until_the_line_ends() {
        let mut cutter = Cutter::default();
        assert_eq!(cutter.cut(1, "a\nb"), ["a"]);
        assert_eq!(cutter.cut(2, "other\n"), ["other"]);
        assert_eq!(cutter.cut(1, "c\r\n"), ["bc"]);
        assert_eq!(cutter.rest(1), None);
    }

    #[test]
    fn a_line_that_never_ends_is_not_held_for_ever() {
        let mut cutter = Cutter::default();
        assert_eq!(cutter.cut(1, &"x".repeat(LINE_MAX + 1)).len(), 1);
    }
}
