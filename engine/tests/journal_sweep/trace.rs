//! What a child did to its files, as strace saw it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::strace;
use crate::workload::Session;

/// One thing that happened, in the order in which it happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Create(PathBuf),
    Write(PathBuf, u64, Vec<u8>),
    /// The file has this length from now on.
    Size(PathBuf, u64),
    /// The file is at least this long from now on.
    Reserve(PathBuf, u64),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Unlink(PathBuf),
    Mkdir(PathBuf),
    /// The child said something; from here on what it promised holds.
    Said(String),
}

const CALLS: &str = "openat,write,pwrite64,fsync,fdatasync,ftruncate,fallocate,lseek,rename,renameat,\
                     renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat";

/// Runs the workload and writes down what it does to files under `dir`. `extra` are more options of strace.
pub(crate) fn record(dir: &Path, goal: u64, extra: &[String], log: &Path) -> (Session, Vec<Event>) {
    let mut options = vec![
        "-y".to_owned(),
        "-s4000000".to_owned(),
        format!("-etrace={CALLS}"),
    ];
    options.extend_from_slice(extra);
    let session = strace::run(dir, goal, &options, log);
    let text = std::fs::read(log).unwrap();
    let mut reader = Reader {
        dir,
        offsets: HashMap::new(),
        events: Vec::new(),
    };
    for call in calls(&String::from_utf8_lossy(&text)) {
        reader.call(&call);
    }
    (session, reader.events)
}

/// The calls that ended well, each as one line; in the order in which writes began and everything else ended.
fn calls(text: &str) -> Vec<String> {
    let mut done: Vec<String> = Vec::new();
    // Thread → place of its write in the list, and the text of the call so far.
    let mut open: HashMap<&str, (Option<usize>, String)> = HashMap::new();
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if let Some(start) = call.strip_suffix(" <unfinished ...>") {
            let place = start.starts_with("pwrite64(") || start.starts_with("write(");
            let place = place.then(|| {
                done.push(String::new());
                done.len() - 1
            });
            open.insert(thread, (place, start.to_owned()));
        } else if call.starts_with("<... ") {
            let (place, start) = open.remove(thread).unwrap();
            let rest = call.split_once(" resumed>").unwrap().1;
            match place {
                Some(place) => done[place] = start + rest,
                None => done.push(start + rest),
            }
        } else {
            done.push(call.to_owned());
        }
    }
    done.retain(|call| {
        let result = call.rsplit_once(" = ").map_or("?", |(_, r)| r);
        !(result.starts_with('?') || result.starts_with('-'))
    });
    done
}

struct Reader<'a> {
    dir: &'a Path,
    offsets: HashMap<u64, u64>,
    events: Vec<Event>,
}

impl Reader<'_> {
    fn call(&mut self, call: &str) {
        let (head, result) = call.rsplit_once(" = ").unwrap();
        let (name, args) = head.split_once('(').unwrap();
        let args = arguments(args);
        match name {
            "openat" => self.open(&args, result),
            "write" | "pwrite64" => self.write(name, &args, number(result)),
            "lseek" => {
                self.offsets.insert(args[0].number, number(result));
            }
            "ftruncate" => self.on(&args[0], |p| Event::Size(p, args[1].number)),
            "fallocate" => {
                self.on(&args[0], |p| {
                    Event::Reserve(p, args[2].number + args[3].number)
                });
            }
            "fsync" | "fdatasync" => self.on(&args[0], Event::Sync),
            _ => self.name(name, &args),
        }
    }

    fn inside(&self, path: &Path) -> bool {
        path.starts_with(self.dir) || Some(path) == self.dir.parent()
    }

    fn on(&mut self, file: &Argument, event: impl FnOnce(PathBuf) -> Event) {
        if let Some(path) = &file.path
            && self.inside(path)
        {
            self.events.push(event(path.clone()));
        }
    }

    fn open(&mut self, args: &[Argument], result: &str) {
        let (path, flags) = (args[1].path(), &args[2].text);
        self.offsets.insert(number(result), 0);
        if !self.inside(&path) {
            return;
        }
        if flags.contains("O_CREAT") {
            self.events.push(Event::Create(path.clone()));
        }
        if flags.contains("O_TRUNC") {
            self.events.push(Event::Size(path, 0));
        }
    }

    fn write(&mut self, name: &str, args: &[Argument], written: u64) {
        let mut bytes = args[1].bytes.clone();
        assert_eq!(bytes.len() as u64, args[2].number, "strace cut a string");
        bytes.truncate(usize::try_from(written).unwrap());
        if args[0].number == 1 {
            for line in String::from_utf8_lossy(&bytes).lines() {
                self.events.push(Event::Said(line.to_owned()));
            }
            return;
        }
        let at = if name == "pwrite64" {
            args[3].number
        } else {
            let offset = self.offsets.entry(args[0].number).or_default();
            *offset += written;
            *offset - written
        };
        self.on(&args[0], |path| Event::Write(path, at, bytes));
    }

    fn name(&mut self, name: &str, args: &[Argument]) {
        let paths: Vec<PathBuf> = args
            .iter()
            .filter(|a| !a.bytes.is_empty())
            .map(Argument::path)
            .collect();
        if paths.is_empty() || !self.inside(&paths[0]) {
            return;
        }
        let first = paths[0].clone();
        self.events.push(match name {
            "rename" | "renameat" | "renameat2" => Event::Rename(first, paths[1].clone()),
            "link" | "linkat" => Event::Link(first, paths[1].clone()),
            "unlink" | "unlinkat" => Event::Unlink(first),
            _ => Event::Mkdir(first),
        });
    }
}

#[derive(Debug, Default)]
struct Argument {
    text: String,
    number: u64,
    /// Of a file descriptor.
    path: Option<PathBuf>,
    /// Of a string.
    bytes: Vec<u8>,
}

impl Argument {
    fn path(&self) -> PathBuf {
        PathBuf::from(String::from_utf8_lossy(&self.bytes).into_owned())
    }
}

fn number(text: &str) -> u64 {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text[..end].parse().unwrap_or(0)
}

/// Splits at the commas outside of strings.
fn arguments(text: &str) -> Vec<Argument> {
    let mut all = vec![Argument::default()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let last = all.last_mut().unwrap();
        match c {
            '"' => last.bytes = quoted(&mut chars),
            ',' => all.push(Argument::default()),
            ' ' => {}
            _ => last.text.push(c),
        }
    }
    for argument in &mut all {
        argument.number = number(&argument.text);
        if let Some((_, path)) = argument.text.split_once('<') {
            argument.path = Some(PathBuf::from(path.trim_end_matches([')', '>'])));
        }
    }
    all
}

/// The bytes of a string up to its closing quote, escaped as in C.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next().unwrap() {
                'n' => bytes.push(b'\n'),
                't' => bytes.push(b'\t'),
                'r' => bytes.push(b'\r'),
                'v' => bytes.push(11),
                'f' => bytes.push(12),
                digit @ '0'..='7' => {
                    let mut value = digit.to_digit(8).unwrap();
                    for _ in 0..2 {
                        let Some(more) = chars.peek().and_then(|c| c.to_digit(8)) else {
                            break;
                        };
                        value = value * 8 + more;
                        chars.next();
                    }
                    bytes.push(u8::try_from(value).unwrap());
                }
                other => bytes.push(u8::try_from(other).unwrap()),
            },
            other => bytes.push(u8::try_from(other).unwrap()),
        }
    }
    bytes
}
