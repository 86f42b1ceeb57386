//! A disk that keeps what was synced, and of everything else whatever it likes.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::trace::Event;

/// What a disk writes at once or not at all.
const SECTOR: u64 = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(usize),
    Dir,
}

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Size(u64),
}

#[derive(Debug, Clone)]
enum Naming {
    Set(PathBuf, Node),
    Remove(PathBuf),
    Move(PathBuf, PathBuf, Node),
}

#[derive(Debug, Default, Clone)]
struct Inode {
    synced: Vec<u8>,
    pending: Vec<Change>,
}

/// Files and folders: as the process sees them, and as they are known to be on disk.
#[derive(Debug, Default, Clone)]
pub(crate) struct Disk {
    inodes: Vec<Inode>,
    now: BTreeMap<PathBuf, Node>,
    synced: BTreeMap<PathBuf, Node>,
    /// Folder → what happened to names in it since it was synced.
    namings: BTreeMap<PathBuf, Vec<Naming>>,
}

/// What the disk had kept of what was not synced when the power went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The disk kept none of it.
    Nothing,
    /// All names, no content.
    NamesOnly,
    /// All content, no names.
    ContentOnly,
    /// Everything: the process died, the machine did not.
    Everything,
    /// Everything, but only some sectors of each file's last write.
    Torn(u64),
    /// Any sectors of any writes, any prefix of what happened to each folder.
    Random(u64),
}

/// Numbers that look random and can be had again.
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap().to_owned()
}

fn grow(bytes: &mut Vec<u8>, len: usize) {
    if bytes.len() < len {
        bytes.resize(len, 0);
    }
}

fn put(bytes: &mut Vec<u8>, at: u64, data: &[u8]) {
    let at = usize::try_from(at).unwrap();
    grow(bytes, at + data.len());
    bytes[at..at + data.len()].copy_from_slice(data);
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(at, data) => put(bytes, *at, data),
            Change::Size(len) => bytes.resize(usize::try_from(*len).unwrap(), 0),
        }
    }

    /// Only the sectors that the dice choose.
    fn apply_torn(&self, bytes: &mut Vec<u8>, dice: &mut Dice) {
        let Change::Write(at, data) = self else {
            if dice.roll(2) == 0 {
                self.apply(bytes);
            }
            return;
        };
        let end = at + data.len() as u64;
        let mut from = *at;
        while from < end {
            let to = ((from / SECTOR + 1) * SECTOR).min(end);
            if dice.roll(2) == 0 {
                let part = usize::try_from(from - at).unwrap()..usize::try_from(to - at).unwrap();
                put(bytes, from, &data[part]);
            }
            from = to;
        }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Naming::Set(path, node) => {
                names.insert(path.clone(), *node);
            }
            Naming::Remove(path) => {
                names.remove(path);
            }
            Naming::Move(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

impl Disk {
    /// A folder as it is, all of it synced.
    pub(crate) fn of(dir: &Path) -> Disk {
        let mut disk = Disk::default();
        disk.add(dir);
        disk.synced = disk.now.clone();
        disk
    }

    fn add(&mut self, dir: &Path) {
        self.now.insert(dir.to_owned(), Node::Dir);
        for item in fs::read_dir(dir).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                self.add(&path);
            } else {
                let synced = fs::read(&path).unwrap();
                self.inodes.push(Inode {
                    synced,
                    pending: Vec::new(),
                });
                self.now.insert(path, Node::File(self.inodes.len() - 1));
            }
        }
    }

    fn name(&mut self, folder: PathBuf, naming: Naming) {
        naming.apply(&mut self.now);
        self.namings.entry(folder).or_default().push(naming);
    }

    fn file(&mut self, path: &Path) -> &mut Inode {
        match self.now.get(path) {
            Some(Node::File(id)) => &mut self.inodes[*id],
            other => panic!("{}: {other:?}", path.display()),
        }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Create(path) => {
                if !self.now.contains_key(path) {
                    self.inodes.push(Inode::default());
                    let node = Node::File(self.inodes.len() - 1);
                    self.name(parent(path), Naming::Set(path.clone(), node));
                }
            }
            Event::Write(path, at, data) => {
                let change = Change::Write(*at, data.clone());
                self.file(path).pending.push(change);
            }
            Event::Size(path, len) => self.file(path).pending.push(Change::Size(*len)),
            Event::Reserve(path, len) => {
                let there = self.content(path).len() as u64;
                if there < *len {
                    self.file(path).pending.push(Change::Size(*len));
                }
            }
            Event::Sync(path) => self.sync(path),
            Event::Mkdir(path) => self.name(parent(path), Naming::Set(path.clone(), Node::Dir)),
            Event::Unlink(path) => self.name(parent(path), Naming::Remove(path.clone())),
            Event::Link(from, to) => {
                let node = self.now[from];
                self.name(parent(to), Naming::Set(to.clone(), node));
            }
            Event::Rename(from, to) => self.rename(from, to),
            Event::Said(_) => {}
        }
    }

    fn sync(&mut self, path: &Path) {
        match self.now.get(path).copied() {
            Some(Node::File(id)) => {
                let inode = &mut self.inodes[id];
                for change in std::mem::take(&mut inode.pending) {
                    change.apply(&mut inode.synced);
                }
            }
            _ => {
                for naming in self.namings.remove(path).unwrap_or_default() {
                    naming.apply(&mut self.synced);
                }
            }
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let node = self.now[from];
        // A folder takes along what is in it; what was not synced of that is settled to keep this simple.
        let below: Vec<PathBuf> = self
            .now
            .keys()
            .filter(|p| p.starts_with(from) && *p != from)
            .cloned()
            .collect();
        if node == Node::Dir {
            self.sync(from);
            for old in below {
                let new = to.join(old.strip_prefix(from).unwrap());
                let inner = self.now[&old];
                self.sync(&old);
                self.name(parent(to), Naming::Move(old, new, inner));
            }
        }
        if parent(from) == parent(to) {
            self.name(
                parent(to),
                Naming::Move(from.to_owned(), to.to_owned(), node),
            );
        } else {
            self.name(parent(to), Naming::Set(to.to_owned(), node));
            self.name(parent(from), Naming::Remove(from.to_owned()));
        }
    }

    /// A file as the process sees it.
    fn content(&mut self, path: &Path) -> Vec<u8> {
        let inode = self.file(path);
        let mut bytes = inode.synced.clone();
        for change in &inode.pending {
            change.apply(&mut bytes);
        }
        bytes
    }

    /// Whether the folder on the real disk is what the process must have seen: the trace has missed nothing.
    pub(crate) fn agrees_with(&mut self, dir: &Path) -> Result<(), String> {
        let real = Disk::of(dir);
        let names = |disk: &Disk| -> Vec<PathBuf> {
            let inside = disk.now.keys().filter(|p| p.starts_with(dir));
            inside.cloned().collect()
        };
        if names(self) != names(&real) {
            return Err(format!("{:?} is {:?}", names(self), names(&real)));
        }
        for (path, node) in &real.now {
            if let Node::File(id) = node
                && self.content(path) != real.inodes[*id].synced
            {
                return Err(format!("{} differs", path.display()));
            }
        }
        Ok(())
    }

    /// What the disk holds after the power went: path → content, nothing for a folder.
    pub(crate) fn after(&self, cut: Cut) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut dice = Dice(match cut {
            Cut::Torn(seed) | Cut::Random(seed) => seed,
            _ => 0,
        });
        let mut names = self.synced.clone();
        for namings in self.namings.values() {
            let kept = match cut {
                Cut::Nothing | Cut::ContentOnly => 0,
                Cut::Random(_) => usize::try_from(dice.roll(namings.len() as u64 + 1)).unwrap(),
                _ => namings.len(),
            };
            namings[..kept].iter().for_each(|n| n.apply(&mut names));
        }
        let mut image = BTreeMap::new();
        for (path, node) in &names {
            let reachable = path
                .ancestors()
                .skip(1)
                .all(|a| !self.now.contains_key(a) || names.contains_key(a));
            if !reachable {
                continue;
            }
            let content = match node {
                Node::Dir => None,
                Node::File(id) => Some(self.inodes[*id].after(cut, &mut dice)),
            };
            image.insert(path.clone(), content);
        }
        image
    }

    /// Whether a cut at this moment can lose anything at all.
    pub(crate) fn is_settled(&self) -> bool {
        self.namings.is_empty() && self.inodes.iter().all(|i| i.pending.is_empty())
    }
}

impl Inode {
    fn after(&self, cut: Cut, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        let Some((last, before)) = self.pending.split_last() else {
            return bytes;
        };
        match cut {
            Cut::Nothing | Cut::NamesOnly => {}
            Cut::ContentOnly | Cut::Everything => {
                self.pending.iter().for_each(|c| c.apply(&mut bytes));
            }
            Cut::Torn(_) => {
                for change in before {
                    change.apply(&mut bytes);
                }
                last.apply_torn(&mut bytes, dice);
            }
            Cut::Random(_) => {
                for change in &self.pending {
                    match dice.roll(4) {
                        0 => {}
                        1 => change.apply(&mut bytes),
                        _ => change.apply_torn(&mut bytes, dice),
                    }
                }
            }
        }
        bytes
    }
}

/// Puts an image below `to` in place of `from`; the folder that the journal is in is always there.
pub(crate) fn write(image: &BTreeMap<PathBuf, Option<Vec<u8>>>, from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (path, content) in image {
        let Ok(inner) = path.strip_prefix(from) else {
            continue;
        };
        match content {
            None => fs::create_dir_all(to.join(inner)).unwrap(),
            Some(bytes) => fs::write(to.join(inner), bytes).unwrap(),
        }
    }
}

pub(crate) fn fingerprint(image: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    hasher.finish()
}
