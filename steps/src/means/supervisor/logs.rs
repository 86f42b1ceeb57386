//! Reading a growing file on a host from where it was read last.

use std::time::Duration;

use flow_engine::step::StepError;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::means::host::{Command, Host, HostExt as _};
use crate::means::reach;

/// The most that is read of one file at one look; a log that grows faster is read on at the next look.
const PIECE: u64 = 4 * 1024 * 1024;
/// A line that never ends is taken as one at this length.
const LINE_MAX: usize = 64 * 1024;
/// How many pieces of a renamed file are read at one look.
const PIECES_MAX: usize = 16;
/// So many bytes before a place say whether a file still is the one that was read.
const KNOWN: u64 = 64;

/// How far a file was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Which file had the name; 0 when there was none.
    pub(super) inode: u64,
    /// Bytes that were read, up to the end of a line.
    pub(super) offset: u64,
    /// A digest of the last bytes before that: a file that was cut short may have grown past it since.
    #[serde(default)]
    pub(super) known: Option<String>,
    /// Whether it was cut short since the watch began: what a place meant before means nothing any more.
    #[serde(default)]
    pub(super) cut: bool,
}

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Which file, and its first byte there; nothing in a file that was cut short meanwhile.
    pub(crate) at: Option<(u64, u64)>,
    /// Without its end.
    pub(crate) text: String,
}

/// What was written since the last look.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) lines: Vec<Line>,
    /// In words, what cannot be read any more.
    pub(crate) unread: Option<String>,
}

impl Place {
    /// Whether there was a file that can be read.
    pub(crate) fn is_there(&self) -> bool {
        self.inode != 0
    }

    /// Which file it is in; 0 when there was none.
    pub(crate) fn number(&self) -> u64 {
        self.inode
    }

    /// How far it was read.
    pub(crate) fn size(&self) -> u64 {
        self.offset
    }

    /// Reads on from an earlier size of the file of that number (or of the one that has its name now). One that has
    /// become shorter, or is another one by now, is read as such.
    pub(crate) fn go_back_to(&mut self, size: u64, inode: Option<u64>) {
        self.offset = size;
        self.inode = inode.unwrap_or(self.inode);
    }
}

const LOOK: &str = r#"
f=$1
if [ "$4" -gt 0 ]; then
  # The file that had the name and was renamed: it still has its number, in the same folder.
  f=$(find "$(dirname -- "$1")" -maxdepth 1 -type f -inum "$4" -print -quit 2>/dev/null)
fi
[ -n "$f" ] && [ -f "$f" ] && [ -r "$f" ] || { echo "0 0"; exit 0; }
stat -c '%i %s' -- "$f"
if [ "$2" -ge 0 ]; then tail -c "+$(($2 + 1))" -- "$f" | head -c "$3"; fi"#;

/// Number and size of each of these files as it is now; zeros for one that does not exist yet.
pub(crate) async fn sizes(host: &dyn Host, files: &[String]) -> Result<Vec<(u64, u64)>, StepError> {
    let text = r#"for f in "$@"; do if [ -f "$f" ]; then stat -c "%i %s" -- "$f"; else echo "0 0"; fi; done"#;
    let command = Command::script(text).arg("sh").args(files.iter().cloned());
    let answer = reach::run(host, &command).await?;
    let numbers = answer.lines().filter_map(|line| {
        let (inode, size) = line.split_once(' ')?;
        Some((inode.parse().ok()?, size.parse().ok()?))
    });
    let numbers: Vec<(u64, u64)> = numbers.collect();
    if numbers.len() == files.len() {
        return Ok(numbers);
    }
    Err(StepError::fail(format!(
        "the sizes of the log files on `{}` cannot be read",
        host.name()
    )))
}

/// The end of a file as it is now.
pub(crate) async fn end_of(host: &dyn Host, file: &str) -> Result<Place, StepError> {
    let (inode, size, _) = look(host, file, None, 0).await?;
    Ok(Place {
        inode,
        offset: size,
        ..Place::default()
    })
}

/// Whole lines that were written since. A file that was renamed is read to its end first; one that was cut short or
/// whose old one is gone is read from its beginning, and what may be missing is said.
pub(crate) async fn read_on(
    host: &dyn Host,
    file: &str,
    place: &mut Place,
) -> Result<News, StepError> {
    let mut news = News::default();
    let (inode, size, bytes) = piece(host, file, place, 0).await?;
    if inode == 0 {
        return Ok(news);
    }
    if inode == place.inode && size >= place.offset && is_known(place, &bytes) {
        take(place, &bytes, &mut news.lines);
        return Ok(news);
    }
    if inode == place.inode {
        news.unread = Some(format!(
            "{file} was cut short: what was written to it between the look before and that moment is not known"
        ));
        *place = Place {
            inode,
            cut: true,
            ..Place::default()
        };
    } else if place.inode == 0 {
        // It came into being: nothing of it is old.
        *place = Place {
            inode,
            ..Place::default()
        };
    } else {
        news.unread = rest_of_renamed(host, file, place, &mut news.lines).await?;
        *place = Place {
            inode,
            ..Place::default()
        };
    }
    let (_, _, bytes) = piece(host, file, place, 0).await?;
    take(place, &bytes, &mut news.lines);
    Ok(news)
}

/// Reads a file that was renamed to its end; says in words when that cannot be done.
async fn rest_of_renamed(
    host: &dyn Host,
    file: &str,
    place: &mut Place,
    lines: &mut Vec<Line>,
) -> Result<Option<String>, StepError> {
    for _ in 0..PIECES_MAX {
        let (inode, _, bytes) = piece(host, file, place, place.inode).await?;
        if inode != place.inode || !is_known(place, &bytes) {
            return Ok(Some(format!(
                "{file} was replaced and the old one is gone: what was written to it after the look before is not known"
            )));
        }
        if take(place, &bytes, lines) == 0 {
            return Ok(None);
        }
    }
    Ok(Some(format!(
        "{file} was replaced, and the old one was too long to be read to its end"
    )))
}

/// Whether the bytes before a place are those that were there.
fn is_known(place: &Place, bytes: &[u8]) -> bool {
    let before = &bytes[..bytes.len().min(back(place))];
    place
        .known
        .as_ref()
        .is_none_or(|known| *known == digest(before))
}

/// How many bytes before its place are read once more.
fn back(place: &Place) -> usize {
    usize::try_from(place.offset.min(KNOWN)).unwrap_or(0)
}

fn digest(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    let first = sum.first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(first))
}

/// Takes the whole lines of a piece that begins a little before its place; answers how many bytes they have.
fn take(place: &mut Place, bytes: &[u8], lines: &mut Vec<Line>) -> usize {
    let new = &bytes[bytes.len().min(back(place))..];
    let whole = match new.iter().rposition(|b| *b == b'\n') {
        Some(last) => last + 1,
        None if new.len() >= LINE_MAX => new.len(),
        None => 0,
    };
    let mut offset = place.offset;
    for line in new[..whole].split_inclusive(|b| *b == b'\n') {
        let at = (!place.cut).then_some((place.inode, offset));
        offset += line.len() as u64;
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        lines.push(Line {
            at,
            text: String::from_utf8_lossy(text).into_owned(),
        });
    }
    let end = bytes.len() - (new.len() - whole);
    let begin = end.saturating_sub(usize::try_from(offset.min(KNOWN)).unwrap_or(0));
    place.offset = offset;
    place.known = Some(digest(&bytes[begin..end]));
    whole
}

async fn piece(
    host: &dyn Host,
    file: &str,
    place: &Place,
    moved: u64,
) -> Result<(u64, u64, Vec<u8>), StepError> {
    let from = place.offset - back(place) as u64;
    look(host, file, Some(from), moved).await
}

/// Number and size of a file, and what stands in it from there; of a renamed one when its number is given.
async fn look(
    host: &dyn Host,
    file: &str,
    from: Option<u64>,
    moved: u64,
) -> Result<(u64, u64, Vec<u8>), StepError> {
    let from = from.map_or("-1".to_owned(), |n| n.to_string());
    let (piece, moved) = (PIECE.to_string(), moved.to_string());
    let command = Command::script(LOOK)
        .args(["sh", reach::absolute(file)?, &from, &piece, &moved])
        .deadline(Duration::from_mins(1));
    let output = host.output(&command).await.map_err(|e| reach::error(&e))?;
    let odd = || {
        StepError::fail(format!(
            "{file} on `{}` cannot be read: {}",
            host.name(),
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    };
    if !output.exit.success() {
        return Err(odd());
    }
    let end = output
        .stdout
        .iter()
        .position(|b| *b == b'\n')
        .ok_or_else(odd)?;
    let head = String::from_utf8_lossy(&output.stdout[..end]);
    let mut numbers = head.split(' ').filter_map(|n| n.parse().ok());
    let (Some(inode), Some(size)) = (numbers.next(), numbers.next()) else {
        return Err(odd());
    };
    Ok((inode, size, output.stdout[end + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::means::host::Local;

    async fn read(file: &str, place: &mut Place) -> (Vec<String>, Option<String>) {
        let news = read_on(&Local::new("here"), file, place).await.unwrap();
        (
            news.lines.into_iter().map(|l| l.text).collect(),
            news.unread,
        )
    }

    fn append(path: &std::path::Path, text: &str) {
        let file = std::fs::File::options().append(true).open(path);
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[tokio::test]
    async fn lines_are_read_once_when_they_are_whole_and_a_rotated_file_to_its_end_and_from_its_beginning()
     {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a log");
        let file = path.to_str().unwrap();
        let mut place = end_of(&Local::new("here"), file).await.unwrap();
        assert_eq!(place, Place::default());
        std::fs::write(&path, "one\ntw").unwrap();
        assert_eq!(read(file, &mut place).await, (vec!["one".into()], None));
        append(&path, "o\n");
        assert_eq!(read(file, &mut place).await, (vec!["two".into()], None));
        assert_eq!(read(file, &mut place).await, (vec![], None));
        append(&path, "last words\n");
        std::fs::rename(&path, dir.path().join("old")).unwrap();
        std::fs::write(&path, "three and more than before\n").unwrap();
        let both = ["last words", "three and more than before"].map(String::from);
        assert_eq!(read(file, &mut place).await, (both.into(), None));
    }

    #[tokio::test]
    async fn what_a_cut_or_a_lost_file_may_have_held_is_named_even_when_it_has_grown_since() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let file = path.to_str().unwrap();
        let mut place = Place::default();
        std::fs::write(&path, "one\n").unwrap();
        read(file, &mut place).await;
        // Copied and cut, then written past where it was read, all between two looks.
        std::fs::write(&path, "cut and longer than it was\n").unwrap();
        let (lines, unread) = read(file, &mut place).await;
        assert_eq!(lines, ["cut and longer than it was"]);
        assert!(unread.unwrap().contains("was cut short"));
        std::fs::write(&path, "s\n").unwrap();
        let (lines, unread) = read(file, &mut place).await;
        assert_eq!(lines, ["s"]);
        assert!(unread.unwrap().contains("was cut short"));

        std::fs::rename(&path, dir.path().join("new")).unwrap();
        std::fs::write(&path, "other\n").unwrap();
        std::fs::remove_file(dir.path().join("new")).unwrap();
        let (lines, unread) = read(file, &mut place).await;
        assert_eq!(lines, ["other"]);
        assert!(unread.unwrap().contains("the old one is gone"));
    }
}
