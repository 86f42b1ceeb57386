//! What a host must have: programs, folders, room.

use flow_steps::means::host::{Command, Host, HostExt as _};

use super::{Report, words};
use crate::config::Environment;

/// What remote jobs and backups need on a host.
const TOOLS: [&str; 6] = ["sh", "setsid", "flock", "git", "sync", "sha256sum"];

pub(super) async fn tools(
    report: &mut Report,
    host: &dyn Host,
    env: &Environment,
    exec: &[String],
) {
    let mut wanted: Vec<&str> = TOOLS.to_vec();
    let program = env.program();
    wanted.extend(program.first().map(String::as_str));
    wanted.extend(exec.first().map(String::as_str));
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

pub(super) async fn folders(
    report: &mut Report,
    host: &dyn Host,
    env: &Environment,
    free_mib: u64,
) {
    let script = "mkdir_able() { d=$1; while [ ! -e \"$d\" ]; do d=$(dirname \"$d\"); done; [ -d \"$d\" ] && [ -w \"$d\" ]; }; \
                  for d; do mkdir_able \"$d\" || printf '%s ' \"$d\"; done";
    let ask = Command::new("sh").args([
        "-c",
        script,
        "sh",
        &env.backup_dir,
        &env.flow_dir,
        &env.app_dir,
    ]);
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
