//! What a host must have: programs, folders, room.

use flow_steps::means::host::{Command, Host, HostExt as _};

use super::{Report, words};
use crate::config::Environment;

/// What remote jobs and backups need on a host.
const TOOLS: [&str; 6] = ["sh", "setsid", "flock", "git", "sync", "sha256sum"];

/// The programs that a host must have.
pub(super) struct Tools {
    wanted: Vec<String>,
    /// Whether the application runs there: it has a checkout then.
    pub(super) is_for_application: bool,
}

impl Tools {
    /// Where the application runs.
    pub(super) fn of(env: &Environment) -> Tools {
        let common = TOOLS.map(str::to_owned).into_iter();
        Tools {
            wanted: common.chain(env.program().first().cloned()).collect(),
            is_for_application: true,
        }
    }

    /// Where only the database is.
    pub(super) fn of_database(exec: &[String]) -> Tools {
        let common = TOOLS.map(str::to_owned).into_iter();
        let wanted = common.filter(|tool| tool != "git").collect();
        let tools = Tools {
            wanted,
            is_for_application: false,
        };
        tools.and(exec)
    }

    /// And the program that leads to the database.
    pub(super) fn and(mut self, exec: &[String]) -> Tools {
        self.wanted.extend(exec.first().cloned());
        self
    }
}

pub(super) async fn tools(report: &mut Report, host: &dyn Host, tools: &Tools) {
    let wanted = &tools.wanted;
    let script = "for tool; do command -v \"$tool\" >/dev/null || printf '%s ' \"$tool\"; done";
    let ask = Command::new("sh").args(["-c", script, "sh"]).args(wanted);
    let missing = words(host.run(&ask).await);
    let all = missing.and_then(|m| {
        if m.is_empty() {
            Ok("all there".into())
        } else {
            Err(format!("missing: {m}"))
        }
    });
    report.add(
        "tools",
        all,
        "install them on the host (util-linux, coreutils, git, pm2, docker)",
    );
}

/// `with_checkout`: whether the application's folder is there, too.
pub(super) async fn folders(
    report: &mut Report,
    host: &dyn Host,
    env: &Environment,
    (with_checkout, free_mib): (bool, u64),
) {
    let script = "mkdir_able() { d=$1; while [ ! -e \"$d\" ]; do d=$(dirname \"$d\"); done; [ -d \"$d\" ] && [ -w \"$d\" ]; }; \
                  for d; do mkdir_able \"$d\" || printf '%s ' \"$d\"; done";
    let mut folders = vec![&env.backup_dir, &env.flow_dir];
    folders.extend(with_checkout.then_some(&env.app_dir));
    let ask = Command::new("sh").args(["-c", script, "sh"]).args(folders);
    let closed = words(host.run(&ask).await);
    let open = closed.and_then(|c| {
        if c.is_empty() {
            Ok("writable".into())
        } else {
            Err(format!("not writable: {c}"))
        }
    });
    report.add(
        "folders",
        open,
        "give the ssh user write access to backup_dir, flow_dir and app_dir",
    );
    let script = "d=$1; while [ ! -e \"$d\" ]; do d=$(dirname \"$d\"); done; df -Pk \"$d\" | awk 'NR==2 {print $4}'";
    let ask = Command::new("sh").args(["-c", script, "sh", &env.backup_dir]);
    let free = words(host.run(&ask).await).and_then(|text| {
        let mib = text
            .trim()
            .parse::<u64>()
            .map_err(|_| format!("`df` said {text}"))?
            / 1024;
        if mib >= free_mib {
            Ok(format!("{mib} MiB free"))
        } else {
            Err(format!("{mib} MiB free, {free_mib} wanted"))
        }
    });
    report.add(
        "disk",
        free,
        "make room where the backups go, or lower `gates.free_mib`",
    );
}
