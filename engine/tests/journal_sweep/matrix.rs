//! Files that rot: a byte flipped anywhere, a file cut anywhere, gone, or replaced by an older copy of itself.

use std::fs;
use std::path::{Path, PathBuf};

use flow_engine::journal::sled::SledJournal;

use crate::disk::Dice;
use crate::judge::{Judge, Verdict};
use crate::workload::{BATCH, Promise, made, made_until, options};
use crate::{Tally, copy, full, scratch};

/// Records per run: few, so that every byte of every file can have its turn.
const GOAL: u64 = 24;

#[derive(Debug, Clone)]
enum Damage {
    Flip(PathBuf, usize),
    Cut(PathBuf, u64),
    Delete(PathBuf),
    Older(PathBuf),
}

impl Damage {
    fn file(&self) -> &Path {
        match self {
            Damage::Flip(p, _) | Damage::Cut(p, _) | Damage::Delete(p) | Damage::Older(p) => p,
        }
    }

    /// What it is done to, in words.
    fn on(&self) -> &'static str {
        let file = self.file();
        match file
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap()
        {
            "wal" => "segments",
            "sled" => "sled",
            "objects" | "copies" => "objects",
            _ => "checkpoint and lock",
        }
    }

    fn apply(&self, dir: &Path, older: &Path) {
        let path = dir.join(self.file());
        match self {
            Damage::Flip(_, at) => {
                let mut bytes = fs::read(&path).unwrap();
                bytes[*at] ^= 1 << (at % 8);
                fs::write(&path, bytes).unwrap();
            }
            Damage::Cut(_, len) => {
                let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
                file.set_len(*len).unwrap();
            }
            Damage::Delete(_) if path.is_dir() => fs::remove_dir_all(&path).unwrap(),
            Damage::Delete(_) => fs::remove_file(&path).unwrap(),
            Damage::Older(name) => {
                let old = older.join(name);
                if path.is_dir() {
                    fs::remove_dir_all(&path).unwrap();
                    copy(&old, &path);
                } else {
                    fs::copy(old, &path).unwrap();
                }
            }
        }
    }
}

/// A journal to damage, and an earlier state of it.
struct Subject {
    name: &'static str,
    dir: PathBuf,
    older: PathBuf,
    promise: Promise,
    /// sled has everything, as after an orderly end.
    closed: bool,
    _folder: tempfile::TempDir,
}

fn subject(closed: bool) -> Subject {
    let folder = scratch();
    let (dir, older) = (folder.path().join("journal"), folder.path().join("older"));
    made(&dir, GOAL / 2);
    copy(&dir, &older);
    if closed {
        let promise = made(&dir, GOAL);
        let name = "an orderly end";
        return Subject {
            name,
            dir,
            older,
            promise,
            closed,
            _folder: folder,
        };
    }
    // The state of a process that was killed right after its last acknowledgement, before sled had anything of it.
    let sled = folder.path().join("sled");
    copy(&dir.join("sled"), &sled);
    let checkpoint = fs::read(dir.join("checkpoint")).unwrap();
    let mut end = Vec::new();
    let promise = made_until(&dir, GOAL, || end = fs::read(dir.join("END")).unwrap());
    fs::remove_dir_all(dir.join("sled")).unwrap();
    copy(&sled, &dir.join("sled"));
    fs::write(dir.join("checkpoint"), checkpoint).unwrap();
    fs::write(dir.join("END"), end).unwrap();
    let name = "a kill";
    Subject {
        name,
        dir,
        older,
        promise,
        closed,
        _folder: folder,
    }
}

fn files(dir: &Path, below: &Path, all: &mut Vec<PathBuf>) {
    for item in fs::read_dir(dir.join(below)).unwrap() {
        let item = item.unwrap();
        let name = below.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            files(dir, &name, all);
        } else {
            all.push(name);
        }
    }
}

/// All damages, or a sample of them.
fn damages(subject: &Subject, dice: &mut Dice) -> Vec<Damage> {
    let mut names = Vec::new();
    files(&subject.dir, Path::new(""), &mut names);
    names.sort();
    let folders = ["sled", "wal"].map(PathBuf::from);
    let mut damages: Vec<Damage> = folders.iter().cloned().map(Damage::Delete).collect();
    damages.extend(folders.into_iter().map(Damage::Older));
    for name in names {
        let bytes = fs::read(subject.dir.join(&name)).unwrap();
        // The zeros at a file's end are all alike.
        let used = bytes
            .iter()
            .rposition(|b| *b != 0)
            .map_or(0, |last| last + 1);
        let much = used > 20_000 || name.starts_with("objects") || name.starts_with("copies");
        let step = match (full(), much) {
            (true, false) => 1,
            (true, true) => 23,
            (false, false) => 97,
            (false, true) => 1_499,
        };
        let first = usize::try_from(dice.roll(step as u64)).unwrap();
        let offsets = (first..bytes.len().min(used + 64)).step_by(step);
        damages.extend(offsets.clone().map(|at| Damage::Flip(name.clone(), at)));
        let cuts = offsets
            .step_by(3)
            .map(|len| Damage::Cut(name.clone(), len as u64));
        damages.extend(cuts);
        if subject.older.join(&name).exists() {
            damages.push(Damage::Older(name.clone()));
        }
        damages.push(Damage::Delete(name));
    }
    damages
}

/// Whether the loss is the one that cannot be told from a torn write, and was reported: after a kill, a byte of the very
/// last commit is another, and nothing but that commit is missing.
fn known_limit(subject: &Subject, done: &[Damage], why: &str) -> bool {
    let [Damage::Flip(name, at)] = done else {
        return false;
    };
    let newest = subject.dir.join(name);
    let is_newest = newest == *segments(&subject.dir).last().unwrap();
    let bytes = fs::read(&newest).unwrap();
    let commit = bytes.windows(4).rposition(|w| w == b"FWF1");
    !subject.closed
        && is_newest
        && commit.is_some_and(|commit| *at >= commit)
        && why.contains("acknowledged records")
        && commit.is_some_and(|c| why.contains(&format!("at offset {c} of segment ")))
        && why.contains("is torn or damaged and was dropped")
        && missing(why).is_some_and(|records| records <= BATCH)
}

/// Of `run a: 20 of 22 acknowledged records`, the 2.
fn missing(why: &str) -> Option<u64> {
    let mut numbers = why.split(": ").nth(1)?.split(' ');
    let there: u64 = numbers.next()?.parse().ok()?;
    let acked: u64 = numbers.nth(1)?.parse().ok()?;
    Some(acked - there)
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    files(dir, Path::new("wal"), &mut names);
    names.sort();
    names.iter().map(|name| dir.join(name)).collect()
}

fn try_one(subject: &Subject, done: &[Damage], tally: &mut Tally, judge: &mut Judge) {
    let folder = scratch();
    let dir = folder.path().join("journal");
    copy(&subject.dir, &dir);
    for damage in done {
        damage.apply(&dir, &subject.older);
    }
    tally.tried += 1;
    tally.note("images");
    let single = done.len() == 1;
    let whole_copy_left = single && (subject.closed || done[0].on() != "segments");
    let object = done.iter().any(|d| d.on() == "objects");
    let verdict = judge.judge(&dir, &subject.promise, BATCH);
    let what = match &verdict {
        Verdict::Complete { repairs, .. } if repairs.is_empty() => "harmless",
        Verdict::Complete { .. } => "rebuilt from the other copy",
        Verdict::Refused(_) if object && !single => "damaged objects refused by name",
        Verdict::Refused(_) if !whole_copy_left => "refused by name",
        Verdict::Wrong(why) if known_limit(subject, done, why) => {
            "damage to the very last commit, reported as torn or damaged (the known limit)"
        }
        _ => {
            let name = subject.name;
            tally
                .violations
                .push(format!("after {name}, {done:?}: {verdict:?}"));
            return;
        }
    };
    tally.note(what);
    if let Verdict::Refused(why) = &verdict
        && !["run ", "object", "commit "]
            .iter()
            .any(|w| why.contains(w))
    {
        tally
            .violations
            .push(format!("{done:?}: the refusal names nothing: {why}"));
    }
}

/// Runs through cases with two judges.
fn run(subject: &Subject, cases: &[Vec<Damage>]) -> Tally {
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            scope.spawn(move || {
                let (mut tally, mut judge) = (Tally::default(), Judge::start());
                for case in cases.iter().skip(half).step_by(2) {
                    try_one(subject, case, &mut tally, &mut judge);
                }
                tally
            })
        });
        for half in halves {
            all.add(half.join().unwrap());
        }
    });
    all
}

#[test]
fn one_damaged_file_costs_no_record() {
    let subject = subject(true);
    let damages = damages(&subject, &mut Dice(11));
    let cases: Vec<Vec<Damage>> = damages.into_iter().map(|d| vec![d]).collect();
    run(&subject, &cases).conclude("one damage, after an orderly end");
}

#[test]
fn one_damaged_file_after_a_kill_costs_no_record_that_both_copies_had() {
    let subject = subject(false);
    let damages = damages(&subject, &mut Dice(12));
    let cases: Vec<Vec<Damage>> = damages
        .into_iter()
        .filter(|d| d.on() != "objects")
        .map(|d| vec![d])
        .collect();
    run(&subject, &cases).conclude("one damage, after a kill");
}

#[test]
fn two_damaged_files_are_rebuilt_or_refused_and_never_lose_a_record_silently() {
    let subject = subject(true);
    let all = damages(&subject, &mut Dice(13));
    let on = |what: &str| -> Vec<&Damage> {
        let of = all.iter().filter(|d| d.on() == what);
        of.filter(|d| !matches!(d, Damage::Older(_))).collect()
    };
    let (segments, sled) = (on("segments"), on("sled"));
    let mut dice = Dice(14);
    let mut pick = |from: &[&Damage]| -> Damage {
        let at = dice.roll(from.len() as u64);
        from[usize::try_from(at).unwrap()].clone()
    };
    let count = if full() { 6_000 } else { 80 };
    let cases: Vec<Vec<Damage>> = (0..count)
        .map(|_| vec![pick(&segments), pick(&sled)])
        .collect();
    run(&subject, &cases).conclude("damage to both copies");
}

#[test]
fn an_intact_subject_is_complete_without_a_repair() {
    for closed in [true, false] {
        let subject = subject(closed);
        let (journal, report) = SledJournal::open(&subject.dir, &options()).unwrap();
        assert_eq!(report.repaired, []);
        assert_eq!(report.replayed > 0, !closed, "{report:?}");
        drop(journal);
        let verdict = Judge::start().judge(&subject.dir, &subject.promise, 0);
        assert!(matches!(verdict, Verdict::Complete { .. }), "{verdict:?}");
    }
}
