//! What `pm2 jlist` says, as far as it may be kept.

use std::collections::BTreeMap;

use flow_engine::step::StepError;
use serde::{Deserialize, Serialize};

use crate::host::{Command, Host};
use crate::reach;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// pm2's number for it.
    pub id: u64,
    /// Its name; several processes may share one.
    pub name: String,
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
}

/// The processes of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessList {
    /// By pm2's number.
    pub apps: Vec<App>,
    /// How many bytes each log file had when the list was taken, by path; empty when nobody asked.
    #[serde(default)]
    pub log_sizes: BTreeMap<String, u64>,
}

impl App {
    /// Whether it runs now.
    pub fn is_running(&self) -> bool {
        self.status == "online" && self.pid != 0
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
            restarts: 0,
            pid: u64::MAX,
            version: None,
            logs: Vec::new(),
        };
        ProcessList {
            apps: (0..).zip(names).map(app).collect(),
            log_sizes: BTreeMap::new(),
        }
    }

    /// Every known process, taken for one that ran.
    pub(super) fn as_if_online(&self) -> Self {
        Self::named(self.apps.iter().map(|a| a.name.clone()))
    }

    /// How many processes of each name run.
    pub(super) fn running(&self) -> BTreeMap<String, usize> {
        let mut names = BTreeMap::new();
        for app in self.apps.iter().filter(|a| a.is_running()) {
            *names.entry(app.name.clone()).or_default() += 1;
        }
        names
    }

    /// The processes that run in `now` under the pid they had here.
    pub(super) fn same_process_in(&self, now: &ProcessList) -> Vec<String> {
        let before: Vec<u64> = self
            .apps
            .iter()
            .filter(|a| a.is_running())
            .map(|a| a.pid)
            .collect();
        let same = now
            .apps
            .iter()
            .filter(|a| a.is_running() && before.contains(&a.pid));
        same.map(App::in_words).collect()
    }

    /// The largest growth of a restart counter from here to `now`.
    pub(super) fn most_restarts_until(&self, now: &ProcessList) -> u64 {
        let before = self.counters();
        let grown = now.apps.iter().filter_map(|a| {
            let (restarts, _) = before.get(&a.id)?;
            Some(a.restarts.saturating_sub(*restarts))
        });
        grown.max().unwrap_or(0)
    }

    /// The counters of crash and restart, by pm2's number.
    pub(crate) fn counters(&self) -> BTreeMap<u64, (u64, u64)> {
        self.apps
            .iter()
            .map(|a| (a.id, (a.restarts, a.pid)))
            .collect()
    }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    pid: Option<u64>,
    name: String,
    pm_id: u64,
    pm2_env: RawEnv,
}

#[derive(Deserialize)]
struct RawEnv {
    status: String,
    #[serde(default)]
    restart_time: u64,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    pm_out_log_path: Option<String>,
    #[serde(default)]
    pm_err_log_path: Option<String>,
}

/// Reads the output of `pm2 jlist`: the last line is the JSON, whatever stands before it.
///
/// Fails without repeating the text, which is full of environment variables.
pub(super) fn parse(text: &str) -> Result<ProcessList, StepError> {
    let line = text
        .lines()
        .rev()
        .find(|l| !l.trim().is_empty())
        .unwrap_or_default();
    let raw: Vec<Raw> = serde_json::from_str(line.trim()).map_err(|e| {
        StepError::fail(format!(
            "`pm2 jlist` answered {} bytes that are no list of processes (column {})",
            text.len(),
            e.column()
        ))
        .hint("run `pm2 jlist` on the host as the configured user")
    })?;
    let app = |raw: Raw| {
        let env = raw.pm2_env;
        let mut logs: Vec<String> = [env.pm_out_log_path, env.pm_err_log_path]
            .into_iter()
            .flatten()
            .filter(|path| path.starts_with('/') && path != "/dev/null")
            .collect();
        logs.dedup();
        App {
            id: raw.pm_id,
            name: raw.name,
            status: env.status,
            restarts: env.restart_time,
            pid: raw.pid.unwrap_or(0),
            version: env.version.filter(|v| v != "N/A"),
            logs,
        }
    };
    let mut apps: Vec<App> = raw.into_iter().map(app).collect();
    apps.sort_by_key(|a| a.id);
    Ok(ProcessList {
        apps,
        log_sizes: BTreeMap::new(),
    })
}

/// The processes of a host now. Starts pm2's daemon when it does not run, as every pm2 command does.
pub(crate) async fn list(host: &dyn Host, pm2: &[String]) -> Result<ProcessList, StepError> {
    parse(&reach::run(host, &reach::command(pm2, &["jlist"])?).await?)
}

/// The sizes of all log files of these processes now; 0 for one that does not exist yet.
pub(super) async fn log_sizes(
    host: &dyn Host,
    list: &ProcessList,
) -> Result<BTreeMap<String, u64>, StepError> {
    let mut files: Vec<&String> = list.apps.iter().flat_map(|a| &a.logs).collect();
    files.sort();
    files.dedup();
    let text =
        r#"for f in "$@"; do if [ -f "$f" ]; then stat -c %s -- "$f"; else echo 0; fi; done"#;
    let command = Command::script(text)
        .arg("sh")
        .args(files.iter().map(|f| f.as_str()));
    let answer = reach::run(host, &command).await?;
    let sizes: Vec<u64> = answer.lines().filter_map(|l| l.parse().ok()).collect();
    if sizes.len() != files.len() {
        return Err(StepError::fail(format!(
            "the sizes of the log files on `{}` cannot be read",
            host.name()
        )));
    }
    Ok(files.into_iter().cloned().zip(sizes).collect())
}
