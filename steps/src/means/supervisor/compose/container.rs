//! What `docker inspect` says of a container, as far as it may be kept.

use std::collections::BTreeMap;

use flow_engine::step::StepError;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::means::reach;
use crate::means::supervisor::application::Place;
use crate::means::supervisor::list::App;

/// The label that names the project.
pub(super) const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const FOLDER: &str = "com.docker.compose.project.working_dir";
/// `True` for a container of `docker compose run`, which is nobody's service.
const ONE_OFF: &str = "com.docker.compose.oneoff";
/// The commit an image was built from, where its builder says so (OCI image annotations).
const REVISION: &str = "org.opencontainers.image.revision";

/// What is asked of each container, one JSON object a line. Its environment is not: it holds secrets.
pub(super) const SHOW: &str = "{\"name\":{{json .Name}},\"status\":{{json .State.Status}},\"pid\":{{json .State.Pid}},\
    \"exit_code\":{{json .State.ExitCode}},\"started\":{{json .State.StartedAt}},\"restarts\":{{json .RestartCount}},\
    \"image\":{{json .Image}},\"tag\":{{json .Config.Image}},\"labels\":{{json .Config.Labels}}}";

/// One container of a service.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) app: App,
    /// Its own name, such as `shop-api-1`.
    pub(super) name: String,
    /// What its image was called when it was made.
    pub(super) tag: String,
}

#[derive(Deserialize)]
struct Raw {
    name: String,
    status: String,
    pid: u64,
    exit_code: i64,
    started: String,
    restarts: u64,
    image: String,
    tag: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Reads what docker shows. Fails on a line that is no container: nothing may be taken for stopped then.
pub(super) fn parse(shown: &str) -> Result<Vec<Container>, StepError> {
    let lines = shown.lines().filter(|line| !line.trim().is_empty());
    let all: Result<Vec<Raw>, _> = lines.map(serde_json::from_str).collect();
    let all = all.map_err(|e| {
        StepError::fail(format!(
            "`docker inspect` answered {} bytes that are no list of containers (column {})",
            shown.len(),
            e.column()
        ))
    })?;
    let of_service = all.into_iter().filter(|raw| {
        raw.labels.contains_key(SERVICE)
            && raw
                .labels
                .get(ONE_OFF)
                .is_none_or(|v| !v.eq_ignore_ascii_case("true"))
    });
    Ok(of_service.map(container).collect())
}

fn container(raw: Raw) -> Container {
    let label = |key: &str| raw.labels.get(key).filter(|v| !v.is_empty()).cloned();
    let name = raw.name.trim_start_matches('/').to_owned();
    let started: Option<jiff::Timestamp> = raw.started.parse().ok();
    let since = started.and_then(|at| u64::try_from(at.as_millisecond()).ok());
    let app = App {
        id: id_of(&name),
        name: label(SERVICE).unwrap_or_default(),
        namespace: label(PROJECT),
        status: status(&raw.status, raw.exit_code).into(),
        restarts: raw.restarts,
        pid: raw.pid,
        logs: vec![format!("docker:{name}")],
        folder: label(FOLDER),
        since: since.filter(|since| *since > 0),
        script: Some(raw.image),
        revision: label(REVISION).filter(|commit| reach::is_commit(commit)),
        exit_code: (raw.pid == 0).then_some(raw.exit_code),
        ..App::default()
    };
    Container {
        app,
        name,
        tag: raw.tag,
    }
}

/// The state in pm2's words, which the judgements know.
fn status(docker: &str, exit_code: i64) -> &'static str {
    match docker {
        "running" => "online",
        "exited" if exit_code == 0 => "stopped",
        "exited" | "dead" => "errored",
        "created" | "paused" => "stopped",
        "removing" => "stopping",
        _ => "waiting restart",
    }
}

/// A number for a name, below 2^48: docker's own ids are longer, and change when a container is made anew.
fn id_of(name: &str) -> u64 {
    let sum = Sha256::digest(name);
    sum[..6].iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// The container's name, from the list.
pub(super) fn name(app: &App) -> Option<&str> {
    app.logs.iter().find_map(|log| log.strip_prefix("docker:"))
}

/// The container of a log. Fails when the log is no container's.
pub(super) fn of_log(log: &str) -> Result<&str, StepError> {
    log.strip_prefix("docker:")
        .ok_or_else(|| StepError::fail(format!("{log} is no container's log")))
}

impl Container {
    /// What says whose it is.
    pub(super) fn place(&self) -> Place {
        Place {
            name: self.app.name.clone(),
            module: false,
            folder: self.app.folder.clone(),
            script: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_read_by_its_labels_and_one_that_was_only_run_once_is_no_service() {
        let line = |service: &str, more: &str, status: &str, pid: u64, code: i64| {
            format!(
                r#"{{"name":"/shop-{service}-1","status":"{status}","pid":{pid},"exit_code":{code},"started":"2026-11-30T13:00:00.5Z","restarts":2,"image":"sha256:ab","tag":"shop:1","labels":{{"{PROJECT}":"shop","{SERVICE}":"{service}","{FOLDER}":"/srv/shop"{more}}}}}"#
            )
        };
        let once = format!(r#","{ONE_OFF}":"True""#);
        let text = [
            line("api", "", "running", 7, 0),
            line("job", "", "exited", 0, 3),
            line("api", &once, "running", 8, 0),
        ]
        .join("\n");
        let found = parse(&text).unwrap();
        assert_eq!(found.len(), 2);
        let api = &found[0].app;
        assert_eq!(
            (api.name.as_str(), api.namespace.as_deref()),
            ("api", Some("shop"))
        );
        assert_eq!(
            (api.since, api.restarts, api.is_running()),
            (Some(1_796_043_600_500), 2, true)
        );
        assert_eq!(
            (found[1].app.status.as_str(), found[1].app.exit_code),
            ("errored", Some(3))
        );
        assert_eq!(name(api), Some("shop-api-1"));
        assert!(parse("Error: No such object").is_err());
    }
}
