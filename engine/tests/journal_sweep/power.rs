//! The power goes at any moment, and the disk keeps of what was not synced whatever it likes.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use crate::disk::{self, Cut, Dice, Disk};
use crate::judge::{Judge, Verdict};
use crate::trace::{self, Event};
use crate::workload::{BATCH, Promise, made};
use crate::{Tally, full, say, scratch, strace};

const GOAL: u64 = 30;

/// The traced life of a journal, through one process or more.
struct Life {
    name: String,
    dir: std::path::PathBuf,
    /// The disk before the first event.
    disk: Disk,
    promise: Promise,
    events: Vec<Event>,
    sessions: u64,
    /// Number of the first event after which the power is cut.
    looked_at_from: usize,
    /// It began with a damage, so that repairs are in order.
    damaged: bool,
    _folder: tempfile::TempDir,
}

impl Life {
    fn begin(name: &str) -> Life {
        let folder = scratch();
        let dir = folder.path().join("journal");
        let mut disk = Disk::of(folder.path());
        // The folder above is not the journal's to sync.
        disk.apply(&Event::Sync(folder.path().to_owned()));
        Life {
            name: name.to_owned(),
            dir,
            disk,
            promise: Promise::default(),
            events: Vec::new(),
            sessions: 0,
            looked_at_from: 0,
            damaged: false,
            _folder: folder,
        }
    }

    /// One more process, killed or not; fails when the trace does not explain what is on disk.
    fn live(&mut self, goal: u64, extra: &[String]) -> Result<bool, String> {
        let log = self.dir.with_file_name(format!("log{}", self.sessions));
        let (session, events) = trace::record(&self.dir, goal, extra, &log);
        assert!(!session.hung, "{}: {:?}", self.name, session.lines);
        self.events.extend(events);
        self.sessions += 1;
        let mut seen = self.disk.clone();
        self.events.iter().for_each(|e| seen.apply(e));
        seen.agrees_with(&self.dir)?;
        Ok(session.killed)
    }
}

/// A process that works to its end.
fn undisturbed() -> Life {
    let mut life = Life::begin("at work");
    life.live(GOAL, &[]).unwrap();
    life
}

/// A process killed at its k-th sync, and one that goes on after it.
fn interrupted(k: u64) -> Option<Life> {
    let mut life = Life::begin(&format!("after a kill at sync {k}"));
    let kill = format!("-einject=fdatasync,fsync,rename:signal=SIGKILL:when={k}");
    let killed = life.live(GOAL, &[kill]);
    let explained = killed.and_then(|killed| {
        life.looked_at_from = life.events.len();
        life.live(GOAL, &[])?;
        Ok(killed)
    });
    match explained {
        Ok(killed) => killed.then_some(life),
        Err(why) => {
            // A call that was under way when the process died may have been done or not.
            say(&format!("skipped {}: {why:.300}", life.name));
            Some(Life {
                events: Vec::new(),
                ..life
            })
        }
    }
}

/// A process that mends a damaged journal.
fn mending(name: &str, damage: impl FnOnce(&Path)) -> Life {
    let mut life = Life::begin(name);
    life.damaged = true;
    life.promise = made(&life.dir, GOAL / 2);
    damage(&life.dir);
    life.disk = Disk::of(life.dir.parent().unwrap());
    life.live(GOAL, &[]).unwrap();
    life
}

fn lives() -> Vec<Life> {
    let mut lives = vec![
        undisturbed(),
        mending("rebuilding sled", |dir| {
            fs::remove_dir_all(dir.join("sled")).unwrap();
        }),
        mending("rewriting a segment", |dir| {
            let path = dir.join("wal/wal-00000001.seg");
            let mut bytes = fs::read(&path).unwrap();
            bytes[300] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        mending("rewriting all segments", |dir| {
            fs::remove_dir_all(dir.join("wal")).unwrap();
        }),
    ];
    let kills = if full() { 1..200 } else { 13..16 };
    lives.extend(kills.map_while(interrupted));
    lives
}

fn cuts(at: usize) -> Vec<Cut> {
    let seed = at as u64 * 1_000;
    let mut cuts = vec![
        Cut::Nothing,
        Cut::NamesOnly,
        Cut::ContentOnly,
        Cut::Everything,
    ];
    let more = if full() { 6 } else { 2 };
    cuts.extend((0..more).map(|n| Cut::Torn(seed + n)));
    cuts.extend((0..more * 2).map(|n| Cut::Random(seed + 500 + n)));
    cuts
}

/// Cuts the power after each event of a life; the second of two workers takes every other event.
fn cut_everywhere(life: &Life, worker: usize, tally: &mut Tally, judge: &mut Judge) {
    let mut disk = life.disk.clone();
    let mut promise = life.promise.clone();
    let mut seen = HashSet::new();
    let mut dice = Dice(7);
    for (at, event) in life.events.iter().enumerate() {
        disk.apply(event);
        if let Event::Said(line) = event {
            promise.hear(line);
            continue;
        }
        let skip = !full() && dice.roll(8) != 0;
        if skip || at < life.looked_at_from || at % 2 != worker || disk.is_settled() {
            continue;
        }
        tally.note("moments");
        for cut in cuts(at) {
            let image = disk.after(cut);
            if seen.insert(disk::fingerprint(&(&image, &promise.acked))) {
                try_image(life, at, cut, &image, &promise, tally, judge);
            }
        }
    }
}

fn try_image(
    life: &Life,
    at: usize,
    cut: Cut,
    image: &BTreeMap<std::path::PathBuf, Option<Vec<u8>>>,
    promise: &Promise,
    tally: &mut Tally,
    judge: &mut Judge,
) {
    let folder = scratch();
    let dir = folder.path().join("journal");
    disk::write(image, &life.dir, &dir);
    tally.tried += 1;
    tally.note("images");
    match judge.judge(&dir, promise, BATCH * life.sessions) {
        Verdict::Complete { repairs, .. } => {
            // What sled had not synced may be garbled in any way. The segments are synced before anything is said to
            // be there, so the power harms none that was sound.
            let of_sled = |r: &String| r.starts_with("sled");
            if repairs.iter().any(of_sled) {
                tally.note("of them with sled rebuilt");
            }
            if !life.damaged && !repairs.iter().all(of_sled) {
                tally.violations.push(format!(
                    "{}: power cut after event {at} {:.100?}, {cut:?} kept: {repairs:?}",
                    life.name, life.events[at]
                ));
            }
        }
        other => tally.violations.push(format!(
            "{}: power cut after event {at} {:.100?}, {cut:?} kept: {other:?}",
            life.name, life.events[at]
        )),
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes_at_any_moment() {
    if !strace::usable() {
        return;
    }
    let lives = lives();
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let lives = &lives;
        let halves = [0, 1].map(|worker| {
            scope.spawn(move || {
                let (mut tally, mut judge) = (Tally::default(), Judge::start());
                for life in lives {
                    cut_everywhere(life, worker, &mut tally, &mut judge);
                }
                tally
            })
        });
        for half in halves {
            all.add(half.join().unwrap());
        }
    });
    all.conclude("power cuts");
}
