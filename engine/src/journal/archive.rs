//! Files of finished runs, put away from the live store.
//!
//! ```text
//! file   "FLOWARC1" number:u64 previous[32] crc:u32, blocks, an end block     little-endian throughout
//! block  tag[4] len:u32 crc:u32 payload[len]                                  crc over tag ‖ len ‖ payload
//! AOBJ   digest[32] bytes                 every stored object that the runs of the file name, once
//! ARUN   run_len:u8 run head summary_len:u32 summary objects:u32 digest* records:u32 record*
//! head   seq:u64 epoch:u64 hash[32]
//! record epoch:u64 hash[32] body_len:u16 body
//! AEND   SHA-256 of everything before this block
//! ```
//!
//! A file is self-contained: with it alone the runs in it can be read and their chains verified. `previous` is the
//! digest of the file written before it, so that an exchanged file shows. A file never changes; pruning writes a new
//! one without the pruned runs.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sha2::Digest as _;

use super::segment::Reader;
use super::{GENESIS, Head, JournalError, Stored, chain};
use crate::id::{Digest, RunId};

mod catalog;
mod write;

pub(crate) use catalog::{Catalog, CatalogEntry, Place};
pub(crate) use write::Writer;

const MAGIC: [u8; 8] = *b"FLOWARC1";
const HEADER: usize = 8 + 8 + 32 + 4;
const BLOCK_HEADER: usize = 12;
const RUN: [u8; 4] = *b"ARUN";
const OBJECT: [u8; 4] = *b"AOBJ";
const END: [u8; 4] = *b"AEND";

/// A run as it lies in an archive file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArchivedRun {
    pub(crate) run: RunId,
    pub(crate) head: Head,
    pub(crate) summary: Vec<u8>,
    pub(crate) objects: Vec<Digest>,
    pub(crate) records: Vec<Stored>,
}

/// What a file turned out to hold, all of it verified.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) runs: Vec<(RunId, CatalogEntry)>,
    pub(crate) objects: usize,
    pub(crate) records: u64,
    pub(crate) digest: Digest,
}

pub(crate) fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("arc-{number:08}.arc"))
}

pub(crate) fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("arc-")?
        .strip_suffix(".arc")?
        .parse()
        .ok()
}

impl ArchivedRun {
    fn encode(&self) -> io::Result<Vec<u8>> {
        let too_many = |e: std::num::TryFromIntError| io::Error::other(e.to_string());
        let mut out = Vec::with_capacity(256 + self.records.len() * 160);
        put_run(&mut out, &self.run, &self.head);
        out.extend(
            u32::try_from(self.summary.len())
                .map_err(too_many)?
                .to_le_bytes(),
        );
        out.extend_from_slice(&self.summary);
        out.extend(
            u32::try_from(self.objects.len())
                .map_err(too_many)?
                .to_le_bytes(),
        );
        for object in &self.objects {
            out.extend_from_slice(&object.0);
        }
        out.extend(
            u32::try_from(self.records.len())
                .map_err(too_many)?
                .to_le_bytes(),
        );
        for record in &self.records {
            out.extend(record.epoch.to_le_bytes());
            out.extend_from_slice(&record.hash.0);
            out.extend(
                u16::try_from(record.body.len())
                    .map_err(too_many)?
                    .to_le_bytes(),
            );
            out.extend_from_slice(&record.body);
        }
        Ok(out)
    }

    fn decode(bytes: &[u8]) -> Option<ArchivedRun> {
        let mut r = Reader(bytes);
        let (run, head) = take_run(&mut r)?;
        let len = r.u32()? as usize;
        let summary = r.take(len)?.to_vec();
        let objects = (0..r.u32()?)
            .map(|_| r.array().map(Digest))
            .collect::<Option<_>>()?;
        let count = r.u32()?;
        let mut records = Vec::with_capacity((count as usize).min(bytes.len() / 42));
        for seq in 0..u64::from(count) {
            let (epoch, hash) = (r.u64()?, Digest(r.array()?));
            let len = u16::from_le_bytes(r.array()?);
            let body = r.take(len.into())?.to_vec();
            records.push(Stored {
                seq,
                epoch,
                body,
                hash,
            });
        }
        r.0.is_empty().then_some(ArchivedRun {
            run,
            head,
            summary,
            objects,
            records,
        })
    }

    /// The chain from the first record to the head.
    fn verify(&self) -> Result<(), String> {
        let mut previous = GENESIS;
        let mut epoch = 0;
        for r in &self.records {
            if chain(&previous, &self.run, r.seq, r.epoch, &r.body) != r.hash {
                return Err(format!(
                    "run {} record {}: its hash does not follow from the record before",
                    self.run, r.seq
                ));
            }
            previous = r.hash;
            epoch = epoch.max(r.epoch);
        }
        let reached = self.records.last().map(|r| (r.seq, epoch, r.hash));
        if reached == Some((self.head.seq, self.head.epoch, self.head.hash)) {
            Ok(())
        } else {
            Err(format!("run {}: it does not end in its head", self.run))
        }
    }
}

pub(crate) fn put_run(out: &mut Vec<u8>, run: &RunId, head: &Head) {
    let name = run.as_str().as_bytes();
    out.push(u8::try_from(name.len()).expect("a run's name has at most 64 bytes"));
    out.extend_from_slice(name);
    out.extend_from_slice(&head.seq.to_le_bytes());
    out.extend_from_slice(&head.epoch.to_le_bytes());
    out.extend_from_slice(&head.hash.0);
}

pub(crate) fn take_run(r: &mut Reader<'_>) -> Option<(RunId, Head)> {
    let [len] = r.array()?;
    let run = std::str::from_utf8(r.take(len.into())?)
        .ok()?
        .parse()
        .ok()?;
    let head = Head {
        seq: r.u64()?,
        epoch: r.u64()?,
        hash: Digest(r.array()?),
    };
    Some((run, head))
}

fn block_crc(tag: [u8; 4], len: u32, payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&tag);
    crc.update(&len.to_le_bytes());
    crc.update(payload);
    crc.finalize()
}

fn damaged(path: &Path, why: impl Into<String>) -> JournalError {
    JournalError::Corrupt {
        place: path.display().to_string(),
        why: why.into(),
    }
}

/// Reads all of a file: every block, every chain, every object and the end must be as written.
pub(crate) fn verify_file(path: &Path) -> Result<Contents, JournalError> {
    let mut contents = Contents {
        runs: Vec::new(),
        objects: 0,
        records: 0,
        digest: GENESIS,
    };
    contents.digest = blocks(path, |tag, place, payload| {
        if tag == OBJECT {
            let (digest, bytes) = payload.split_at_checked(32).ok_or("an object is cut")?;
            if Digest::of(bytes).0 != digest {
                return Err("an object is not what its name says".into());
            }
            contents.objects += 1;
            return Ok(());
        }
        let run = ArchivedRun::decode(payload).ok_or("a run makes no sense")?;
        run.verify()?;
        contents.records += run.records.len() as u64;
        let filed = CatalogEntry {
            head: run.head,
            summary: run.summary.into(),
            place: Some(place),
        };
        contents.runs.push((run.run, filed));
        Ok(())
    })?;
    Ok(contents)
}

/// Hands every block but the last to `see`, and returns the digest that the last one names, verified.
fn blocks(
    path: &Path,
    mut see: impl FnMut([u8; 4], Place, &[u8]) -> Result<(), String>,
) -> Result<Digest, JournalError> {
    let io = |e: io::Error| damaged(path, e.to_string());
    let file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut input = BufReader::with_capacity(1 << 18, file);
    let mut hash = sha2::Sha256::new();
    let mut header = [0; HEADER];
    input.read_exact(&mut header).map_err(io)?;
    let number = check_header(&header).ok_or_else(|| damaged(path, "its header is damaged"))?;
    hash.update(header);
    let mut at = HEADER as u64;
    loop {
        let mut head = [0; BLOCK_HEADER];
        input.read_exact(&mut head).map_err(io)?;
        let mut r = Reader(&head);
        let short = || damaged(path, "a block is cut");
        let (tag, len) = (r.array().ok_or_else(short)?, r.u32().ok_or_else(short)?);
        let crc = r.u32().ok_or_else(short)?;
        let end = at + BLOCK_HEADER as u64 + u64::from(len);
        if end > size {
            return Err(short());
        }
        let mut payload = vec![0; len as usize];
        input.read_exact(&mut payload).map_err(io)?;
        if block_crc(tag, len, &payload) != crc {
            return Err(damaged(path, format!("the block at byte {at} was altered")));
        }
        if tag == END {
            let digest = Digest(hash.finalize().into());
            return if payload == digest.0 && end == size {
                Ok(digest)
            } else {
                Err(damaged(
                    path,
                    "it is not as long as it was, or not as it was",
                ))
            };
        }
        hash.update(head);
        hash.update(&payload);
        let place = Place {
            file: number,
            offset: at,
            len,
        };
        see(tag, place, &payload).map_err(|why| damaged(path, why))?;
        at = end;
    }
}

fn check_header(header: &[u8; HEADER]) -> Option<u64> {
    let mut r = Reader(header);
    if r.array()? != MAGIC {
        return None;
    }
    let number = r.u64()?;
    r.take(32)?;
    (r.u32()? == crc32fast::hash(&header[..HEADER - 4])).then_some(number)
}

/// One run, its chain verified up to the head that the catalog names.
pub(crate) fn read_run(
    dir: &Path,
    run: &RunId,
    head: &Head,
    place: &Place,
) -> Result<ArchivedRun, JournalError> {
    let path = path_of(dir, place.file);
    let bad = |why: String| JournalError::Corrupt {
        place: format!("run {run} in {}", path.display()),
        why,
    };
    let mut bytes = vec![0; BLOCK_HEADER + place.len as usize];
    File::open(&path)
        .and_then(|file| file.read_exact_at(&mut bytes, place.offset))
        .map_err(|e| bad(e.to_string()))?;
    let (header, payload) = bytes.split_at(BLOCK_HEADER);
    let crc = block_crc(RUN, place.len, payload);
    if header[..4] != RUN || header[8..] != crc.to_le_bytes() {
        return Err(bad("it was altered".into()));
    }
    let found = ArchivedRun::decode(payload).ok_or_else(|| bad("it makes no sense".into()))?;
    found.verify().map_err(bad)?;
    if found.run != *run || found.head != *head {
        return Err(bad(
            "another run, or another history of it, lies there".into()
        ));
    }
    Ok(found)
}

/// An object that some archive file holds a copy of; slow, for when the object itself is lost.
pub(crate) fn find_object(dir: &Path, wanted: &Digest) -> Option<Vec<u8>> {
    let mut result = None;
    for (_, path) in list(dir).ok()? {
        // A file that is damaged further on may still hold the object; its digest proves it.
        let _whole = blocks(&path, |tag, _, payload| {
            if tag == OBJECT && payload.len() >= 32 && payload[..32] == wanted.0 {
                result = Some(payload[32..].to_vec()).filter(|b| Digest::of(b) == *wanted);
            }
            Ok(())
        });
        if result.is_some() {
            return result;
        }
    }
    None
}

/// The objects that a file holds copies of.
pub(crate) fn objects_in(path: &Path) -> Result<Vec<(Digest, Vec<u8>)>, JournalError> {
    let mut objects = Vec::new();
    blocks(path, |tag, _, payload| {
        if let (OBJECT, Some((digest, bytes))) = (tag, payload.split_at_checked(32)) {
            let digest = digest.try_into().map_err(|_| "an object is cut")?;
            objects.push((Digest(digest), bytes.to_vec()));
        }
        Ok(())
    })?;
    Ok(objects)
}

/// The archive files there are, in order.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    let items = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(found),
        other => other?,
    };
    for item in items {
        let path = item?.path();
        found.extend(number_of(&path).map(|number| (number, path)));
    }
    found.sort();
    Ok(found)
}
