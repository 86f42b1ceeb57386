//! Leases of a database: one place, whatever a project says.

use std::sync::Arc;

use crate::means::host::{Command, Host, HostError, Hosts, Process};
use crate::means::psql::Database;
use crate::pg::tests::cluster::for_a_step;

use super::*;

/// This machine, with a folder of its own for leases: what runs here must leave nothing on it.
struct Elsewhere {
    inner: Local,
    state: String,
}

#[async_trait]
impl Host for Elsewhere {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn spawn(&self, command: &Command) -> Result<Process, HostError> {
        let command = command.clone().env("FLOW_STATE_DIR", &self.state);
        self.inner.spawn(&command).await
    }
}

struct Rig {
    dir: tempfile::TempDir,
    bench: Bench,
    db: Database,
}

impl Rig {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(registry);
        bench.hosts = Hosts::new().with(Elsewhere {
            inner: Local::new("here"),
            state: dir.path().join("state").to_str().unwrap().to_owned(),
        });
        let (_, mut db) = for_a_step("SELECT 1;").await;
        db.host = "here".into();
        Rig { dir, bench, db }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// As a project with this folder of its own would plan it.
    fn lease(&self, dir: &str) -> HostLease {
        HostLease {
            db: Some(self.db.clone()),
            ..HostLease::in_folder("here", self.path(dir))
        }
    }

    async fn start(&self, run: &str, lease: HostLease) -> (Arc<flow_engine::run::Run>, Stop) {
        let whole = plan(
            |p| {
                p.step("prep/lease", lease);
            },
            |p| {
                p.step("prod/fail", Say::new(1));
            },
        );
        self.bench.start(run, whole).await
    }

    async fn place(&self) -> String {
        let host = self.bench.hosts.get("here").unwrap();
        place(&host, &self.db).await.unwrap()
    }
}

const REFUSED: Stop = Stop::Parked(ParkReason::Refused { step: 0 });

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projects_with_folders_of_their_own_exclude_each_other_on_one_database() {
    let rig = Rig::new().await;
    rig.start("r-one", rig.lease("one")).await;
    let (run, stop) = rig.start("r-two", rig.lease("two")).await;
    assert_eq!(stop, REFUSED);
    let said = failure(&run, "prep/lease").message;
    assert!(said.contains("is being released by run r-one"), "{said}");
    let place = rig.place().await;
    assert!(place.starts_with(&rig.path("state")), "{place}");
    assert!(!rig.dir.path().join("one").exists());
    // Another database of the same server is another production.
    let (_, mut other) = for_a_step("SELECT 1;").await;
    other.host = "here".into();
    let lease = HostLease {
        db: Some(other),
        ..rig.lease("two")
    };
    let (_, stop) = rig.start("r-three", lease).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_older_flow_holds_or_locked_in_its_folder_is_heeded() {
    let rig = Rig::new().await;
    let host = rig.bench.hosts.get("here").unwrap();
    let old = rig.path("old");
    claim(&*host, &old, &held("r-old", 1), false)
        .await
        .unwrap_or_else(|e| panic!("{e}"));
    let (run, stop) = rig.start("r-one", rig.lease("old")).await;
    assert_eq!(stop, REFUSED);
    assert!(failure(&run, "prep/lease").message.contains("run r-old"));
    release(&*host, &old, ("r-old", 1), false).await.unwrap();
    let lock = Locked {
        run: None,
        by: "devops".into(),
        reason: "disk is full".into(),
        since: Timestamp(1),
    };
    set_lock(&*host, &old, &lock).await.unwrap();
    let (run, stop) = rig.start("r-two", rig.lease("old")).await;
    assert_eq!(stop, REFUSED);
    assert!(failure(&run, "prep/lease").message.contains("disk is full"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_that_others_can_write_to_are_refused_before_anything_is_taken() {
    use std::os::unix::fs::PermissionsExt as _;
    let rig = Rig::new().await;
    let open = rig.path("backups");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let lease = HostLease {
        folders: vec![rig.path("jobs"), open.clone()],
        ..rig.lease("one")
    };
    let (run, stop) = rig.start("r-one", lease.clone()).await;
    assert_eq!(stop, REFUSED);
    let said = failure(&run, "prep/lease").message;
    let named = format!("{open} can be written by others (mode 777)");
    assert!(said.contains(&named) && !said.contains("jobs"), "{said}");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o700)).unwrap();
    rig.bench.order("r-one", Order::Retry).await;
    let (_, stop) = rig.bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_people_sign_another_run_may_release_and_a_rollback_has_the_lease_again() {
    let rig = Rig::new().await;
    let whole = || {
        let first = rig.lease("one");
        let again = HostLease {
            again: true,
            ..first.clone()
        };
        let mut taken = None;
        plan(
            |p| {
                let lease = p.step("prod/lease", first);
                p.step("prod/lease-rest", given_back(&lease));
                p.step("prep/sign", Say::new(1));
                taken = Some(lease);
            },
            |p| {
                let lease = p.step("prod/lease-again", again);
                p.step("prod/change", Change);
                p.step("prod/lease-release", given_back(&lease));
            },
        )
    };
    let (run, stop) = rig.bench.start("r-one", whole()).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{run:?}");
    let (_, stop) = rig.bench.start("r-two", whole()).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    rig.bench.order("r-two", Order::Rollback).await;
    let (run, stop) = rig.bench.resume("r-two").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
    assert_eq!(undone(&run, "prod/lease-rest"), "the lease is ours");
    assert!(undone(&run, "prod/lease").ends_with("lease released"));
    let host = rig.bench.hosts.get("here").unwrap();
    let left = lock_state(&*host, &rig.place().await).await.unwrap();
    assert!(left.held.is_none() && left.locked.is_some(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_waits_for_people_is_cancelled_while_another_releases() {
    let rig = Rig::new().await;
    let waits = plan(
        |p| {
            let lease = p.step("prod/lease", rig.lease("one"));
            // Its undo speaks to the host, on which another run releases by then.
            p.step("prep/scratch", Change);
            p.step("prod/lease-rest", given_back(&lease));
            p.step("prep/sign", Say::failing());
        },
        |p| {
            p.step("prod/change", Change);
        },
    );
    rig.bench.start("r-one", waits).await;
    let (_, stop) = rig.start("r-two", rig.lease("two")).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    rig.bench.order("r-one", Order::Cancel).await;
    let (run, stop) = rig.bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::Cancelled), "{run:?}");
    let host = rig.bench.hosts.get("here").unwrap();
    let left = lock_state(&*host, &rig.place().await).await.unwrap();
    assert_eq!(left.held.map(|held| held.run), Some("r-two".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_on_test_is_undone_while_another_run_has_test() {
    let rig = Rig::new().await;
    let whole = plan(
        |p| {
            let lease = p.step("test/lease", rig.lease("one"));
            let back = ReleaseLease {
                for_good: true,
                ..given_back(&lease)
            };
            p.step("test/lease-release", back);
        },
        |p| {
            p.step("prod/change", Change);
        },
    );
    rig.bench.start("r-one", whole).await;
    let (_, stop) = rig.start("r-two", rig.lease("two")).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    rig.bench.order("r-one", Order::Rollback).await;
    let (run, stop) = rig.bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{run:?}");
    assert!(undone(&run, "test/lease").contains("another run's: left alone"));
}

fn given_back(lease: &flow_engine::planner::Out<Lease>) -> ReleaseLease {
    ReleaseLease {
        host: "here".into(),
        dir: String::new(),
        lease: Some(lease.into()),
        for_good: false,
    }
}
