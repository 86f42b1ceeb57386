//! Who has which mail: a repeated attempt leaves them out, also one by another process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use flow_engine::id::RunId;

/// How many deliveries are remembered. More are a run's mails to the largest team, several times over.
const REMEMBERED: usize = 5000;
/// The largest file that is read, in bytes.
const FILE_MAX: u64 = 4 << 20;

type Mark = (String, String);

/// The deliveries that a server took, in memory and, where a file is given, on disk: a line `MESSAGE-ID ADDRESS` for each.
#[derive(Debug, Default)]
pub(super) struct Reached {
    file: Option<PathBuf>,
    marks: Mutex<BTreeSet<Mark>>,
}

/// Who has which notices of a run, by the notice's number, as the file of a mailer has it that remembers.
pub fn holders(file: &Path, run: &RunId) -> BTreeMap<u64, BTreeSet<String>> {
    let mut holders: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    let begin = format!("<{run}.");
    for (message, address) in Reached::kept_in(file.to_owned()).marks().iter() {
        let number = message.strip_prefix(&begin);
        let number = number.and_then(|rest| rest.split('@').next()?.parse().ok());
        if let Some(number) = number {
            holders.entry(number).or_default().insert(address.clone());
        }
    }
    holders
}

impl Reached {
    /// Remembered beyond this process. What the file says already counts; one that cannot be read is as none: somebody may
    /// then get a mail twice, under one message id.
    pub(super) fn kept_in(file: PathBuf) -> Reached {
        let size = std::fs::metadata(&file).map_or(0, |meta| meta.len());
        let text = Some(&file).filter(|_| size <= FILE_MAX);
        let text = text.and_then(|file| std::fs::read_to_string(file).ok());
        let marks = text.unwrap_or_default();
        let marks = marks.lines().filter_map(|line| {
            let (message, address) = line.split_once(' ')?;
            Some((message.to_owned(), address.to_owned()))
        });
        Reached {
            marks: Mutex::new(marks.collect()),
            file: Some(file),
        }
    }

    pub(super) fn has(&self, message: &str, address: &str) -> bool {
        let mark = (message.to_owned(), address.to_owned());
        self.marks().contains(&mark)
    }

    /// Durable when this returns, where there is a file that can be written.
    pub(super) fn add(&self, message: &str, address: &str) {
        let mut marks = self.marks();
        let over = marks.len() >= REMEMBERED;
        if over {
            marks.clear();
        }
        marks.insert((message.to_owned(), address.to_owned()));
        drop(marks);
        let Some(file) = &self.file else { return };
        let written = OpenOptions::new()
            .create(true)
            .append(!over)
            .write(true)
            .truncate(over)
            .mode(0o600)
            .open(file)
            .and_then(|mut file| {
                file.write_all(format!("{message} {address}\n").as_bytes())?;
                file.sync_data()
            });
        if let Err(error) = written {
            let path = file.display();
            tracing::warn!(%path, %error, "who got a mail is remembered by this process only");
        }
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, BTreeSet<Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
