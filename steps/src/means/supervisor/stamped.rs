//! A log whose lines have stamps instead of places in a file: the journal's, docker's.
//!
//! The same [`Place`] serves: its number says whether there was anything to read, its offset is the stamp of the last
//! line that was read, and what is known is how many lines had that very stamp.

use super::logs::{Line, News, Place};

/// The number of every log of this kind that can be read.
pub(super) const THERE: u64 = 1;

/// One entry of such a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// When it was written, in whatever unit the log has; never falls within one log.
    pub(super) stamp: u64,
    /// What was written; may be several lines.
    pub(super) text: String,
}

/// The place behind everything that was written before a moment.
pub(super) fn place(is_there: bool, stamp: u64) -> Place {
    Place {
        inode: if is_there { THERE } else { 0 },
        offset: stamp,
        ..Place::default()
    }
}

/// Takes what is new of entries, which begin with those of the place's own stamp.
pub(super) fn take(place: &mut Place, entries: Vec<Entry>) -> News {
    let known = |place: &Place| place.known.as_deref().and_then(|n| n.parse().ok());
    let mut read: usize = known(place).unwrap_or(0);
    let mut equal = 0;
    let mut news = News::default();
    for entry in entries {
        if entry.stamp < place.offset {
            continue;
        }
        if entry.stamp > place.offset {
            place.offset = entry.stamp;
            (read, equal) = (0, 0);
        }
        equal += 1;
        if equal <= read {
            continue;
        }
        read = equal;
        place.inode = THERE;
        let lines = entry.text.lines().map(|line| Line {
            at: Some((THERE, entry.stamp)),
            text: line.to_owned(),
        });
        news.lines.extend(lines);
    }
    place.known = Some(read.to_string());
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(stamp: u64, text: &str) -> Entry {
        Entry {
            stamp,
            text: text.into(),
        }
    }

    fn texts(place: &mut Place, entries: &[Entry]) -> Vec<String> {
        let news = take(place, entries.to_vec());
        news.lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_of_one_stamp_are_each_read_once_and_what_was_there_before_is_not_read() {
        let mut place = place(true, 10);
        let old = entry(9, "old");
        assert_eq!(texts(&mut place, &[old, entry(10, "a")]), ["a"]);
        let all = [entry(10, "a"), entry(10, "b"), entry(12, "c\nd")];
        assert_eq!(texts(&mut place, &all), ["b", "c", "d"]);
        assert_eq!(texts(&mut place, &all[2..]), Vec::<String>::new());
        assert_eq!(
            texts(&mut place, &[entry(12, "c\nd"), entry(12, "e")]),
            ["e"]
        );
    }
}
