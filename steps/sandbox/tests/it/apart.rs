//! What only hosts in namespaces of their own can promise.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use flow_sandbox::{HOSTS, Sandbox};

use crate::shared::{alone_on, mentioning, options, sandbox, short_dir, ssh, ssh_ok, works};

/// Cgroups of this machine that belong to sandboxes, in every hierarchy.
fn cgroups() -> BTreeSet<PathBuf> {
    let inside = |dir: PathBuf| {
        fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
    };
    let tops: Vec<PathBuf> = inside("/sys/fs/cgroup".into()).collect();
    tops.iter()
        .cloned()
        .flat_map(inside)
        .chain(tops.clone())
        .filter(|path| path.to_string_lossy().contains("/flow-sandbox-"))
        .collect()
}

fn id(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.dir().join("sandbox.id"))
        .expect("an id")
        .trim()
        .to_owned()
}

#[test]
fn hosts_have_their_own_names_machine_ids_processes_and_usual_ports() {
    let Some(shared) = sandbox() else { return };
    let s = &shared.sandbox;
    let mut machines = BTreeSet::from([fs::read_to_string("/etc/machine-id")
        .unwrap_or_default()
        .trim()
        .to_owned()]);
    for host in HOSTS {
        let _alone = alone_on(host);
        assert_eq!(ssh_ok(s, host, "hostname"), host);
        let machine = ssh_ok(s, host, "cat /etc/machine-id");
        assert_eq!(machine.len(), 32, "{machine}");
        assert!(machines.insert(machine.clone()), "{machine} twice");
        let first = ssh_ok(s, host, "tr '\\0' ' ' < /proc/1/cmdline");
        assert!(first.contains("host-init"), "{first}");
        assert_eq!(
            s.host(host).expect("a host").data.display().to_string(),
            "/data/dap"
        );
        assert!(
            s.host(host)
                .expect("a host")
                .data_here
                .join("app/package.json")
                .is_file()
        );
        assert_eq!(
            ssh_ok(s, host, "ls /data/dap/app/package.json"),
            "/data/dap/app/package.json"
        );
    }
}

#[test]
fn what_a_host_writes_into_the_system_stays_on_the_host_and_is_gone_after_a_power_cut() {
    let Some(shared) = sandbox() else { return };
    let _alone = alone_on("stage");
    let s = &shared.sandbox;
    let file = PathBuf::from(format!("/etc/{}", id(s)));
    let write = format!(
        "touch {} /data/dap/kept && echo x >> /etc/passwd",
        file.display()
    );
    let before = fs::read("/etc/passwd").expect("readable");
    let machine = ssh_ok(s, "stage", "cat /etc/machine-id");
    ssh_ok(s, "stage", &write);
    assert!(!file.exists(), "it must not reach this machine");
    assert_eq!(fs::read("/etc/passwd").expect("readable"), before);
    s.kill_host("stage").expect("ends");
    s.start_host("stage").expect("boots");
    assert_eq!(
        ssh(s, "stage", &format!("test -e {}", file.display()))
            .status
            .code(),
        Some(1)
    );
    assert_eq!(ssh_ok(s, "stage", "ls /data/dap/kept"), "/data/dap/kept");
    assert_eq!(ssh_ok(s, "stage", "cat /etc/machine-id"), machine);
}

#[test]
fn the_database_runs_in_a_container_of_the_hosts_own_daemon() {
    let Some(shared) = sandbox() else { return };
    let s = &shared.sandbox;
    for host in HOSTS {
        let _alone = alone_on(host);
        assert_eq!(
            ssh_ok(s, host, "docker ps --format '{{.Names}}'"),
            "supabase_db_DAP"
        );
        assert_eq!(
            ssh_ok(s, host, "docker exec supabase_db_DAP cat /proc/1/comm"),
            "postgres"
        );
        assert_eq!(
            ssh_ok(
                s,
                host,
                "docker exec supabase_db_DAP psql -U postgres -Atc 'show fsync'"
            ),
            "on"
        );
        let dump = "set -o pipefail; docker exec supabase_db_DAP pg_dump -U postgres postgres | gzip | gzip -t";
        ssh_ok(s, host, dump);
    }
}

#[test]
fn a_host_whose_database_was_stopped_boots_with_it_running() {
    let Some(shared) = sandbox() else { return };
    let _alone = alone_on("test");
    let s = &shared.sandbox;
    s.stop_database("test").expect("stops");
    s.kill_host("test").expect("ends");
    assert!(
        s.sql("test", "select 1").is_err(),
        "a host that is off answers nothing"
    );
    s.start_host("test").expect("boots");
    s.start_host("test").expect("booting twice is booting once");
    assert_eq!(s.sql("test", "select 1").expect("SQL"), "1");
}

#[test]
fn down_ends_daemons_and_shims_and_leaves_no_cgroup() {
    if !works() {
        return;
    }
    let home = short_dir();
    let sandbox = Sandbox::up(&home.path().join("s"), &options(), &mut |_| ()).expect("starts");
    let id = id(&sandbox);
    let ours = || {
        cgroups()
            .into_iter()
            .filter(|path| path.to_string_lossy().contains(&id))
            .count()
    };
    assert!(ours() > 0, "the containers have cgroups");
    let pids = sandbox.processes();
    let names = |pids: &[u32]| -> BTreeSet<String> {
        pids.iter()
            .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok())
            .map(|name| name.trim().to_owned())
            .collect()
    };
    let running = names(&pids);
    for part in ["dockerd", "containerd", "containerd-shim", "postgres"] {
        assert!(
            running.iter().any(|name| name.starts_with(part)),
            "{part} in {running:?}"
        );
    }
    sandbox.down().expect("ends");
    let left: Vec<u32> = pids
        .into_iter()
        .filter(|pid| crate::shared::alive(*pid))
        .collect();
    assert!(left.is_empty(), "{:?}", names(&left));
    assert_eq!(mentioning(&id), "");
    assert_eq!(ours(), 0, "{:?}", cgroups());
}
