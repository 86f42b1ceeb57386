//! The password of a URL, wherever it stands in the configuration, is shown by no command.

use std::path::Path;
use std::process::Output;

use left::{commit, configure, err, flow, out};

#[path = "support/left.rs"]
mod left;

/// Invented, and found nowhere else.
const SECRET: &str = "kvasir-7";

fn rewrite(dir: &Path, change: impl Fn(String) -> String) {
    let file = dir.join("flow.toml");
    let config = std::fs::read_to_string(&file).expect("reads");
    std::fs::write(file, change(config)).expect("writes");
}

/// A project that asks for its health with a name and a password, and whose commit and deploy script name a URL with one.
fn project(dir: &Path) {
    configure(dir);
    let url = format!("http://monitor:{SECRET}@127.0.0.1:1/");
    rewrite(dir, |config| {
        let config = config.replace("http://127.0.0.1:1/", &url);
        let config = config.replace("\"./deploy.sh\"", &format!("\"./deploy.sh\", \"{url}\""));
        config
            + &format!(
                "\n[window]\nwhen = \"when {url} is quiet\"\ncontact = \"see {url}\"\n[ssh]\nconfig = \"ssh.conf\"\n"
            )
    });
    let nowhere = "Host *\n  HostName 127.0.0.1\n  Port 1\n";
    std::fs::write(dir.join("ssh.conf"), nowhere).expect("writes");
    commit(dir);
    let subject = format!("see postgres://app:{SECRET}@db/app");
    let me = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    let mut git = std::process::Command::new("git");
    git.args(me)
        .args(["commit", "-q", "--allow-empty", "-m", &subject]);
    assert!(git.current_dir(dir).status().expect("git starts").success());
}

fn silent(what: &[&str], output: &Output) {
    let said = out(output) + &err(output);
    assert!(!said.contains(SECRET), "{what:?}: {said}");
    let hex = hex::encode(SECRET);
    assert!(!said.contains(&hex), "{what:?} in hexadecimal digits");
}

#[test]
fn no_command_shows_the_password_of_a_url_in_the_configuration() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path();
    project(at);
    for before in [
        &["plan"][..],
        &["plan", "--format", "json"],
        &["doctor"],
        &["start", "--yes", "--no-wait"],
    ] {
        silent(before, &flow(at, before));
    }
    let runs = flow(at, &["list", "--json"]);
    assert!(out(&runs).contains("\"parked\""), "{}", out(&runs));
    for look in [
        &["status", "latest"][..],
        &["status", "latest", "--json"],
        &["status", "latest", "--undo"],
        &["list"],
        &["list", "--json"],
        &["logs", "latest"],
        &["export", "latest"],
        &["export", "latest", "--format", "md"],
    ] {
        let shown = flow(at, look);
        assert_eq!(shown.status.code(), Some(0), "{look:?}: {}", err(&shown));
        silent(look, &shown);
    }
    // What people type is refused where it would be kept.
    let reason = format!("see http://me:{SECRET}@wiki/");
    let cancel = ["cancel", "latest", "--reason", &reason];
    let refused = flow(at, &cancel);
    assert_eq!(refused.status.code(), Some(3), "{}", err(&refused));
    silent(&cancel, &refused);
    for entry in std::fs::read_dir(at.join(".flow/logs"))
        .into_iter()
        .flatten()
    {
        let text = std::fs::read(entry.expect("an entry").path()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&text).contains(SECRET));
    }
}

#[test]
fn a_mistake_in_the_configuration_is_named_without_the_password_beside_it() {
    let url = format!("postgres://app:{SECRET}@db/app");
    let mistakes = [
        (
            "name = \"demo\"",
            format!("name = \"demo\"\nreplay = \"{url}\""),
        ),
        ("name = \"demo\"", format!("name = \"demo\"\n\"{url}\" = 1")),
        (
            "[signoff]",
            format!("[watch]\nseconds = \"{url}\"\n[signoff]"),
        ),
        (
            "http://127.0.0.1:1/",
            format!("ftp://me:{SECRET}@127.0.0.1/"),
        ),
        ("ssh = \"test\"", format!("ssh = \"{url}\"")),
        ("app_dir = \"/srv/app\"", format!("app_dir = \"{url}\"")),
        (
            "[signoff]",
            format!("[mail]\nhost = \"{url}\"\nfrom = \"{url}\"\nto = [\"{url}\"]\n[signoff]"),
        ),
    ];
    for (right, wrong) in mistakes {
        let dir = tempfile::tempdir().expect("a folder");
        let at = dir.path();
        configure(at);
        commit(at);
        rewrite(at, |config| config.replacen(right, &wrong, 1));
        for command in [&["plan"][..], &["doctor"], &["start", "--yes", "--no-wait"]] {
            let said = flow(at, command);
            assert!(!out(&said).is_empty() || !err(&said).is_empty(), "{wrong}");
            silent(&[&wrong], &said);
        }
    }
}
