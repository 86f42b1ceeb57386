//! The folder of segments: which there are, appending to the last, starting the next.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::end::{self, End};
use super::{BLOCK, Entry, HEADERS, Header, Scan, SegmentFile, encode_frame, encode_opening, scan};
use crate::journal::files;

/// A segment that is there, with what it holds.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) scan: Scan,
}

/// A frame that was found while listing.
pub(crate) struct FrameAt<'a> {
    /// Index into the list of segments.
    pub(crate) segment: usize,
    pub(crate) lsn: u64,
    /// Offset of the payload in the file.
    pub(crate) offset: u64,
    pub(crate) payload: &'a [u8],
}

/// What stays the same for all segments of a journal.
#[derive(Clone)]
pub(crate) struct Layout {
    pub(crate) dir: PathBuf,
    /// The folder of the file that says how far the segments reach.
    pub(crate) end: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) wrap: Arc<dyn Fn(File) -> Box<dyn SegmentFile> + Send + Sync>,
    /// A zeroed file made ahead of time, so that no commit waits for the zeroing.
    pub(crate) spare: Arc<Mutex<Option<File>>>,
}

const SPARE: &str = "spare.tmp";

pub(super) fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("wal-{number:08}.seg"))
}

pub(crate) fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?
        .to_str()?
        .strip_prefix("wal-")?
        .strip_suffix(".seg")?
        .parse()
        .ok()
}

/// Reads all segments in order; `found` sees every sound frame.
pub(crate) fn list(dir: &Path, mut found: impl FnMut(FrameAt<'_>)) -> io::Result<Vec<Segment>> {
    let mut paths = Vec::new();
    for item in fs::read_dir(dir)? {
        let path = item?.path();
        if let Some(number) = number_of(&path) {
            paths.push((number, path));
        }
    }
    paths.sort();
    let mut segments = Vec::new();
    for (segment, (number, path)) in paths.into_iter().enumerate() {
        let bytes = fs::read(&path)?;
        let mut scan = scan(&bytes, |lsn, at, payload| {
            found(FrameAt {
                segment,
                lsn,
                offset: (at + super::FRAME_HEADER) as u64,
                payload,
            });
        });
        // A copy of another one: whoever went on in it would start the next under a name that is taken.
        scan.header_sound &= scan.header.is_none_or(|h| h.number == number);
        segments.push(Segment { path, scan });
    }
    Ok(segments)
}

/// Some bytes of a segment.
pub(crate) fn read_at(path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    File::open(path)?.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// Removes what a crash left half made.
pub(crate) fn discard_leftovers(dir: &Path) -> io::Result<()> {
    for item in fs::read_dir(dir)? {
        let path = item?.path();
        if path.extension().is_some_and(|e| e == "tmp") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// A zeroed file whose blocks are allocated and written: on ext4 a merely reserved block costs a metadata commit
/// when it is first written.
fn zeroed(path: &Path, bytes: u64) -> io::Result<File> {
    const BLOCK: u64 = 1 << 18;
    let file = files::create_file(path)?;
    // Not every file system can reserve; the writes below do it then.
    let _ = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes);
    let zeros = vec![0u8; 1 << 18];
    let mut at = 0;
    while at < bytes {
        let len = BLOCK.min(bytes - at);
        let part = usize::try_from(len).expect("a block fits memory");
        file.write_all_at(&zeros[..part], at)?;
        at += len;
    }
    file.sync_all()?;
    Ok(file)
}

/// Makes the spare file when there is none.
pub(crate) fn prepare_spare(fixed: &Layout) -> io::Result<()> {
    let mut spare = fixed.spare.lock().unwrap_or_else(PoisonError::into_inner);
    if spare.is_none() {
        *spare = Some(zeroed(&fixed.dir.join(SPARE), fixed.bytes)?);
    }
    Ok(())
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(u64::from_le_bytes(bytes))
}

/// The end of the log, to append to. Owned by the writer.
pub(crate) struct Wal {
    fixed: Layout,
    number: u64,
    file: Box<dyn SegmentFile>,
    salt: u64,
    position: u64,
    size: u64,
    next_lsn: u64,
    /// The mark of this opening; 0 when it left none.
    opening: u64,
    frame: Vec<u8>,
}

impl Wal {
    /// Continues behind the last sound frame; what follows it is zeroed, durably, so that it can never be taken for
    /// something later. Leaves the mark of this opening there, and notes it.
    pub(crate) fn resume(fixed: Layout, last: Option<&Segment>, next_lsn: u64) -> io::Result<Wal> {
        let sound = last.and_then(|s| Some((s, s.scan.header?)));
        let Some((segment, header)) = sound else {
            return Wal::start(fixed, 1, next_lsn, 0, 0);
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&segment.path)?;
        let size = file.metadata()?.len();
        let mut position = segment.scan.end as u64;
        if segment.scan.tail > 0 {
            file.write_all_at(&vec![0; segment.scan.tail], position)?;
            file.sync_all()?;
        }
        let mut opening = 0;
        if header.size.is_some() {
            let mut frame = Vec::new();
            opening = random()?.max(1);
            encode_opening(&mut frame, header.salt, next_lsn, opening);
            if position + frame.len() as u64 > size {
                return Wal::start(fixed, header.number + 1, next_lsn, 0, 0);
            }
            file.write_all_at(&frame, position)?;
            file.sync_data()?;
            position += frame.len() as u64;
        }
        let wal = Wal {
            file: (fixed.wrap)(file),
            number: header.number,
            salt: header.salt,
            position,
            size,
            next_lsn,
            opening,
            frame: Vec::new(),
            fixed,
        };
        wal.note()?;
        Ok(wal)
    }

    /// Writes down how far the segments reach at least.
    fn note(&self) -> io::Result<()> {
        let end = End {
            segment: self.number,
            floor: self.next_lsn - 1,
            opening: self.opening,
            closed: false,
        };
        end::store(&self.fixed.end, end)
    }

    fn start(
        fixed: Layout,
        number: u64,
        next_lsn: u64,
        need: u64,
        opening: u64,
    ) -> io::Result<Wal> {
        let (path, spare) = (path_of(&fixed.dir, number), fixed.dir.join(SPARE));
        // Held to the end: nobody may make a new spare under the same name before this one has its own.
        let mut ready = fixed.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let size = fixed.bytes.max(need + HEADERS as u64);
        let size = size.next_multiple_of(BLOCK as u64);
        let file = match ready.take() {
            Some(file) if size == fixed.bytes => file,
            _ => zeroed(&spare, size)?,
        };
        let header = Header {
            number,
            first_lsn: next_lsn,
            salt: random()?,
            size: Some(size),
        };
        let mut file = (fixed.wrap)(file);
        file.write_all_at(&header.encode(), 0)?;
        file.sync_data()?;
        fs::rename(&spare, &path)?;
        files::sync_dir(&fixed.dir)?;
        drop(ready);
        let wal = Wal {
            file,
            number,
            salt: header.salt,
            position: HEADERS as u64,
            size,
            next_lsn,
            opening,
            frame: Vec::new(),
            fixed,
        };
        wal.note()?;
        Ok(wal)
    }

    /// Commits one frame: returns its number when it would survive a power cut. After an error the log must not be
    /// used again: a page whose sync failed may be dropped and yet look clean.
    pub(crate) fn commit(&mut self, entries: &[Entry]) -> io::Result<u64> {
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        encode_frame(&mut frame, self.salt, self.next_lsn, entries);
        if self.position + frame.len() as u64 > self.size {
            *self = Wal::start(
                self.fixed.clone(),
                self.number + 1,
                self.next_lsn,
                frame.len() as u64,
                self.opening,
            )?;
            frame.clear();
            encode_frame(&mut frame, self.salt, self.next_lsn, entries);
        }
        self.file.write_all_at(&frame, self.position)?;
        self.file.sync_data()?;
        self.position += frame.len() as u64;
        self.next_lsn += 1;
        self.frame = frame;
        Ok(self.next_lsn - 1)
    }

    /// More than half of the segment is used and the next one should be made ready.
    pub(crate) fn wants_spare(&self) -> bool {
        self.position * 2 > self.size
    }
}
