//! What `systemctl show` says of a service, as far as it may be kept.

use std::collections::BTreeMap;

use bytes::Bytes;
use flow_engine::step::StepError;
use sha2::{Digest as _, Sha256};

use crate::means::host::{Command, Host};
use crate::means::reach;
use crate::means::supervisor::application::Place;
use crate::means::supervisor::keep_file;
use crate::means::supervisor::list::{App, Kept};

/// What is asked of each service. Its environment is not: it holds secrets.
pub(super) const SHOW: &[&str] = &[
    "show",
    "--no-pager",
    "--property=Id,LoadState,ActiveState,SubState,MainPID,NRestarts,ExecMainCode,ExecMainStatus,\
     ExecMainStartTimestampMonotonic,WorkingDirectory,ExecStart,Type,TriggeredBy",
];

/// A program's own exit, in `ExecMainCode`; anything else is a signal.
const EXITED: &str = "1";

/// One service.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub(super) app: App,
    /// Whether there is such a service at all.
    pub(super) is_known: bool,
}

/// When the host's monotonic clock began, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(u64);

impl Clock {
    /// Asked of the host.
    pub(super) async fn of(host: &dyn Host) -> Result<Self, StepError> {
        let script = "date +%s%3N; cut -d ' ' -f 1 /proc/uptime | tr -d .";
        let answer = reach::run(host, &Command::script(script)).await?;
        let mut numbers = answer.lines().filter_map(|line| line.trim().parse().ok());
        // The second is in hundredths of a second.
        match (numbers.next(), numbers.next()) {
            (Some(now), Some(up)) => Ok(Clock(u64::saturating_sub(now, up * 10))),
            _ => Err(StepError::fail(format!(
                "`{}` does not say how long it is up",
                host.name()
            ))),
        }
    }
}

/// The unit file of a service, by its name with or without the ending.
pub(super) fn file(name: &str) -> String {
    if name.ends_with(".service") {
        name.to_owned()
    } else {
        format!("{name}.service")
    }
}

/// The properties of each unit, by name.
pub(super) fn blocks(shown: &str) -> Vec<BTreeMap<&str, &str>> {
    let blocks = shown.split("\n\n").map(|block| {
        let lines = block.lines().filter_map(|line| line.split_once('='));
        lines.collect::<BTreeMap<&str, &str>>()
    });
    blocks.filter(|block| !block.is_empty()).collect()
}

/// Reads what systemd shows. Fails when a block has no name or no state: nothing may be taken for stopped then.
pub(super) fn parse(shown: &str, clock: Clock) -> Result<Vec<Unit>, StepError> {
    blocks(shown)
        .iter()
        .map(|block| {
            unit(block, clock).ok_or_else(|| {
                StepError::fail(format!(
                    "`systemctl show` answered {} bytes that are no list of services",
                    shown.len()
                ))
            })
        })
        .collect()
}

fn unit(block: &BTreeMap<&str, &str>, clock: Clock) -> Option<Unit> {
    let text = |key: &str| block.get(key).copied().filter(|value| !value.is_empty());
    let number = |key: &str| text(key).and_then(|value| value.parse::<u64>().ok());
    let id = text("Id")?;
    let name = id.strip_suffix(".service").unwrap_or(id).to_owned();
    let pid = number("MainPID").unwrap_or(0);
    let status = status(
        text("ActiveState")?,
        text("SubState").unwrap_or_default(),
        pid,
    );
    let started = number("ExecMainStartTimestampMonotonic").filter(|micros| *micros > 0);
    let ended = number("ExecMainStatus").filter(|_| pid == 0 && started.is_some());
    let code = ended.map(|code| match text("ExecMainCode") {
        Some(EXITED) => code,
        _ => code + 128,
    });
    let folder = text("WorkingDirectory").map(|path| path.trim_start_matches('!'));
    let app = App {
        id: id_of(id),
        name,
        status: status.into(),
        restarts: number("NRestarts")?,
        pid,
        logs: vec![format!("journal:{id}")],
        folder: folder.map(str::to_owned),
        since: started.map(|micros| clock.0 + micros / 1000),
        script: text("ExecStart").and_then(script),
        ends: text("Type") == Some("oneshot"),
        triggers: text("TriggeredBy")
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        exit_code: code.and_then(|code| i64::try_from(code).ok()),
        ..App::default()
    };
    Some(Unit {
        app,
        is_known: text("LoadState").is_some_and(|state| state == "loaded"),
    })
}

/// The state in pm2's words, which the judgements know. A service that ended well and counts as active has nothing left
/// to do.
fn status(active: &str, sub: &str, pid: u64) -> &'static str {
    match active {
        "active" | "reloading" if pid != 0 => "online",
        "active" | "inactive" => "stopped",
        "failed" => "errored",
        "deactivating" => "stopping",
        _ if sub == "auto-restart" => "waiting restart",
        _ => "launching",
    }
}

/// A number for a name, below 2^48: systemd numbers nothing.
fn id_of(unit: &str) -> u64 {
    let sum = Sha256::digest(unit);
    sum[..6].iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// The program, or the script that an interpreter is given first: of the arguments nothing else is kept, they may hold
/// secrets.
fn script(exec: &str) -> Option<String> {
    let rest = exec.split_once("argv[]=")?.1;
    let argv = rest.split_once(" ;").map_or(rest, |(argv, _)| argv);
    let mut words = argv.split_whitespace();
    let program = words.next()?;
    let script = words.next().filter(|word| word.starts_with('/'));
    Some(script.unwrap_or(program).to_owned())
}

impl Unit {
    /// What says whose it is.
    pub(super) fn place(&self) -> Place {
        Place {
            name: self.app.name.clone(),
            module: false,
            folder: self.app.folder.clone(),
            script: self.app.script.clone(),
        }
    }
}

/// Keeps a text on the host under a run's name. Run twice: the file is written anew.
pub(super) async fn keep(
    host: &dyn Host,
    dir: &str,
    run: &str,
    text: String,
) -> Result<Kept, StepError> {
    keep_file(host, dir, &format!("systemd-{run}.txt"), Bytes::from(text)).await
}

/// What was kept; nothing when it is gone or was changed since.
pub(super) async fn kept(host: &dyn Host, kept: &Kept) -> Result<Option<String>, StepError> {
    let script = r#"sum=$(sha256sum < "$1" 2>/dev/null) && [ "${sum%% *}" = "$2" ] || exit 0
echo kept
cat -- "$1""#;
    let command = Command::script(script).args(["sh", reach::absolute(&kept.file)?, &kept.sha256]);
    let text = reach::run(host, &command).await?;
    Ok(text.strip_prefix("kept\n").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As systemd 252 shows them.
    const SHOWN: &str = "Type=simple\nMainPID=42\nNRestarts=3\nExecMainStartTimestampMonotonic=61000000\nExecMainCode=0\n\
        ExecMainStatus=0\nExecStart={ path=/usr/bin/node ; argv[]=/usr/bin/node /srv/app/worker.js --key=hunter2 ; \
        ignore_errors=no ; start_time=[n/a] ; pid=42 ; code=(null) ; status=0/0 }\nWorkingDirectory=!/root\nId=worker.service\n\
        LoadState=loaded\nActiveState=active\nSubState=running\n\nType=oneshot\nMainPID=0\nNRestarts=0\n\
        ExecMainStartTimestampMonotonic=71000000\nExecMainCode=1\nExecMainStatus=4\nId=report.service\nLoadState=loaded\n\
        ActiveState=failed\nSubState=failed\nTriggeredBy=report.timer\n\nMainPID=0\nNRestarts=0\nId=none.service\n\
        LoadState=not-found\nActiveState=inactive\nSubState=dead\n";

    #[test]
    fn a_service_is_read_without_its_arguments_and_one_that_is_none_is_known_for_that() {
        let units = parse(SHOWN, Clock(1000)).unwrap();
        insta::assert_snapshot!(units[0].app.in_words(), @"worker #188980790490349 online, pid 42, 3 restarts");
        let app = &units[0].app;
        assert_eq!(app.script.as_deref(), Some("/srv/app/worker.js"));
        assert_eq!(
            (app.folder.as_deref(), app.since),
            (Some("/root"), Some(62_000))
        );
        assert!(!serde_json::to_string(app).unwrap().contains("hunter2"));
        let job = &units[1];
        assert_eq!(
            (job.app.status.as_str(), job.app.exit_code),
            ("errored", Some(4))
        );
        assert!(job.app.ends && job.app.triggers == ["report.timer"]);
        assert_eq!(units.iter().filter(|u| u.is_known).count(), 2);
    }

    #[test]
    fn what_is_no_list_of_services_is_no_stopped_service() {
        assert!(parse("Id=a.service\n", Clock(0)).is_err());
        assert!(
            parse("Failed to connect to bus", Clock(0))
                .unwrap()
                .is_empty()
        );
    }
}
