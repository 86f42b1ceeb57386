//! Reading the output of `pm2 jlist`.

use std::collections::BTreeSet;

use flow_engine::step::StepError;
use serde::Deserialize;
use serde_json::Value;

use super::definition::Definition;
use crate::means::supervisor::application::Place;
use crate::means::supervisor::list::App;

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    pid: Option<u64>,
    name: String,
    pm_id: u64,
    pm2_env: serde_json::Map<String, Value>,
}

/// Reads the output of `pm2 jlist`: the last line is the JSON, whatever stands before it. Everything is taken for the
/// application's; [`Pm2::inventory`](super::Pm2::inventory) sorts.
///
/// Fails without repeating the text, which is full of environment variables.
pub(crate) fn parse(text: &str) -> Result<Vec<(App, Place, Definition)>, StepError> {
    let no_list = |column: usize| {
        StepError::fail(format!(
            "`pm2 jlist` answered {} bytes that are no list of processes (column {column})",
            text.len(),
        ))
        .hint("run `pm2 jlist` on the host as the configured user")
    };
    let line = text
        .lines()
        .rev()
        .find(|l| !l.trim().is_empty())
        .unwrap_or_default();
    let raw: Vec<Raw> = serde_json::from_str(line.trim()).map_err(|e| no_list(e.column()))?;
    let mut all = Vec::new();
    for raw in raw {
        if !raw.pm2_env.get("status").is_some_and(Value::is_string) {
            return Err(no_list(0));
        }
        all.push(process(raw));
    }
    // A changed file restarts every process of the name.
    let watched = all.iter().map(|(app, _, _)| app).filter(|a| a.watched);
    let watched: BTreeSet<String> = watched.map(|a| a.name.clone()).collect();
    for (app, _, _) in &mut all {
        app.reloads |= watched.contains(&app.name);
    }
    all.sort_by_key(|(app, _, _)| app.id);
    Ok(all)
}

fn process(raw: Raw) -> (App, Place, Definition) {
    let env = &raw.pm2_env;
    let text = |key: &str| env.get(key).and_then(Value::as_str).map(str::to_owned);
    // pm2 keeps some flags as they came from a command line: as words.
    let is = |key: &str, wanted: bool| match env.get(key) {
        Some(Value::Bool(found)) => *found == wanted,
        Some(Value::String(found)) => *found == wanted.to_string(),
        _ => false,
    };
    let mut logs: Vec<String> = ["pm_out_log_path", "pm_err_log_path"]
        .into_iter()
        .filter_map(text)
        .filter(|path| path.starts_with('/') && path != "/dev/null")
        .collect();
    logs.dedup();
    let by_clock = match env.get("cron_restart") {
        Some(Value::String(cron)) => !cron.is_empty() && cron != "0",
        _ => false,
    };
    let revision = env.get("versioning").and_then(|v| v.get("revision"));
    let app = App {
        id: raw.pm_id,
        name: raw.name.clone(),
        namespace: text("namespace"),
        status: text("status").unwrap_or_default(),
        restarts: env.get("restart_time").and_then(Value::as_u64).unwrap_or(0),
        pid: raw.pid.unwrap_or(0),
        version: text("version").filter(|v| v != "N/A"),
        logs,
        folder: text("pm_cwd"),
        since: env.get("pm_uptime").and_then(Value::as_u64),
        ordered: env.get("created_at").and_then(Value::as_u64),
        script: text("pm_exec_path"),
        revision: revision.and_then(Value::as_str).map(str::to_owned),
        ends: is("autorestart", false) || ends_with_0(env.get("stop_exit_codes")),
        by_clock,
        triggers: Vec::new(),
        watched: watches(env.get("watch")),
        reloads: is_limited(env.get("max_memory_restart")),
        exit_code: env.get("exit_code").and_then(Value::as_i64),
        restless: false,
    };
    let place = Place {
        name: raw.name,
        module: is("pmx_module", true),
        folder: app.folder.clone(),
        script: app.script.clone(),
    };
    let definition = Definition::of(&app.name, env);
    (app, place, definition)
}

/// Whether pm2 looks at files: a flag, as such or as a word, or a list of paths.
fn watches(watch: Option<&Value>) -> bool {
    match watch {
        Some(Value::Bool(on)) => *on,
        Some(Value::String(path)) => !matches!(path.as_str(), "" | "false" | "0"),
        Some(Value::Array(_)) => true,
        _ => false,
    }
}

/// Whether pm2 restarts a process that takes so much memory: a number of bytes, or words such as `300M`.
fn is_limited(limit: Option<&Value>) -> bool {
    match limit {
        Some(Value::Number(bytes)) => bytes.as_f64().is_some_and(|bytes| bytes > 0.0),
        Some(Value::String(words)) => !matches!(words.as_str(), "" | "0" | "false"),
        _ => false,
    }
}

/// Whether pm2 lets a process be that ended well; a number, a word, or a list of them.
fn ends_with_0(codes: Option<&Value>) -> bool {
    let is_0 = |v: &Value| v.as_i64() == Some(0) || v.as_str() == Some("0");
    match codes {
        Some(Value::Array(codes)) => codes.iter().any(is_0),
        Some(code) => is_0(code),
        None => false,
    }
}
