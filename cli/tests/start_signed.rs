//! Where the roster bars the starter, `flow start` is signed: refused at once without a key, and on record with one.

use std::path::Path;
use std::process::Command;

use left::{commit, configure, err, flow, out};

#[path = "support/left.rs"]
mod left;

fn key(dir: &Path, name: &str) -> String {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
        .arg(dir.join(name))
        .status();
    assert!(made.expect("ssh-keygen starts").success());
    let public = std::fs::read_to_string(dir.join(format!("{name}.pub"))).expect("reads");
    public.trim().to_owned()
}

/// A project whose roster bars the starter: `qa` signs, and whoever is under `starter` only starts.
fn project(dir: &Path) {
    configure(dir);
    let waives = "[signoff]\nwaived_by = \"qa\"\n";
    let config = std::fs::read_to_string(dir.join("flow.toml")).expect("reads");
    let config = config.replace("[signoff]\n", waives) + "\n[ssh]\nconfig = \"ssh.conf\"\n";
    std::fs::write(dir.join("flow.toml"), config).expect("writes");
    // Nothing listens there: the run stops at the first step that needs a host.
    let nowhere = "Host *\n  HostName 127.0.0.1\n  Port 1\n";
    std::fs::write(dir.join("ssh.conf"), nowhere).expect("writes");
    let people = std::fs::read_to_string(dir.join("flow.people.toml")).expect("reads");
    let starter = key(dir, "carla");
    let people = format!(
        "forbid_starter = true\n{people}\n[[roles.starter]]\nname = \"carla\"\nkey = \"{starter}\"\n"
    );
    std::fs::write(dir.join("flow.people.toml"), people).expect("writes");
    key(dir, "stranger");
    commit(dir);
}

#[test]
fn a_start_without_a_key_of_the_roster_is_refused_before_anything_is_stored() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path();
    project(at);
    let cases: [(&[&str], &str); 4] = [
        (&["start", "--yes"], "flow start release --key FILE"),
        (
            &["start", "--yes", "--key", "stranger"],
            "is no key of the roster",
        ),
        (&["start", "--key", "carla"], "add --yes"),
        // Nobody else could sign as `qa`, which is asked after staging.
        (
            &["start", "--yes", "--key", "qa"],
            "nobody is left to sign as qa",
        ),
    ];
    for (args, says) in cases {
        let refused = flow(at, args);
        let said = err(&refused);
        assert!(
            matches!(refused.status.code(), Some(2 | 3)),
            "{args:?}: {said}"
        );
        assert!(
            said.contains(says) && said.contains("Nothing was started"),
            "{args:?}: {said}"
        );
        let runs = flow(at, &["list", "--json"]);
        assert!(!out(&runs).contains("\"run\""), "{args:?}: {}", out(&runs));
    }
}

#[test]
fn status_report_and_export_name_who_started_with_which_key() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path();
    project(at);
    let started = flow(at, &["start", "--yes", "--no-wait", "--key", "carla"]);
    let said = err(&started) + &out(&started);
    assert!(said.contains("gate/starter done"), "{said}");
    let listed = Command::new("ssh-keygen")
        .args(["-lf"])
        .arg(at.join("carla.pub"))
        .output();
    let listed = String::from_utf8(listed.expect("ssh-keygen starts").stdout).expect("text");
    let print = listed.split_whitespace().nth(1).expect("a fingerprint");
    let whom = format!("carla (starter), key {print}");
    for look in [
        &["status", "latest"][..],
        &["export", "latest", "--format", "md"],
    ] {
        let shown = out(&flow(at, look));
        assert!(shown.contains(&whom), "{look:?}: {shown}");
    }
    for look in [&["status", "latest", "--json"][..], &["export", "latest"]] {
        let shown = out(&flow(at, look));
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(shown["starter"]["fingerprint"], print, "{look:?}");
        assert_eq!(shown["starter"]["signer"], "carla", "{look:?}");
    }
    // The same start again goes on with nothing of its own; a look needs no key.
    assert_eq!(flow(at, &["journal", "verify"]).status.code(), Some(0));
}
