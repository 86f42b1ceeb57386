//! Writing past the page cache.
//!
//! A commit through the page cache is a copy, a search for the page and a round through the write-back before the
//! device is asked to flush. `O_DIRECT` hands the block to the device at once; the `fdatasync` behind it has only the
//! flush left to do. Measured: 104 to 121 µs against 122 to 149 µs for 300 bytes (docs/performance.md). The promise is
//! the same, and so is what a power cut can leave: some sectors of what was not synced.
//!
//! Blocks are written whole, so the last one is written again with what is added to it. The bytes that were in it stay
//! as they are, which is the assumption the module above names.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::SegmentFile;

/// A multiple of every common device's block, and of the memory alignment that `O_DIRECT` asks for (open(2), NOTES).
pub(crate) const BLOCK: usize = 4096;

/// Memory that begins at a multiple of [`BLOCK`].
struct AlignedBuffer {
    memory: Vec<u8>,
    start: usize,
}

impl AlignedBuffer {
    fn new(len: usize) -> AlignedBuffer {
        let memory = vec![0; len.next_multiple_of(BLOCK) + BLOCK];
        let start = memory.as_ptr().align_offset(BLOCK);
        AlignedBuffer { memory, start }
    }

    fn bytes(&mut self, len: usize) -> &mut [u8] {
        &mut self.memory[self.start..self.start + len]
    }

    fn holds(&self) -> usize {
        self.memory.len() - BLOCK
    }
}

/// A segment that is appended to, and of which everything behind what was written is zero.
struct Direct {
    file: File,
    buffer: AlignedBuffer,
    /// Where the next write is expected: the buffer begins with the block that this lies in.
    expected: Option<u64>,
    /// The file system or the device refused; everything goes through the page cache from then on.
    refused: bool,
}

/// A segment to write to past the page cache where that is possible, and through it elsewhere.
pub(crate) fn unbuffered(file: File) -> Box<dyn SegmentFile> {
    let whole = |len: u64| len.is_multiple_of(BLOCK as u64);
    // A last block that is only part of one cannot be written whole without making the file longer.
    let possible = file.metadata().is_ok_and(|about| whole(about.len()));
    if !possible || switch(&file, true).is_err() {
        return Box::new(file);
    }
    // Zeroing left the file's pages in the cache; each write past it would have to look for them and throw them out.
    // Advice: where it is not taken, nothing but time is lost.
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    Box::new(Direct {
        file,
        buffer: AlignedBuffer::new(16 * BLOCK),
        expected: None,
        refused: false,
    })
}

fn switch(file: &File, direct: bool) -> io::Result<()> {
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, direct);
    Ok(fcntl_setfl(file, flags)?)
}

impl Direct {
    /// Puts the bytes behind those of their block that are there already. Returns where that block begins, and how many
    /// bytes of the buffer are to be written.
    fn fill(&mut self, bytes: &[u8], offset: u64) -> io::Result<(u64, usize)> {
        let before = usize::try_from(offset % BLOCK as u64).expect("less than a block");
        let begin = offset - before as u64;
        let end = before + bytes.len();
        let len = end.next_multiple_of(BLOCK);
        if len > self.buffer.holds() {
            let mut larger = AlignedBuffer::new(len.next_power_of_two());
            larger
                .bytes(BLOCK)
                .copy_from_slice(self.buffer.bytes(BLOCK));
            self.buffer = larger;
        }
        if self.expected != Some(offset) && before > 0 {
            self.file.read_exact_at(self.buffer.bytes(BLOCK), begin)?;
        }
        self.expected = None;
        let block = self.buffer.bytes(len);
        block[before..end].copy_from_slice(bytes);
        block[end..].fill(0);
        Ok((begin, len))
    }

    /// The next write most often begins in the block in which this one ended.
    fn keep_last(&mut self, begin: u64, end: u64) {
        let len = usize::try_from(end - begin).expect("as long as the buffer");
        let last = len / BLOCK * BLOCK;
        if last > 0 && last < len {
            self.buffer.bytes(last + BLOCK).copy_within(last.., 0);
        }
        self.expected = Some(end);
    }
}

impl SegmentFile for Direct {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if !self.refused {
            let done = self.fill(bytes, offset).and_then(|(begin, len)| {
                FileExt::write_all_at(&self.file, self.buffer.bytes(len), begin)?;
                Ok(begin)
            });
            match done {
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
                    // Some file systems take the flag and refuse to read or to write. Nothing, or some of the same bytes,
                    // is there.
                    switch(&self.file, false)?;
                    self.refused = true;
                }
                Err(e) => return Err(e),
                Ok(begin) => {
                    self.keep_last(begin, offset + bytes.len() as u64);
                    return Ok(());
                }
            }
        }
        FileExt::write_all_at(&self.file, bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(dir: &std::path::Path, len: usize) -> (File, std::path::PathBuf) {
        let path = dir.join("a.seg");
        std::fs::write(&path, vec![0; len]).unwrap();
        let open = File::options().read(true).write(true).open(&path);
        (open.unwrap(), path)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn appended_bytes_lie_where_they_belong_and_nothing_else_changes(
            lengths in prop::collection::vec(prop_oneof![1usize..700, 3_000usize..5_000, Just(BLOCK), 60_000usize..90_000], 1..12),
            reopened in 0usize..12,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let total = lengths.iter().sum::<usize>().next_multiple_of(BLOCK) + BLOCK;
            let (open, path) = file(dir.path(), total);
            let (mut segment, mut wanted) = (unbuffered(open), vec![0u8; total]);
            let mut at = 0;
            for (n, len) in lengths.into_iter().enumerate() {
                if n == reopened {
                    segment = unbuffered(File::options().read(true).write(true).open(&path).unwrap());
                }
                let bytes = vec![u8::try_from(n).unwrap() + 1; len];
                segment.write_all_at(&bytes, at as u64).unwrap();
                segment.sync_data().unwrap();
                wanted[at..at + len].copy_from_slice(&bytes);
                at += len;
                prop_assert!(std::fs::read(&path).unwrap() == wanted);
            }
        }
    }

    #[test]
    fn a_file_that_ends_within_a_block_keeps_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let (open, path) = file(dir.path(), BLOCK + 10);
        unbuffered(open).write_all_at(b"end", 4100).unwrap();
        let there = std::fs::read(path).unwrap();
        assert_eq!((there.len(), &there[4100..4103]), (BLOCK + 10, &b"end"[..]));
    }

    #[test]
    fn a_refused_write_goes_through_the_page_cache() {
        let dir = tempfile::tempdir().unwrap();
        let (open, path) = file(dir.path(), 4 * BLOCK);
        switch(&open, true).unwrap();
        let mut odd = Direct {
            file: open,
            buffer: AlignedBuffer::new(BLOCK),
            expected: None,
            refused: false,
        };
        // One byte beside the alignment, as on a device with larger blocks: most file systems say EINVAL.
        odd.buffer.start += 1;
        let taken = FileExt::write_all_at(&odd.file, odd.buffer.bytes(BLOCK), 0).is_ok();
        odd.write_all_at(b"one", 0).unwrap();
        odd.write_all_at(b"two", 3).unwrap();
        assert_eq!(odd.refused, !taken);
        assert_eq!(std::fs::read(path).unwrap()[..7], *b"onetwo\0");
    }

    /// As after every opening of a journal: the first commit lies behind others in its block.
    #[test]
    fn a_refused_read_of_the_block_that_is_added_to_goes_through_the_page_cache() {
        let dir = tempfile::tempdir().unwrap();
        let (open, path) = file(dir.path(), 4 * BLOCK);
        FileExt::write_all_at(&open, b"zero", 0).unwrap();
        open.sync_all().unwrap();
        switch(&open, true).unwrap();
        let mut odd = Direct {
            file: open,
            buffer: AlignedBuffer::new(BLOCK),
            expected: None,
            refused: false,
        };
        odd.buffer.start += 1;
        odd.write_all_at(b"one", 4).unwrap();
        assert_eq!(std::fs::read(path).unwrap()[..8], *b"zeroone\0");
    }
}
