use flow_engine::driver::Stop;
use flow_engine::plan::Plan;
use flow_engine::record::{ParkReason, Verdict};
use flow_engine::registry::Registry;
use flow_engine::signal::Order;

use super::hand::remove;
use super::*;
use crate::means::host::Local;
use crate::means::lease::store::{LeaseError, LockState, json, renew};
use crate::means::reach::testing::{Bench, Change, Say, failure, output, plan, undone};

mod places;
mod successor;

fn registry() -> Registry {
    Registry::default()
        .with::<HostLease>()
        .with::<ReleaseLease>()
}

fn lease(dir: &tempfile::TempDir) -> HostLease {
    HostLease::in_folder("here", path(dir))
}

fn back(dir: &tempfile::TempDir) -> ReleaseLease {
    ReleaseLease {
        host: "here".into(),
        dir: path(dir),
        lease: None,
        for_good: false,
    }
}

/// A run that takes the lease, changes production, and gives the lease back.
fn whole(dir: &tempfile::TempDir) -> Plan {
    plan(
        |p| {
            p.step("prep/lease", lease(dir));
        },
        |p| {
            p.step("prod/change", Change);
            p.step("prod/release", back(dir));
        },
    )
}

fn path(dir: &tempfile::TempDir) -> String {
    dir.path().join("lease").to_str().unwrap().to_owned()
}

fn held(run: &str, epoch: u64) -> Held {
    Held {
        run: run.into(),
        holder: "process 1 on elsewhere".into(),
        epoch,
        since: Timestamp(1000),
    }
}

#[tokio::test]
async fn of_racing_runs_exactly_one_gets_the_lease() {
    let dir = tempfile::tempdir().unwrap();
    let racers = (0..12).map(|n| {
        let dir = path(&dir);
        tokio::spawn(async move {
            let ours = held(&format!("r-{n}"), 1);
            let claimed = claim(&Local::new("here"), &dir, &ours, false).await;
            matches!(claimed, Ok(Claim::Taken))
        })
    });
    let mut taken = 0;
    for racer in racers.collect::<Vec<_>>() {
        taken += usize::from(racer.await.unwrap());
    }
    assert_eq!(taken, 1);
    let left: Vec<_> = std::fs::read_dir(path(&dir)).unwrap().collect();
    assert_eq!(left.len(), 1, "temporary files stayed: {left:?}");
}

#[tokio::test]
async fn its_own_run_takes_it_again_with_a_newer_epoch_and_never_with_an_older_one() {
    let dir = tempfile::tempdir().unwrap();
    let here = Local::new("here");
    for epoch in [1, 1, 5] {
        let claimed = claim(&here, &path(&dir), &held("r-a", epoch), false).await;
        assert!(matches!(claimed, Ok(Claim::Taken)), "{epoch}");
    }
    let state = lock_state(&here, &path(&dir)).await.unwrap();
    assert_eq!(state.held.unwrap().epoch, 5);
    let old = claim(&here, &path(&dir), &held("r-a", 4), false).await;
    assert!(matches!(old, Ok(Claim::Held(h)) if h.epoch == 5));
}

#[tokio::test]
async fn a_second_release_is_refused_by_name_and_age_until_the_first_releases() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(registry);
    let both = || {
        let lease = lease(&dir);
        plan(
            |p| {
                p.step("prep/lease", lease);
            },
            |p| {
                p.step("prod/fail", Say::new(1));
            },
        )
    };
    bench.start("r-one", both()).await;
    let (run, stop) = bench.start("r-two", both()).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Refused { step: 0 }));
    let failure = failure(&run, "prep/lease");
    assert!(failure.message.contains("run r-one since 2"), "{failure:?}");
    assert!(failure.hints[0].contains("flow cancel r-one"));
    let here = Local::new("here");
    release(&here, &path(&dir), ("r-one", 9), false)
        .await
        .unwrap();
    bench.order("r-two", Order::Retry).await;
    let (run, _) = bench.resume("r-two").await;
    assert_eq!(output::<Lease>(&run, "prep/lease").machine_id.len(), 32);
}

#[tokio::test]
async fn after_a_rollback_the_environment_is_locked_until_someone_lifts_it_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(registry);
    let rolled = plan(
        |p| {
            p.step("prep/lease", lease(&dir));
        },
        |p| {
            p.step("prod/change", Change);
            p.step("prod/fail", Say::failing());
        },
    );
    let (run, stop) = bench.start("r-one", rolled).await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
    assert!(undone(&run, "prep/lease").contains("environment locked"));
    let again = || {
        plan(
            |p| {
                p.step("prep/lease", lease(&dir));
            },
            |p| {
                p.step("prod/say", Say::new(1));
            },
        )
    };
    let (run, stop) = bench.start("r-two", again()).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Refused { step: 0 }));
    let refused = failure(&run, "prep/lease");
    assert!(
        refused.message.contains("rolled back run r-one"),
        "{refused:?}"
    );
    assert!(refused.hints[0].contains("flow unlock here --reason"));
    let here = Local::new("here");
    let no_reason = lift_lock(&here, &path(&dir), "devops", " ", Timestamp(1)).await;
    assert!(matches!(no_reason, Err(LeaseError::NotSo(_))));
    lift_lock(&here, &path(&dir), "devops", "fixed", Timestamp(1))
        .await
        .unwrap();
    bench.order("r-two", Order::Retry).await;
    assert_eq!(
        bench.resume("r-two").await.1,
        Stop::Finished(Verdict::Completed)
    );
    let history = std::fs::read_to_string(dir.path().join("lease/history")).unwrap();
    assert!(history.contains(r#""reason":"fixed""#), "{history}");
}

#[tokio::test]
async fn a_run_cancelled_before_production_changed_leaves_neither_lease_nor_lock() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(registry);
    let parked = plan(
        |p| {
            p.step("prep/lease", lease(&dir));
            p.step("prep/fail", Say::failing());
        },
        |p| {
            p.step("prod/change", Change);
        },
    );
    bench.start("r-one", parked).await;
    bench.order("r-one", Order::Cancel).await;
    let (run, _) = bench.resume("r-one").await;
    assert_eq!(undone(&run, "prep/lease"), "lease released");
    let state = lock_state(&Local::new("here"), &path(&dir)).await.unwrap();
    assert_eq!(
        state,
        LockState {
            held: None,
            locked: None
        }
    );
}

#[tokio::test]
async fn rolling_back_a_completed_run_takes_the_lease_again_first() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(registry);
    let (run, stop) = bench.start("r-one", whole(&dir)).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    assert!(output::<Released>(&run, "prod/release").released);
    let here = Local::new("here");
    assert_eq!(lock_state(&here, &path(&dir)).await.unwrap().held, None);

    assert!(matches!(
        claim(&here, &path(&dir), &held("r-other", 1), false).await,
        Ok(Claim::Taken)
    ));
    bench.order("r-one", Order::Rollback).await;
    let (_, stop) = bench.resume("r-one").await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::UndoFailed { .. })),
        "{stop:?}"
    );
    release(&here, &path(&dir), ("r-other", 9), false)
        .await
        .unwrap();
    bench.order("r-one", Order::Retry).await;
    let (_, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
    let state = lock_state(&here, &path(&dir)).await.unwrap();
    assert!(state.held.is_none() && state.locked.is_some());
}

#[tokio::test]
async fn a_lease_is_broken_only_for_the_run_that_was_named() {
    let dir = tempfile::tempdir().unwrap();
    let here = Local::new("here");
    claim(&here, &path(&dir), &held("r-a", 1), false)
        .await
        .unwrap();
    let now = Timestamp(1);
    let wrong = break_lease(&here, &path(&dir), "r-b", ("devops", "lost"), now).await;
    assert!(matches!(wrong, Err(LeaseError::NotSo(_))));
    break_lease(&here, &path(&dir), "r-a", ("devops", "lost"), now)
        .await
        .unwrap();
    assert_eq!(lock_state(&here, &path(&dir)).await.unwrap().held, None);
}

#[tokio::test]
async fn a_damaged_lease_stops_everybody_instead_of_being_taken_for_free() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(path(&dir)).unwrap();
    std::fs::write(dir.path().join("lease/held"), "{").unwrap();
    let claimed = claim(&Local::new("here"), &path(&dir), &held("r-a", 1), false).await;
    assert!(matches!(
        claimed,
        Err(LeaseError::Damaged { file: "held", .. })
    ));
}

#[tokio::test]
async fn at_the_end_a_lease_in_other_hands_is_asked_about() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(registry);
    let here = Local::new("here");
    let claimed = claim(&here, &path(&dir), &held("r-other", 1), false).await;
    assert!(matches!(claimed, Ok(Claim::Taken)));
    let ending = plan(
        |p| {
            p.step("prep/release", back(&dir));
        },
        |p| {
            p.step("prod/say", Say::new(1));
        },
    );
    let (run, stop) = bench.start("r-one", ending).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Unknown { step: 0 }));
    let asked = failure(&run, "prep/release").message;
    assert!(asked.contains("is held by run r-other"), "{asked}");
    let state = lock_state(&here, &path(&dir)).await.unwrap();
    assert_eq!(state.held.unwrap().run, "r-other");
}

#[tokio::test]
async fn an_overtaken_process_of_the_same_run_neither_releases_nor_weakens_the_lease() {
    let dir = tempfile::tempdir().unwrap();
    let here = Local::new("here");
    let at = path(&dir);
    for epoch in [2, 3] {
        let claimed = claim(&here, &at, &held("r-a", epoch), false).await;
        assert!(matches!(claimed, Ok(Claim::Taken)), "{epoch}");
    }
    let refused = release(&here, &at, ("r-a", 2), false).await;
    assert!(
        matches!(
            refused,
            Err(LeaseError::Overtaken {
                seen: 3,
                ours: 2,
                ..
            })
        ),
        "{refused:?}"
    );
    // What a process does that read the lease of epoch 1, slept, and wakes when epoch 3 has it.
    let read = json(&held("r-a", 1));
    renew(&here, &at, &read, &held("r-a", 2)).await.unwrap();
    let state = lock_state(&here, &at).await.unwrap();
    assert_eq!(state.held.map(|h| h.epoch), Some(3));
    assert!(release(&here, &at, ("r-a", 3), false).await.is_ok());
    assert_eq!(lock_state(&here, &at).await.unwrap().held, None);
}

#[tokio::test]
async fn two_copies_of_one_journal_cannot_both_have_the_lease() {
    let dir = tempfile::tempdir().unwrap();
    let here = Local::new("here");
    let ours = held("r-a", 4);
    let copy = Held {
        holder: "process 9 on the machine with the restored copy".into(),
        ..ours.clone()
    };
    for _ in 0..2 {
        let claimed = claim(&here, &path(&dir), &ours, false).await;
        assert!(matches!(claimed, Ok(Claim::Taken)));
    }
    let claimed = claim(&here, &path(&dir), &copy, false).await;
    assert!(matches!(claimed, Ok(Claim::Held(h)) if h == ours));
}

#[tokio::test]
async fn a_lease_that_changed_hands_while_it_was_being_broken_stays() {
    let dir = tempfile::tempdir().unwrap();
    let here = Local::new("here");
    let at = path(&dir);
    claim(&here, &at, &held("r-new", 1), false).await.unwrap();
    // What was read belonged to a run that has released it since.
    let read = json(&held("r-old", 1));
    let broken = remove(&here, &at, ("held", &read), "{}").await;
    assert!(matches!(broken, Err(LeaseError::NotSo(_))), "{broken:?}");
    let state = lock_state(&here, &at).await.unwrap();
    assert_eq!(state.held.map(|h| h.run), Some("r-new".into()));
    assert!(!dir.path().join("lease/history").exists());
}
