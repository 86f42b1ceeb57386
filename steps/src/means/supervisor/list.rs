//! The processes of an application at one moment, as their supervisor tells of them and as far as it may be kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// One process, as pm2 listed it at one moment: one entry for each instance of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, stored under these names"
)]
pub struct App {
    /// pm2's number for it; of a service or a container, a number that goes with its name.
    pub id: u64,
    /// Its name; several processes may share one.
    pub name: String,
    /// The namespace pm2 keeps it in; nothing in lists from before that was kept.
    #[serde(default)]
    pub namespace: Option<String>,
    /// As pm2 says: `online`, `stopped`, `errored`, `launching`, …
    pub status: String,
    /// How often it was restarted, by hand or after a crash.
    pub restarts: u64,
    /// 0 when it does not run.
    pub pid: u64,
    /// The version in its `package.json`, when it has one.
    pub version: Option<String>,
    /// Where pm2 writes its output and its errors.
    pub logs: Vec<String>,
    /// The folder it was started in.
    #[serde(default)]
    pub folder: Option<String>,
    /// When it was started last, by the host's clock, in milliseconds since 1970.
    #[serde(default)]
    pub since: Option<u64>,
    /// When it was last started on an order (a person's, a file's that pm2 watches, its clock's) and not because it had
    /// ended, by the host's clock, in milliseconds since 1970.
    #[serde(default)]
    pub ordered: Option<u64>,
    /// The script it runs; of a container, the id of its image.
    #[serde(default)]
    pub script: Option<String>,
    /// The commit pm2 found in that folder when it started it, where pm2 was told to look.
    #[serde(default)]
    pub revision: Option<String>,
    /// Whether it may end: pm2 does not start it again when it does (`autorestart: false`, or `stop_exit_codes` with 0).
    #[serde(default)]
    pub ends: bool,
    /// Whether pm2 restarts it by the clock (`cron_restart`), so that its counter grows without any fault.
    #[serde(default)]
    pub by_clock: bool,
    /// What else starts it, as systemd calls these timers, sockets and paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<String>,
    /// Whether pm2 starts it when a file in its folder changes (`watch`), also after it stopped by itself.
    #[serde(default)]
    pub watched: bool,
    /// Whether pm2 restarts it by itself while it is well: for a file that it or another process of its name watches, or
    /// when it takes more memory than it may (`max_memory_restart`).
    #[serde(default)]
    pub reloads: bool,
    /// What it last ended with, when it ever did.
    #[serde(default)]
    pub exit_code: Option<i64>,
    /// Whether it was crash-looping when it was looked at: it is no witness against a release then.
    #[serde(default)]
    pub restless: bool,
}

/// The application's processes on a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessList {
    /// By pm2's number.
    pub apps: Vec<App>,
    /// How many bytes each log file had when the list was taken, by path; empty when nobody asked.
    #[serde(default)]
    pub log_sizes: BTreeMap<String, u64>,
    /// Which file each of them was, by its number on the disk; 0 for one that did not exist.
    #[serde(default)]
    pub log_inodes: BTreeMap<String, u64>,
    /// Where the definitions of these processes are kept, when they are.
    #[serde(default)]
    pub kept: Option<Kept>,
    /// Names that ran before and were accepted as removed by the release.
    #[serde(default)]
    pub gone: BTreeSet<String>,
}

/// Where definitions are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The file on the host, readable for its owner only.
    pub file: String,
    /// Its sha256. The file begins with random text, so that this says nothing of its secrets.
    pub sha256: String,
}

impl App {
    /// Whether it runs now.
    pub fn is_running(&self) -> bool {
        self.status == "online" && self.pid != 0
    }

    /// Whether it has nothing to do now and that is as it should be: it ran to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.ends && self.status == "stopped" && self.exit_code.unwrap_or(0) == 0
    }

    /// Whether what becomes of it says anything of a release: it was neither stopped, errored, waiting nor crash-looping.
    pub(crate) fn is_witness(&self) -> bool {
        !self.restless && (self.is_running() || self.is_over())
    }

    /// One line: `api #0 online, pid 17, 2 restarts, version 1.4.0`.
    pub fn in_words(&self) -> String {
        let version = self.version.as_deref().map(|v| format!(", version {v}"));
        format!(
            "{} #{} {}, pid {}, {} restarts{}",
            self.name,
            self.id,
            self.status,
            self.pid,
            self.restarts,
            version.unwrap_or_default()
        )
    }
}

impl ProcessList {
    /// A list of which only the names matter, one process each.
    pub fn named<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let app = |(id, name): (u64, S)| App {
            id,
            name: name.into(),
            status: "online".into(),
            pid: u64::MAX,
            ..App::default()
        };
        ProcessList {
            apps: (0..).zip(names).map(app).collect(),
            ..ProcessList::default()
        }
    }

    /// Every known process, taken for one that ran.
    pub(crate) fn as_if_online(&self) -> Self {
        Self::named(self.apps.iter().map(|a| a.name.clone()))
    }

    /// How many processes of each name run.
    pub(crate) fn running(&self) -> BTreeMap<String, usize> {
        let mut names = BTreeMap::new();
        for app in self.apps.iter().filter(|a| a.is_running()) {
            *names.entry(app.name.clone()).or_default() += 1;
        }
        names
    }

    /// How many processes of each name must run after a release because they ran before it: not those that may end
    /// by themselves, and not those that were crash-looping.
    pub(crate) fn wanted(&self) -> BTreeMap<String, usize> {
        let mut wanted = BTreeMap::new();
        let steady = |a: &&App| a.is_running() && !a.ends && !a.restless;
        for app in self.apps.iter().filter(steady) {
            *wanted.entry(app.name.clone()).or_default() += 1;
        }
        wanted
    }

    /// The names that a release must not lose: what ran, or was a job between two runs.
    pub(crate) fn names_at_work(&self) -> BTreeSet<String> {
        self.apps
            .iter()
            .filter(|a| a.is_witness())
            .map(|a| a.name.clone())
            .collect()
    }

    /// The processes that run in `now` under the pid they had here.
    pub(crate) fn same_process_in(&self, now: &ProcessList) -> Vec<String> {
        let before: Vec<u64> = self
            .apps
            .iter()
            .filter(|a| a.is_running() && !a.restless)
            .map(|a| a.pid)
            .collect();
        let same = now
            .apps
            .iter()
            .filter(|a| a.is_running() && before.contains(&a.pid));
        same.map(App::in_words).collect()
    }

    /// The counters of restart and the pids, by pm2's number.
    pub(crate) fn counters(&self) -> BTreeMap<u64, (u64, u64)> {
        self.apps
            .iter()
            .map(|a| (a.id, (a.restarts, a.pid)))
            .collect()
    }
}
