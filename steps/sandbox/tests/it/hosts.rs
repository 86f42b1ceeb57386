use std::process::Stdio;

use flow_sandbox::{HOSTS, Isolation};
use serde_json::Value;

use crate::shared::{alone_on, eventually, http, mentioning, sandbox, ssh, ssh_ok};

#[test]
fn each_host_answers_by_ssh_under_its_own_name_and_keeps_out_of_the_real_home() {
    let Some(shared) = sandbox() else {
        return;
    };
    for host in HOSTS {
        let _alone = alone_on(host);
        assert_eq!(ssh_ok(&shared.sandbox, host, "echo $DAP_HOST"), host);
        let home = ssh_ok(&shared.sandbox, host, "pwd; echo $HOME; touch here");
        let inside = match shared.sandbox.isolation() {
            Isolation::Plain => shared.sandbox.dir().display().to_string(),
            Isolation::Containers => "/root".to_owned(),
        };
        assert!(home.lines().all(|line| line.starts_with(&inside)), "{home}");
        let folder = shared.sandbox.dir().join("hosts").join(host);
        assert!(folder.join("home/here").exists() || folder.join("root/here").exists());
    }
}

#[test]
fn a_host_with_another_key_is_refused() {
    let Some(shared) = sandbox() else {
        return;
    };
    let known =
        std::fs::read_to_string(shared.sandbox.dir().join("ssh/known_hosts")).expect("known hosts");
    let keys: Vec<&str> = known
        .lines()
        .map(|line| line.rsplit(' ').next().expect("a key"))
        .collect();
    let swapped = known.replace(keys[0], keys[1]);
    let file = shared.sandbox.dir().join("swapped");
    std::fs::write(&file, swapped).expect("written");
    let mut command = std::process::Command::new("ssh");
    command
        .arg("-F")
        .arg(shared.sandbox.ssh_config())
        .args(["-o", "BatchMode=yes"]);
    command
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", file.display()))
        .args(["test", "true"]);
    assert_eq!(command.output().expect("ssh runs").status.code(), Some(255));
}

#[test]
fn both_processes_are_online_and_the_application_answers() {
    let Some(shared) = sandbox() else {
        return;
    };
    for host in HOSTS {
        let _alone = alone_on(host);
        let list: Value =
            serde_json::from_str(&ssh_ok(&shared.sandbox, host, "pm2 jlist")).expect("JSON");
        let states: Vec<_> = list
            .as_array()
            .expect("a list")
            .iter()
            .map(|app| {
                (
                    app["name"].as_str().expect("a name"),
                    app["pm2_env"]["status"].as_str().expect("a status"),
                )
            })
            .collect();
        assert_eq!(states.len(), 2);
        assert!(
            states.contains(&("dap-backend", "online"))
                && states.contains(&("dap-frontend", "online")),
            "{states:?}"
        );
        let base = &shared.sandbox.host(host).expect("a host").base_url;
        let (code, health) = http(base, "/health", None);
        let health: Value = serde_json::from_str(&health).expect("JSON");
        assert_eq!(
            (code, &health["status"], &health["host"]),
            (200, &Value::from("ok"), &Value::from(host))
        );
        let query = r#"{"query":"{ customers(limit: 3) { id products { adoptionPlans { tasks { id status } } } } }"}"#;
        let (code, answer) = http(base, "/graphql", Some(query));
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!((code, answer["errors"].is_null()), (200, true), "{answer}");
        assert_eq!(
            answer["data"]["customers"].as_array().map(Vec::len),
            Some(3)
        );
    }
}

#[test]
fn what_is_changed_through_graphql_is_in_the_database_and_deleted_rows_are_hidden() {
    let Some(shared) = sandbox() else {
        return;
    };
    let _alone = alone_on("test");
    let base = &shared.sandbox.host("test").expect("a host").base_url;
    let create = r#"{"query":"mutation { createCustomer(name: \"N\", contactName: \"C\", email: \"n@x.example.org\") { id } }"}"#;
    let made: Value = serde_json::from_str(&http(base, "/graphql", Some(create)).1).expect("JSON");
    let id = made["data"]["createCustomer"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{made}"));
    let delete = format!(r#"{{"query":"mutation {{ deleteCustomer(id: \"{id}\") }}"}}"#);
    assert!(http(base, "/graphql", Some(&delete)).1.contains("true"));
    let row = shared.sandbox.sql(
        "test",
        &format!("select \"deletedAt\" is not null from \"Customer\" where id = '{id}'"),
    );
    assert_eq!(row.expect("SQL"), "t");
    let read = format!(r#"{{"query":"{{ customer(id: \"{id}\") {{ id }} }}"}}"#);
    assert!(
        http(base, "/graphql", Some(&read))
            .1
            .contains(r#""customer":null"#)
    );
    shared
        .sandbox
        .sql(
            "test",
            &format!("delete from \"Customer\" where id = '{id}'"),
        )
        .expect("SQL");
}

#[test]
fn docker_exec_passes_input_output_and_exit_codes() {
    let Some(shared) = sandbox() else {
        return;
    };
    let _alone = alone_on("test");
    let s = &shared.sandbox;
    let exec = "docker exec -i supabase_db_DAP";
    assert_eq!(
        ssh_ok(
            s,
            "test",
            &format!("echo 'select 6 * 7' | {exec} psql -U postgres -d postgres -At")
        ),
        "42"
    );
    assert_eq!(
        ssh_ok(s, "test", "echo lost | docker exec supabase_db_DAP cat"),
        "",
        "without -i there is no input"
    );
    assert_eq!(
        ssh(s, "test", &format!("{exec} bash -c 'exit 9'"))
            .status
            .code(),
        Some(9)
    );
    // 127 is what docker documents; some versions of the daemon make it 126.
    let unknown = ssh(s, "test", &format!("{exec} no-such-program"));
    assert!(
        matches!(unknown.status.code(), Some(126 | 127)),
        "{unknown:?}"
    );
    let bad =
        format!("echo 'select nonsense' | {exec} psql -U postgres -d postgres -v ON_ERROR_STOP=1");
    assert_eq!(ssh(s, "test", &bad).status.code(), Some(3));
    let missing = ssh(s, "test", "docker exec -i other psql");
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("No such container: other"));
}

#[test]
fn a_stopped_database_refuses_docker_exec_and_starts_again_with_its_rows() {
    let Some(shared) = sandbox() else {
        return;
    };
    let _alone = alone_on("stage");
    let s = &shared.sandbox;
    let count = s
        .sql("stage", "select count(*) from \"CustomerTask\"")
        .expect("SQL");
    s.stop_database("stage").expect("stops");
    let refused = ssh(
        s,
        "stage",
        "docker exec supabase_db_DAP pg_dump -U postgres postgres",
    );
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not running"));
    assert_eq!(
        ssh_ok(
            s,
            "stage",
            "docker inspect -f '{{.State.Running}}' supabase_db_DAP"
        ),
        "false"
    );
    let base = &s.host("stage").expect("a host").base_url;
    assert_eq!(
        http(base, "/health", None).0,
        503,
        "the application notices"
    );
    s.start_database("stage").expect("starts");
    assert_eq!(
        s.sql("stage", "select count(*) from \"CustomerTask\"")
            .expect("SQL"),
        count
    );
    eventually("the application recovers", || {
        http(base, "/health", None).0 == 200
    });
}

#[test]
fn a_cut_connection_fails_the_client_while_the_command_goes_on() {
    let Some(shared) = sandbox() else {
        return;
    };
    let _alone = alone_on("stage");
    let s = &shared.sandbox;
    let host = s.host("stage").expect("a host");
    let mark = host.data_here.join("survived");
    let line = format!(
        "echo begun; sleep 2; touch {}",
        host.data.join("survived").display()
    );
    let mut child = s
        .ssh("stage")
        .arg(line)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("ssh runs");
    let mut begun = [0; 5];
    std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut begun)
        .expect("it began");
    assert!(s.cut_ssh("stage").expect("cut") > 0);
    assert_eq!(child.wait().expect("it ends").code(), Some(255));
    assert!(!mark.exists());
    eventually("the command ends by itself", || mark.exists());
    assert_eq!(ssh_ok(s, "stage", "echo again"), "again");
}

#[test]
fn a_power_cut_ends_every_process_of_one_host_and_it_boots_with_its_committed_rows() {
    let Some(shared) = sandbox() else {
        return;
    };
    let _alone = alone_on("stage");
    let s = &shared.sandbox;
    s.sql(
        "stage",
        "create table if not exists power (id int); insert into power values (1)",
    )
    .expect("SQL");
    let token = s.dir().join("detached").display().to_string();
    ssh_ok(
        s,
        "stage",
        &format!("TOKEN={token} setsid sleep 300 < /dev/null > /dev/null 2>&1 &"),
    );
    eventually("the detached command runs", || {
        mentioning(&token).contains("sleep 300")
    });
    s.kill_host("stage").expect("ends");
    assert_eq!(ssh(s, "stage", "true").status.code(), Some(255));
    assert_eq!(
        mentioning(&token),
        "",
        "a detached command died with its host"
    );
    assert_eq!(ssh_ok(s, "prod", "echo unharmed"), "unharmed");
    s.start_host("stage").expect("boots");
    assert_eq!(s.sql("stage", "select id from power").expect("SQL"), "1");
    s.sql("stage", "drop table power").expect("SQL");
    assert_eq!(
        http(&s.host("stage").expect("a host").base_url, "/health", None).0,
        200
    );
}
