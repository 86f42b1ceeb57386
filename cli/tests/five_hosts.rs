//! A release to an environment of five hosts by the real binary: two back ends and a worker under pm2, the page under
//! systemd, the database on a host of its own. What it is told was written by `flow init`, and few lines of it by hand.

#![expect(
    clippy::print_stdout,
    reason = "what a test prints is shown when it fails: the driver's words"
)]

#[path = "support/checklist.rs"]
mod checklist;
#[path = "support/driver.rs"]
#[expect(dead_code, reason = "each test binary uses a part of it")]
mod driver;
#[path = "five_hosts/estate.rs"]
mod estate;
#[path = "support/place.rs"]
mod place;
#[path = "support/project.rs"]
mod project;
#[path = "support/world.rs"]
#[expect(dead_code, reason = "each test binary uses a part of it")]
mod world;

use estate::{Estate, LINES_MAX, containers_work};

/// Where the application is deployed, in the order of the release.
const DEPLOYED: [&str; 4] = ["backend-1", "backend-2", "worker", "frontend"];

#[test]
fn a_release_to_five_hosts_completes_from_what_init_wrote_and_ten_lines_by_hand() {
    if !containers_work() {
        return;
    }
    let mut estate = Estate::new();
    let changed = estate.edit();
    assert!(changed <= LINES_MAX, "{changed} lines were changed by hand");
    estate.assert_doctor_misses_only_mail();
    let before = estate.rows();
    let mut driver = estate.world.start("release", "good");
    assert_eq!(estate.world.finish(&mut driver), 0);
    let run = estate.world.run();
    assert_eq!(estate.world.status()["state"], "completed");
    let commit = estate
        .world
        .sandbox
        .commit("good")
        .expect("a commit")
        .to_owned();
    for host in DEPLOYED {
        assert_eq!(estate.head(host), commit, "{host}");
        let events: Vec<String> = estate
            .world
            .ledger(host, &run)
            .into_iter()
            .map(|line| line.event)
            .collect();
        assert_eq!(events, ["begin", "end"], "once on {host}");
    }
    estate.assert_online();
    for host in ["backend-1", "backend-2", "frontend"] {
        assert_eq!(estate.version(host), "1.5.0", "{host}");
    }
    assert_eq!(estate.rows(), before, "no row was lost or changed");
    assert!(estate.has_notes(), "the migration ran");
    estate.assert_writable();
    estate.assert_nobody_has_a_lease();
    estate.world.assert_journal_is_whole();
}

#[test]
fn a_worker_whose_deploy_fails_takes_the_release_back_on_every_host_and_in_the_database() {
    if !containers_work() {
        return;
    }
    let mut estate = Estate::new();
    estate.edit();
    let before = estate.rows();
    // What a host has that is cut off from the repository.
    estate.on(
        "worker",
        "git -C /data/dap/app remote set-url origin /nowhere",
    );
    let mut driver = estate.world.start("release", "good");
    assert_eq!(estate.world.finish(&mut driver), 5);
    let (status, run) = (estate.world.status(), estate.world.run());
    assert_eq!(status["state"], "rolled-back");
    let commit = estate
        .world
        .sandbox
        .commit("current")
        .expect("a commit")
        .to_owned();
    for host in DEPLOYED {
        assert_eq!(estate.head(host), commit, "{host}");
    }
    for host in ["backend-1", "backend-2"] {
        let ended = estate.world.ledger(host, &run).len();
        assert_eq!(ended, 2, "{host} had it");
    }
    assert!(
        estate.world.ledger("frontend", &run).is_empty(),
        "it was not its turn"
    );
    estate.assert_online();
    for host in ["backend-1", "backend-2", "frontend"] {
        assert_eq!(estate.version(host), "1.4.0", "{host}");
    }
    assert_eq!(estate.rows(), before, "no row was lost or changed");
    assert!(!estate.has_notes(), "the migration is gone");
    estate.assert_writable();
    estate.assert_nobody_has_a_lease();
    let lock = estate.world.flow(&["lock", "prod", "--show"]).expect(0);
    assert!(lock.out.contains(&run), "{lock:?}");
    estate
        .world
        .flow(&["unlock", "prod", "--reason", "the remote is mended"])
        .expect(0);
    estate.world.assert_journal_is_whole();
}
