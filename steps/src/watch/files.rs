//! Reading a growing file on a host from where it was read last.

use std::time::Duration;

use flow_engine::step::StepError;
use serde::{Deserialize, Serialize};

use crate::host::{Command, Host, HostExt as _};
use crate::reach;

/// The most that is read of one file at one look; a log that grows faster is read on at the next look.
const PIECE: u64 = 4 * 1024 * 1024;
/// A line that never ends is taken as one at this length.
const LINE_MAX: usize = 64 * 1024;

/// How far a file was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Which file had the name; 0 when there was none.
    inode: u64,
    /// Bytes that were read, up to the end of a line.
    offset: u64,
}

impl Place {
    /// Whether there was a file that can be read.
    pub(super) fn is_there(&self) -> bool {
        self.inode != 0
    }

    /// Reads on from an earlier size of the file. One that has become shorter was replaced, and is read as such.
    pub(super) fn go_back_to(&mut self, size: u64) {
        self.offset = size;
    }
}

const LOOK: &str = r#"
[ -f "$1" ] && [ -r "$1" ] || { echo "0 0"; exit 0; }
stat -c '%i %s' -- "$1"
if [ "$2" -ge 0 ]; then tail -c "+$(($2 + 1))" -- "$1" | head -c "$3"; fi"#;

/// The end of a file as it is now.
pub(super) async fn end_of(host: &dyn Host, file: &str) -> Result<Place, StepError> {
    let (place, _) = look(host, file, None).await?;
    Ok(place)
}

/// Whole lines that were written since. A file that was replaced or cut short (rotated) is read from its beginning; what
/// was added to the old one after the last look and before the rotation is not seen.
pub(super) async fn read_on(
    host: &dyn Host,
    file: &str,
    place: &mut Place,
) -> Result<Vec<String>, StepError> {
    let (now, mut bytes) = look(host, file, Some(place.offset)).await?;
    if now.inode == 0 {
        return Ok(Vec::new());
    }
    if now.inode != place.inode || now.offset < place.offset {
        *place = Place {
            inode: now.inode,
            offset: 0,
        };
        bytes = look(host, file, Some(0)).await?.1;
    }
    let whole = match bytes.iter().rposition(|b| *b == b'\n') {
        Some(last) => last + 1,
        None if bytes.len() >= LINE_MAX => bytes.len(),
        None => 0,
    };
    bytes.truncate(whole);
    place.offset += whole as u64;
    Ok(String::from_utf8_lossy(&bytes)
        .lines()
        .map(str::to_owned)
        .collect())
}

async fn look(
    host: &dyn Host,
    file: &str,
    from: Option<u64>,
) -> Result<(Place, Vec<u8>), StepError> {
    let from = from.map_or("-1".to_owned(), |n| n.to_string());
    let command = Command::script(LOOK)
        .args(["sh", reach::absolute(file)?, &from, &PIECE.to_string()])
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
    let (Some(inode), Some(offset)) = (numbers.next(), numbers.next()) else {
        return Err(odd());
    };
    Ok((Place { inode, offset }, output.stdout[end + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::host::Local;

    #[tokio::test]
    async fn lines_are_read_once_when_they_are_whole_and_a_rotated_file_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a log");
        let file = path.to_str().unwrap();
        let here = Local::new("here");
        let mut place = end_of(&here, file).await.unwrap();
        assert_eq!(place, Place::default());
        std::fs::write(&path, "one\ntw").unwrap();
        assert_eq!(read_on(&here, file, &mut place).await.unwrap(), ["one"]);
        std::fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"o\n")
            .unwrap();
        assert_eq!(read_on(&here, file, &mut place).await.unwrap(), ["two"]);
        assert!(read_on(&here, file, &mut place).await.unwrap().is_empty());
        std::fs::rename(&path, dir.path().join("old")).unwrap();
        std::fs::write(&path, "three and more than before\n").unwrap();
        assert_eq!(
            read_on(&here, file, &mut place).await.unwrap(),
            ["three and more than before"]
        );
        std::fs::write(&path, "cut\n").unwrap();
        assert_eq!(read_on(&here, file, &mut place).await.unwrap(), ["cut"]);
    }
}
