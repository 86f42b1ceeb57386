//! One environment on five hosts.

use flow_sandbox::{FIVE_HOSTS, Isolation, Layout, Options, Role, Sandbox};

use crate::shared::{containers_work, eventually, options, short_dir, ssh, ssh_ok};

fn five() -> Options {
    Options {
        layout: Layout::FiveHosts,
        ..options()
    }
}

#[test]
fn five_hosts_are_one_application_whose_processes_are_pm2s_and_systemds_and_whose_database_is_elsewhere()
 {
    let dir = short_dir();
    let up = Sandbox::up(&dir.path().join("s"), &five(), &mut |_| ());
    if options().isolation == Some(Isolation::Plain) {
        let why = up.expect_err("no plain hosts").to_string();
        assert!(why.contains("five hosts need namespaces"), "{why}");
        return;
    }
    if !containers_work() {
        return;
    }
    let sandbox = up.expect("starts");
    let names: Vec<&str> = sandbox
        .hosts()
        .iter()
        .map(|host| host.name.as_str())
        .collect();
    assert_eq!(names, FIVE_HOSTS);
    let pm2 = "pm2 jlist | tail -n 1 | node -p 'JSON.parse(require(`fs`).readFileSync(0)).map(a => a.name + ` ` + a.pm2_env.status).join()'";
    for host in sandbox.hosts() {
        let (name, role) = (&host.name, host.role);
        assert_eq!(ssh_ok(&sandbox, name, "hostname"), *name);
        match role {
            Role::Backend | Role::Worker => {
                let wanted = format!("{} online", role.processes()[0]);
                assert_eq!(ssh_ok(&sandbox, name, pm2), wanted, "{name}");
            }
            Role::Frontend => {
                let unit =
                    "systemctl --user show dap-frontend -P ActiveState,SubState | paste -sd ' '";
                assert_eq!(ssh_ok(&sandbox, name, unit), "active running");
                let journal =
                    "journalctl -q --no-pager -o cat _SYSTEMD_USER_UNIT=dap-frontend.service";
                assert!(ssh_ok(&sandbox, name, journal).contains("dap-frontend listens"));
            }
            _ => {
                let containers = ssh_ok(&sandbox, name, "docker ps --format '{{.Names}}'");
                assert_eq!(containers, host.container);
            }
        }
        let docker = ssh(&sandbox, name, "docker ps").status.success();
        assert_eq!(docker, role == Role::Database, "a docker daemon on {name}");
    }
    let count = sandbox.sql("database", r#"select count(*) from "Customer""#);
    assert_eq!(count.expect("SQL"), "120");
    let page = sandbox.host("frontend").expect("a host").base_url.clone();
    let asked = format!("curl -sf {page}/health");
    assert!(ssh_ok(&sandbox, "worker", &asked).contains("ok"), "{page}");

    // One that is switched off and on again has its service again, and the others never noticed.
    sandbox.kill_host("frontend").expect("ends");
    sandbox.start_host("frontend").expect("boots");
    eventually("the page", || {
        ssh(&sandbox, "worker", &asked).status.success()
    });
    let pids = sandbox.processes();
    sandbox.down().expect("ends");
    let left: Vec<u32> = pids
        .into_iter()
        .filter(|pid| crate::shared::alive(*pid))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
