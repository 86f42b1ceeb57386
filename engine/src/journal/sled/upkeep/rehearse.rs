//! Trying a repair on a copy, to say what would be rebuilt from what.
//!
//! Opening a journal mends it, and sled writes to its folder whenever it is opened, so a look that changes nothing
//! cannot open the journal itself. What opening may write to is copied; of objects and archive files, which are only
//! ever replaced by name, the copy has links. What the copy then needs is what the journal needs.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{Mended, OpenOptions, SledJournal, rebuild_catalog};
use crate::journal::segment::unusable;
use crate::journal::sled::OpenReport;
use crate::journal::sled::closed::share;
use crate::journal::{JournalError, files};

/// What a repair would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rehearsed {
    /// What [`rebuild_catalog`] would say.
    pub catalog: Option<String>,
    /// What opening would find and do.
    pub report: OpenReport,
    /// What [`Upkeep::mend`](super::Upkeep::mend) would do after that.
    pub mended: Mended,
}

/// Repairs a copy of a journal in a folder that is empty or not there yet, and says what that did, in terms of the journal itself, which is not
/// changed: not even its `LOCK` is written to. Needs room for segments and sled. Blocks; twice is the same as once.
///
/// # Errors
/// [`JournalError::Locked`] when somebody has the journal open. Whatever a repair would be refused with.
pub fn rehearse(
    dir: &Path,
    scratch: &Path,
    options: &OpenOptions,
) -> Result<Rehearsed, JournalError> {
    let _lock = share(dir)?;
    files::create_dir(scratch)
        .and_then(|()| copy(dir, scratch))
        .map_err(|e| unusable(scratch, &e))?;
    let real = |text: &str| {
        let (from, to) = (scratch.display().to_string(), dir.display().to_string());
        text.replace(&from, &to)
    };
    let mut done = mend(scratch, options).map_err(|e| match e {
        JournalError::Corrupt { place, why } => JournalError::Corrupt {
            place: real(&place),
            why: real(&why),
        },
        other => other,
    })?;
    for repair in &mut done.report.repaired {
        repair.what = real(&repair.what);
        if let Some(kept) = &mut repair.kept {
            *kept = real(&kept.display().to_string()).into();
        }
    }
    for line in done.mended.done.iter_mut().chain(&mut done.mended.lost) {
        *line = real(line);
    }
    Ok(done)
}

fn mend(dir: &Path, options: &OpenOptions) -> Result<Rehearsed, JournalError> {
    let catalog = rebuild_catalog(dir)?;
    let (journal, report) = SledJournal::open(dir, options)?;
    let mended = journal.upkeep(options)?.mend()?;
    Ok(Rehearsed {
        catalog,
        report,
        mended,
    })
}

/// What is written in place, or removed with all that is in it.
const COPIED: [&str; 6] = ["wal", "sled", "next", "old", "checkpoint", "END"];

fn copy(dir: &Path, to: &Path) -> io::Result<()> {
    for item in fs::read_dir(dir)? {
        let item = item?;
        let name = item.file_name();
        let name = name.to_string_lossy();
        let (from, to) = (item.path(), to.join(&*name));
        if COPIED.contains(&&*name) {
            each_file(&from, &to, &|from, to| fs::copy(from, to).map(drop))?;
        } else if ["objects", "copies", "archive"].contains(&&*name) {
            each_file(&from, &to, &link)?;
        } else if name.contains(".damaged-") {
            link(&from, &to)?;
        }
    }
    Ok(())
}

/// Leftovers of a process that was killed are left out: they are emptied and written again under the same name.
fn each_file(
    from: &Path,
    to: &Path,
    act: &dyn Fn(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    if !from.is_dir() {
        let leftover = from.extension().is_some_and(|end| end == "tmp");
        return if leftover { Ok(()) } else { act(from, to) };
    }
    files::create_dir(to)?;
    for item in fs::read_dir(from)? {
        let item = item?;
        each_file(&item.path(), &to.join(item.file_name()), act)?;
    }
    Ok(())
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    symlink(fs::canonicalize(from)?, to)
}
