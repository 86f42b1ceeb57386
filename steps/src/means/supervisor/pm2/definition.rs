//! How a process is started, kept on its host so that a rollback can start it so again.
//!
//! pm2 restarts by name with the definition it has now, which after a failed release is the release's: another script,
//! other arguments, another environment. Environments hold secrets, so definitions lie only on the host, in a file for
//! its owner alone, and pass through memory; never through journal, log or error.

use std::fmt;

use bytes::Bytes;
use flow_engine::step::StepError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Pm2;
use crate::means::host::{Command, Stdin};
use crate::means::reach;
use crate::means::supervisor::keep_file;
use crate::means::supervisor::list::Kept;

/// What pm2 reads of a definition on its standard input: one piece of a pipe or file (pm2 7, measured).
const START_MAX: usize = 60_000;
/// The settings of a process, by the names that an ecosystem file gives them.
const SETTINGS: [&str; 36] = [
    "args",
    "autorestart",
    "cron_restart",
    "deep_monitoring",
    "event_loop_inspector",
    "exec_mode",
    "exp_backoff_restart_delay",
    "filter_env",
    "gid",
    "ignore_watch",
    "increment_var",
    "instance_var",
    "kill_retry_time",
    "kill_timeout",
    "listen_timeout",
    "log_date_format",
    "log_type",
    "max_memory_restart",
    "max_restarts",
    "merge_logs",
    "min_uptime",
    "namespace",
    "node_args",
    "pmx",
    "restart_delay",
    "shutdown_with_message",
    "source_map_support",
    "stop_exit_codes",
    "time",
    "treekill",
    "uid",
    "vizion",
    "wait_ready",
    "watch",
    "watch_delay",
    "watch_options",
];
/// What pm2 and login shells put into an environment anew at each start; it makes no definition another one.
const PASSING: [&str; 10] = [
    "unique_id",
    "_",
    "OLDPWD",
    "PWD",
    "SHLVL",
    "PM2_USAGE",
    "PM2_INTERACTOR_PROCESSING",
    "PM2_JSON_PROCESSING",
    "PM2_PROGRAMMATIC",
    "io",
];

/// How one process is started, as an entry of an ecosystem file. Its `Debug` shows the name only.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Definition(Map<String, Value>);

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Definition({})", self.name())
    }
}

/// The file's content.
#[derive(Serialize, Deserialize)]
struct Content {
    random: String,
    apps: Vec<Definition>,
}

impl Definition {
    /// From what pm2 knows of a process.
    pub(super) fn of(name: &str, env: &Map<String, Value>) -> Self {
        let mut made = Map::new();
        let copied = SETTINGS.iter().map(|key| (*key, *key));
        let renamed = [
            ("cwd", "pm_cwd"),
            ("interpreter", "exec_interpreter"),
            ("out_file", "pm_out_log_path"),
            ("error_file", "pm_err_log_path"),
            ("log_file", "pm_log_path"),
        ];
        for (to, from) in copied.chain(renamed) {
            if let Some(value) = env.get(from).filter(|v| !v.is_null()) {
                made.insert(to.to_owned(), value.clone());
            }
        }
        made.insert("name".into(), name.into());
        made.insert("script".into(), script(env).into());
        // A process is one process; how many share its definition is counted.
        let own = env.get("env").and_then(Value::as_object).cloned();
        let mut own = own.unwrap_or_default();
        own.retain(|key, value| {
            // Under its own name, or the one it was started under, pm2 puts what it has for a module of that name.
            let named = key == "name" && *value == name || is_spare(key, name);
            !PASSING.contains(&key.as_str()) && key != name && !named && !value.is_object()
        });
        made.insert("env".into(), Value::Object(own));
        // pm2 numbers the logs of each process of a name that keeps them apart.
        if env.get("merge_logs") != Some(&Value::Bool(true)) {
            for key in ["out_file", "error_file", "log_file"] {
                if let Some(Value::String(path)) = made.get_mut(key) {
                    *path = unnumbered(path);
                }
            }
        }
        Definition(made)
    }

    pub(crate) fn name(&self) -> &str {
        self.0
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// A name of which pm2 knows no process yet, for one that gets another name when it starts.
fn spare(name: &str, n: u32) -> String {
    format!("{name}-spare-{n}")
}

fn is_spare(key: &str, name: &str) -> bool {
    let n = key
        .strip_prefix(name)
        .and_then(|n| n.strip_prefix("-spare-"));
    n.is_some_and(|n| n.parse::<u32>().is_ok())
}

/// A log's path without pm2's number, which is that of an earlier life where the process was resurrected.
fn unnumbered(path: &str) -> String {
    let stem = path.strip_suffix(".log").and_then(|p| p.rsplit_once('-'));
    match stem {
        Some((stem, n)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{stem}.log")
        }
        _ => path.to_owned(),
    }
}

/// The script: relative where that is possible, because pm2 takes one with a space in it for a line of shell.
fn script(env: &Map<String, Value>) -> String {
    let text = |key: &str| env.get(key).and_then(Value::as_str).unwrap_or_default();
    let (path, folder) = (text("pm_exec_path"), text("pm_cwd"));
    let inside = path
        .strip_prefix(folder.trim_end_matches('/'))
        .and_then(|rest| rest.strip_prefix('/'))
        .filter(|_| !folder.is_empty());
    inside.map_or_else(|| path.to_owned(), |rest| format!("./{rest}"))
}

/// Whether the processes of a name are started alike, in whatever order.
pub(super) fn alike(a: &[&Definition], b: &[&Definition]) -> bool {
    let mut left = b.to_vec();
    let found = a.iter().all(|one| {
        let at = left.iter().position(|other| other == one);
        at.map(|at| left.swap_remove(at)).is_some()
    });
    found && left.is_empty()
}

/// What `pm2 start -` reads to start these again: one entry for each different one, with its number of processes.
///
/// Under a spare name where one is given: pm2 restarts what has the name of an entry, and starts what has none. The
/// environment of a process goes before its settings when pm2 starts it (measured with pm2 7.0.4), so that it gets its own
/// name there.
fn start_text(all: &[&Definition], spare: Option<&str>) -> String {
    let mut groups: Vec<(&Definition, u64)> = Vec::new();
    for one in all {
        match groups.iter_mut().find(|(known, _)| known == one) {
            Some((_, n)) => *n += 1,
            None => groups.push((one, 1)),
        }
    }
    let entry = |(one, n): &(&Definition, u64)| {
        let mut entry = one.0.clone();
        // Without a number pm2 starts a single one that is not counted; with one it gives each a number in its environment.
        if *n > 1 || entry.get("exec_mode").and_then(Value::as_str) == Some("cluster_mode") {
            entry.insert("instances".into(), (*n).into());
        }
        if let Some(spare) = spare {
            entry.insert("name".into(), spare.into());
            if let Some(Value::Object(env)) = entry.get_mut("env") {
                env.insert("name".into(), one.name().into());
            }
        }
        Value::Object(entry)
    };
    let apps: Vec<Value> = groups.iter().map(entry).collect();
    serde_json::json!({ "apps": apps }).to_string()
}

impl Pm2<'_> {
    /// Keeps definitions on the host under a run's name, whole or not at all. Run twice: the file is written anew.
    pub(super) async fn keep(
        &self,
        dir: &str,
        run: &str,
        apps: &[Definition],
    ) -> Result<Kept, StepError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|e| StepError::fail(format!("this machine gives no randomness: {e}")))?;
        let content = Content {
            random: format!("{:032x}", u128::from_ne_bytes(random)),
            apps: apps.to_vec(),
        };
        let text = serde_json::to_vec(&content)
            .map_err(|e| StepError::fail(format!("the definitions cannot be written: {e}")))?;
        keep_file(
            self.host,
            dir,
            &format!("pm2-{run}.json"),
            Bytes::from(text),
        )
        .await
    }

    /// The definitions that were kept, or in words why there are none.
    pub(super) async fn kept(
        &self,
        kept: &Kept,
    ) -> Result<Result<Vec<Definition>, String>, StepError> {
        let script = r#"[ -f "$1" ] || { echo gone; exit 0; }
sum=$(sha256sum < "$1") && [ "${sum%% *}" = "$2" ] || { echo changed; exit 0; }
cat -- "$1""#;
        let command =
            Command::script(script).args(["sh", reach::absolute(&kept.file)?, &kept.sha256]);
        let text = reach::run(self.host, &command).await?;
        Ok(match text.as_str() {
            "gone" => Err(format!("{} is not there any more", kept.file)),
            "changed" => Err(format!("{} was changed since it was written", kept.file)),
            text => serde_json::from_str::<Content>(text)
                .map(|content| content.apps)
                // The error's own words could repeat a value.
                .map_err(|e| format!("{} cannot be read (column {})", kept.file, e.column())),
        })
    }

    /// Starts processes of one name. Others that pm2 knows under it, whoever's they are, are left as they are.
    ///
    /// Fails with nothing left of them where pm2 did not give them that name.
    pub(super) async fn start(&self, all: &[&Definition]) -> Result<(), StepError> {
        let name = all.first().map_or("", |one| one.name());
        let known = self.inventory().await?.names;
        if !known.contains(name) {
            return self.start_as(name, all, None).await;
        }
        let mut spares = (0..u32::MAX).map(|n| spare(name, n));
        let spare = spares.find(|spare| !known.contains(spare));
        let spare = spare.unwrap_or_default();
        self.start_as(name, all, Some(&spare)).await?;
        let found = self.inventory().await?;
        let apps = found.own.apps.iter().chain(&found.foreign);
        let ids: Vec<u64> = apps.filter(|a| a.name == spare).map(|a| a.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.act("delete", &ids, &found).await?;
        Err(StepError::fail(format!(
            "another process on `{}` is named {name} as well, and this version of pm2 starts none beside it without \
             restarting it: it is not running",
            self.host.name()
        ))
        .hint(format!(
            "start it there by hand, or have the other one renamed, then once more; pm2 7 can: {} --version",
            self.program.join(" ")
        )))
    }

    async fn start_as(
        &self,
        name: &str,
        all: &[&Definition],
        spare: Option<&str>,
    ) -> Result<(), StepError> {
        let text = start_text(all, spare);
        if text.len() > START_MAX {
            return Err(StepError::fail(format!(
                "the definition of {name} has {} bytes, and pm2 reads {START_MAX} of one",
                text.len()
            )));
        }
        // From a file, because pm2 reads a pipe's first piece only. The file has no name any more when pm2 runs.
        let script = r#"
set -eu
umask 077
f=$(mktemp)
cat > "$f"
exec 3< "$f"
rm -f -- "$f"
exec "$@" <&3"#;
        let pm2 = self.command(&["start", "-"])?;
        let command = Command::script(script)
            .arg("sh")
            .arg(pm2.program)
            .args(pm2.args)
            .stdin(Stdin::Bytes(Bytes::from(text)))
            .deadline(super::ACT_WITHIN);
        reach::run(self.host, &command).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(env: &Value) -> Definition {
        Definition::of("api", env.as_object().unwrap())
    }

    #[test]
    fn what_passes_makes_no_other_definition_and_a_moved_script_does() {
        let base = serde_json::json!({
            "pm_id": 3, "pm_exec_path": "/srv/app/src/a b.js", "pm_cwd": "/srv/app", "exec_mode": "fork_mode",
            "pm_out_log_path": "/l/api-out-3.log", "restart_time": 4, "status": "online",
            "env": { "PORT": "1", "unique_id": "x", "api": "{}" },
        });
        let mut later = base.clone();
        later["restart_time"] = 9.into();
        later["pm_id"] = 5.into();
        later["pm_out_log_path"] = "/l/api-out-5.log".into();
        later["env"]["unique_id"] = "y".into();
        assert_eq!(of(&base).0, of(&later).0);
        later["pm_exec_path"] = "/srv/app/src/main.js".into();
        assert_ne!(of(&base).0, of(&later).0);
        let text = start_text(&[&of(&base)], None);
        assert!(text.contains(r#""script":"./src/a b.js""#), "{text}");
        assert!(
            !format!("{:?}", of(&serde_json::json!({"env": {"A": "hunter2"}}))).contains("hunter2")
        );
    }
}
