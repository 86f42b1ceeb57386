//! Who holds a journal, in words for people and in facts that recognise the process again.
//!
//! A process number alone proves nothing: numbers are used again, and mean something else after a reboot and in another
//! container. The number, the boot, the process-number space and the moment the process started name exactly one.

use std::fs;
use std::path::Path;

use crate::clock;

/// A process, as it wrote itself down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number, in its own process-number space.
    pub pid: u32,
    /// The machine's name.
    pub host: String,
    /// The machine's boot id.
    pub boot: String,
    /// Since when it has the journal, RFC 3339.
    pub since: String,
    /// When it started, in clock ticks after boot; empty when it could not tell, or was an earlier version.
    pub started: String,
    /// Its process-number space, as `/proc/self/ns/pid` names it; empty likewise.
    pub space: String,
}

impl Holder {
    /// This process, now.
    pub fn this_process() -> Holder {
        let pid = std::process::id();
        Holder {
            pid,
            host: kernel("hostname"),
            boot: kernel("random/boot_id"),
            since: clock::system().now().to_string(),
            started: Stat::of(pid).map_or_else(String::new, |stat| stat.started),
            space: space(),
        }
    }

    /// How [`Holder::in_words`] says that it stands still.
    pub const STOPPED: &'static str = "it is stopped: `kill -CONT` lets it go on";

    /// Process, host, and whether it stands still, in words.
    pub fn in_words(&self) -> String {
        let stopped = if self.is_stopped() {
            format!(" ({})", Holder::STOPPED)
        } else {
            String::new()
        };
        format!(
            "pid {} on {}, boot {}, since {}{stopped}",
            self.pid, self.host, self.boot, self.since
        )
    }

    /// The content of `LOCK`: a line for people, a line of facts.
    pub(super) fn to_text(&self) -> String {
        format!(
            "pid {} on {}, boot {}, since {}\nstarted {} space {}\n",
            self.pid, self.host, self.boot, self.since, self.started, self.space
        )
    }

    /// The other way; nothing when the text is none, such as one that is just being written.
    pub(super) fn parse(text: &str) -> Option<Holder> {
        let mut lines = text.lines();
        let rest = lines.next()?.strip_prefix("pid ")?;
        let (pid, rest) = rest.split_once(" on ")?;
        let (rest, since) = rest.rsplit_once(", since ")?;
        let (host, boot) = rest.rsplit_once(", boot ")?;
        let facts = lines.next().and_then(|line| line.strip_prefix("started "));
        let (started, space) = facts
            .and_then(|facts| facts.split_once(" space "))
            .unwrap_or_default();
        Some(Holder {
            pid: pid.parse().ok()?,
            host: host.to_owned(),
            boot: boot.to_owned(),
            since: since.to_owned(),
            started: started.to_owned(),
            space: space.to_owned(),
        })
    }

    /// Why what `/proc` says under its number is not this process; nothing when it is.
    ///
    /// Without an answer nothing may be done to the process: it may be anybody's.
    pub fn not_here(&self) -> Option<String> {
        let (boot, space) = (kernel("random/boot_id"), space());
        if self.started.is_empty() || self.space.is_empty() || space.is_empty() {
            return Some("it left too little about itself to be recognised".to_owned());
        }
        if self.boot != boot {
            return Some(format!(
                "it runs on another machine or in another boot ({}, this is {boot})",
                self.boot
            ));
        }
        if self.space != space {
            return Some(format!(
                "it runs in another container or process-number space ({}, this is {space})",
                self.space
            ));
        }
        match Stat::of(self.pid) {
            None => Some(format!("there is no process {} here", self.pid)),
            Some(stat) if stat.started != self.started => {
                Some(format!("process {} is another one by now", self.pid))
            }
            Some(_) => None,
        }
    }

    /// Whether it stands still, by SIGSTOP or a debugger.
    pub fn is_stopped(&self) -> bool {
        let stopped = |stat: Stat| matches!(stat.state, 'T' | 't');
        self.not_here().is_none() && Stat::of(self.pid).is_some_and(stopped)
    }

    /// Whether it has this very file open.
    pub(super) fn has_open(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Ok(wanted) = fs::metadata(path) else {
            return false;
        };
        let Ok(open) = fs::read_dir(format!("/proc/{}/fd", self.pid)) else {
            return false;
        };
        open.flatten().any(|item| {
            fs::metadata(item.path())
                .is_ok_and(|m| (m.dev(), m.ino()) == (wanted.dev(), wanted.ino()))
        })
    }
}

/// What `/proc/PID/stat` says; see proc(5).
struct Stat {
    state: char,
    started: String,
}

impl Stat {
    fn of(pid: u32) -> Option<Stat> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets may hold spaces and brackets itself. What follows begins with the third field.
        let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        // A zombie holds nothing any more.
        if matches!(state, 'Z' | 'X') {
            return None;
        }
        let started = fields.nth(18)?.to_owned();
        Some(Stat { state, started })
    }
}

fn space() -> String {
    fs::read_link("/proc/self/ns/pid").map_or_else(
        |_| String::new(),
        |link| link.to_string_lossy().into_owned(),
    )
}

fn kernel(name: &str) -> String {
    fs::read_to_string(format!("/proc/sys/kernel/{name}"))
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}
