//! `flow init`, as a team meets it on its first day.

use std::os::unix::fs::PermissionsExt as _;

use super::{flow, names, shown};

/// A repository with an application in it, and an ssh configuration that is not the user's own.
fn repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let migration = dir.path().join("prisma/migrations/1_init");
    std::fs::create_dir_all(&migration).expect("a folder");
    for (name, text) in [
        ("package.json", "{\"name\": \"shop\"}"),
        ("prisma/migrations/1_init/migration.sql", "SELECT 1;\n"),
        (
            "ssh_config",
            "Host shop-test shop-stage shop-prod\n HostName 127.0.0.1\n Port 1\n",
        ),
    ] {
        std::fs::write(dir.path().join(name), text).expect("writes");
    }
    dir
}

#[test]
fn init_writes_three_files_that_load_and_doctor_names_what_is_still_asked() {
    let dir = repository();
    let args = [
        "init",
        "--yes",
        "--ssh-config",
        "ssh_config",
        "--app-dir",
        "/srv/shop",
    ];
    insta::assert_snapshot!(shown(dir.path(), &args), @r"
    exit 0
    wrote flow.toml          13 lines wait for you
    wrote flow.people.toml   1 line waits for you
    wrote flow.data.toml     1 line waits for you
    The hosts were not looked at; with --look-at-hosts flow init finds out more, reading only.
    next: git add flow.people.toml, commit it, then: flow doctor
    ---
    ");
    for name in ["flow.toml", "flow.people.toml", "flow.data.toml"] {
        let mode = std::fs::metadata(dir.path().join(name))
            .expect("is there")
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o644, "{name}");
    }
    let doctor = shown(dir.path(), &["doctor"]);
    assert!(doctor.starts_with("exit 2\n"), "{doctor}");
    assert!(
        doctor.contains("still waits: which script deploys there?"),
        "{doctor}"
    );
    assert!(doctor.contains("flow.people.toml:"), "{doctor}");
    assert!(
        doctor.contains("nobody"),
        "the reason is there, too: {doctor}"
    );
    let json = flow(dir.path(), &["doctor", "--json"]);
    let findings: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(findings[0]["ok"], false);
    assert!(
        findings[0]["what"]
            .as_str()
            .is_some_and(|what| what.starts_with("flow.toml:"))
    );
}

#[test]
fn init_never_writes_over_a_file_whatever_it_is() {
    for taken in ["flow.toml", "flow.people.toml", "flow.data.toml"] {
        let dir = repository();
        std::os::unix::fs::symlink("nowhere", dir.path().join(taken)).expect("a link");
        let before = names(dir.path());
        let said = shown(dir.path(), &["init", "--yes"]);
        assert!(said.starts_with("exit 2\n"), "{said}");
        assert!(
            said.contains(&format!("{taken} is there already")),
            "{said}"
        );
        assert_eq!(names(dir.path()), before);
    }
    let dir = repository();
    assert!(shown(dir.path(), &["init", "--yes"]).starts_with("exit 0"));
    let first = std::fs::read(dir.path().join("flow.toml")).expect("reads");
    assert!(shown(dir.path(), &["init", "--yes"]).starts_with("exit 2"));
    assert_eq!(
        std::fs::read(dir.path().join("flow.toml")).expect("reads"),
        first
    );
}

#[test]
fn init_refuses_a_host_or_folder_that_cannot_be_meant_and_writes_nothing() {
    for (args, said) in [
        (
            ["init", "--host", "prod=-oProxyCommand=id"],
            "not an environment and its host",
        ),
        (["init", "--host", "live=app1"], "test, stage, prod"),
        (["init", "--app-dir", "srv/shop"], "an absolute path"),
        (["init", "--yes", "gone"], "is no folder"),
        (
            ["init", "--path", "test,Pr od"],
            "no name of an environment",
        ),
        (["init", "--path", "9a,prod"], "a letter first"),
        (["init", "--path=-a,prod", "--yes"], "a letter first"),
        (["init", "--path", "gate,prod"], "must not be called `gate`"),
        (["init", "--path", "a,a"], "`a` is named twice"),
        (
            ["init", "--path", "prod"],
            "an environment before production",
        ),
        (
            ["init", "--host=test=one", "--host=prod=one"],
            "must be another host than that of `test`",
        ),
    ] {
        let dir = repository();
        let before = names(dir.path());
        let shown = shown(dir.path(), &args);
        assert!(
            shown.starts_with("exit 2\n") && shown.contains(said),
            "{shown}"
        );
        assert_eq!(names(dir.path()), before);
    }
}
