//! Writing an archive file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::Digest as _;

use super::{ArchivedRun, END, MAGIC, OBJECT, Place, RUN, block_crc, path_of};
use crate::id::Digest;
use crate::journal::files;

/// Writes one archive file under a temporary name; it counts from [`finish`](Writer::finish) on.
pub(crate) struct Writer {
    out: BufWriter<File>,
    at: u64,
    hash: sha2::Sha256,
    number: u64,
    dir: PathBuf,
}

impl Writer {
    pub(crate) fn create(dir: &Path, number: u64, previous: &Digest) -> io::Result<Writer> {
        let file = files::create_file(&dir.join("archive.tmp"))?;
        let mut writer = Writer {
            out: BufWriter::with_capacity(1 << 18, file),
            at: 0,
            hash: sha2::Sha256::new(),
            number,
            dir: dir.to_owned(),
        };
        let mut header = MAGIC.to_vec();
        header.extend(number.to_le_bytes());
        header.extend_from_slice(&previous.0);
        header.extend(crc32fast::hash(&header).to_le_bytes());
        writer.write(&header)?;
        Ok(writer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.at += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn block(&mut self, tag: [u8; 4], payload: &[u8]) -> io::Result<Place> {
        let len = u32::try_from(payload.len()).map_err(|e| io::Error::other(e.to_string()))?;
        let place = Place {
            file: self.number,
            offset: self.at,
            len,
        };
        let mut header = tag.to_vec();
        header.extend(len.to_le_bytes());
        header.extend(block_crc(tag, len, payload).to_le_bytes());
        self.write(&header)?;
        self.write(payload)?;
        Ok(place)
    }

    pub(crate) fn object(&mut self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        let mut payload = digest.0.to_vec();
        payload.extend_from_slice(bytes);
        self.block(OBJECT, &payload).map(drop)
    }

    pub(crate) fn run(&mut self, run: &ArchivedRun) -> io::Result<Place> {
        self.block(RUN, &run.encode()?)
    }

    /// Gives the file its name, durably.
    pub(crate) fn finish(mut self) -> io::Result<PathBuf> {
        let digest: [u8; 32] = self.hash.clone().finalize().into();
        self.block(END, &digest)?;
        let file = self
            .out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        let path = path_of(&self.dir, self.number);
        files::rename(&self.dir.join("archive.tmp"), &path)?;
        Ok(path)
    }
}
